-- What the contract promises and pure Lua cannot hold, claim by claim, with the reason. A claim that holds all the same
-- fails the test: then it has to go from here.

local no_garbage = "Lua does not show garbage: it is part of what is unaccounted"

return {
  ["the library says what it is"] = "the backend is 'lua', and its figures are computed, not read",
  ["print() prints a report of the whole process"] = no_garbage,
  ["the sizes add up to the total, and the total with garbage to what Lua says"] = no_garbage,
  ["garbage is what a collection frees"] = no_garbage,
  ["account() cuts Lua's memory into parts"] = no_garbage,
  ["the books of a target's report are those of the process"] = no_garbage,
  ["a print may profile itself"] = no_garbage,
  ["a report works in a coroutine, in a pcall, as a tail call and as a callback"] = no_garbage,
  ["a report works in a finalizer"] = _VERSION == "Lua 5.3" and no_garbage or nil, -- 5.4 tells no count there
}
