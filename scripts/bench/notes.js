/** What the table needs said beside it. */
export const notes = [
  "Every process runs in the real `@permaweb/ao-loader`; each job has a Node.js of its own. Unless a line says otherwise the image is `membuddy-lua54-wasm64.wasm`.",
  "Times inside a process are `os.clock`'s, which asks the loader's host; the bench lets the host tell the real time.",
  "`profile()` and the collection take turns on the same heap, each after an untimed collection, with the collector stopped in between. aos's own objects are in the heap too: \"objects in all\".",
  "The first `profile()` of a process runs in code that V8 has not optimised yet; medians are taken after ten rounds of warming up.",
  "Empty Evals are timed for four seconds in each image, after two of warming up.",
  "Growth: garbage is collected, free memory used up until the largest free chunk has 64 to 96 KB (or made by growing first, where there is less), then the process makes its first report; pages are counted just before and after it, in the same message. `print()` is measured with its lines going nowhere, and once more with the `print` of aos, which joins each line to all that came before.",
  "Left bytes: `collectgarbage(\"count\")` after two collections, before and after a report whose results are dropped; one report is made beforehand. The lines of `print()` go nowhere, because aos keeps them for the answer.",
  "Pure Lua's peak: the most that `collectgarbage(\"count\")` says after every hundred instructions of Lua while a report is made on a heap without garbage, the collector stopped, above what it said before; in a second call.",
  "Linear memory per Lua byte: growth of the memory by growth of the Lua heap, from the fresh process.",
  "The image without `membuddy` is linked by the same rules from the same objects, with an empty library. Functions are compared as text, addresses of data aside; what differs was inlined otherwise by the optimiser.",
];
