/**
 * Long work of a writer comes up for air: signals, and a page, have their turn.
 */

const everyMs = 50;

/** A function that lets others run where it is time for it. */
export function makeBreath() {
  let last = Date.now();
  return async () => {
    if (Date.now() - last < everyMs) return;
    await new Promise((resolve) => setTimeout(resolve, 0));
    last = Date.now();
  };
}
