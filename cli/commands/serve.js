/** `membuddy serve`: a page on this machine where memories are dropped and read. */
import { UsageError } from "../errors.js";

/** @param {import("commander").Command} program @param {import("../context.js").Context} context */
export function register(program, context) {
  program.command("serve")
    .description("a page on this machine where memories are dropped and read; nothing leaves the machine")
    .option("--port <number>", "where to listen on loopback; any free port if absent", context.wholeNumber)
    .option("--open", "open it in the browser")
    .addHelpText("after", "\nThe page reads memories of 32 and of 64 bits in any browser; those of more than 2 GiB best in one with memory64\n(Chrome and Edge 133, Firefox 134, and later). Ctrl-C ends it.\n\nExample:\n  membuddy serve --open")
    .action(async ({ port = 0, open }) => {
      if (port > 65535) throw new UsageError(`${port} is no port; accepted: 0 (any that is free) to 65535`);
      const { ended, listen, makeServer, openBrowser } = await import("../serve.js"); // Node.js takes its time over http
      const server = await makeServer();
      const address = await listen(server, port);
      try {
        context.print(address);
      } catch (error) {
        server.close(); // or it would go on, at an address that nobody knows
        throw error;
      }
      context.tell("Drop a memory on this page; it is read there and goes nowhere. Ctrl-C ends it.");
      if (open) openBrowser(address);
      await ended(server);
    });
}
