/** A WeaveDrive for tests: files by name, read the way the real one is: opened and read asynchronously. */

/**
 * @param {Record<string, string>} files by absolute name
 * @param {object} [options]
 * @param {() => void} [options.onWait] called while the process is unwound
 * @param {boolean} [options.readsFromStart] every read begins at the file's first byte, as the real drive's of headers:
 *   aos learns a file's size by seeking to its end, then reads that many bytes from there
 */
export function driveWith(files, { onWait = () => {}, readsFromStart = false } = {}) {
  /** @param {any} _module @param {any} FS */
  return (_module, FS) => ({
    /** @param {string} name */
    async open(name) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      onWait();
      if (!(name in files)) return 0;
      const [, folder, file] = name.split("/");
      if (!FS.analyzePath(`/${folder}`).exists) FS.mkdir(`/${folder}`);
      if (!FS.analyzePath(name).exists) FS.createDataFile(`/${folder}`, file, files[name], true, false);
      return FS.open(name, "r").fd;
    },
    /** @param {number} descriptor @param {bigint | number} to @param {bigint | number} length */
    async read(descriptor, to, length) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      const stream = FS.getStream(descriptor);
      if (readsFromStart) stream.position = 0;
      return FS.read(stream, _module.HEAP8, Number(to), Number(length));
    },
    /** @param {number} descriptor */
    close: (descriptor) => FS.close(FS.getStream(descriptor)),
  });
}
