/**
 * What is read next, of what was read before and what was dropped on the page.
 *
 * @template File
 * @typedef {{ memory: File | null, older: File | null, module: File | null }} Files
 */

/**
 * A module is of the memories beside it: of those that come later, only where no memory was there yet.
 * @template File @param {Files<File>} before @param {File[]} memories  the newest last, two at most @param {File | null} module @returns {Files<File>}
 */
export function afterDrop(before, memories, module) {
  if (memories.length === 0) return { ...before, module: module ?? before.module };
  return {
    memory: memories[memories.length - 1], older: memories.length === 2 ? memories[0] : null,
    module: module ?? (before.memory ? null : before.module),
  };
}
