-- A tour of MemBuddy. Paste it into a process that has it, by its image or by dist/membuddy.lua (.load FILE).
-- Everything it makes stands in the global MembuddyExample, and the last lines clean up.

local membuddy = require("membuddy")
print(("MemBuddy %s, %s: figures are %s"):format(
  membuddy.version, membuddy.backend, membuddy.exact and "exact" or "computed"))

local function title(text) print("\n== " .. text) end

-- Something to look at: a table of tables, a counter in a closure, a coroutine that waits.
MembuddyExample = {
  balances = {},
  inbox = {},
  note = ("A note that somebody left here. "):rep(40),
}
for i = 1, 300 do
  MembuddyExample.balances[("address-%06d"):format(i)] = tostring(i * 1000000)
end
for i = 1, 40 do
  MembuddyExample.inbox[i] = { Id = i, From = "somebody", Tags = { Action = "Unknown", Number = i } }
end
do
  local seen = {}
  MembuddyExample.count = function(who) seen[who] = (seen[who] or 0) + 1 return seen[who] end
  for i = 1, 50 do MembuddyExample.count("visitor " .. i) end
end
MembuddyExample.waiting = coroutine.create(function()
  local held = ("x"):rep(5000)
  coroutine.yield()
  return held
end)
coroutine.resume(MembuddyExample.waiting)
MembuddyExample.self = MembuddyExample -- a circular reference

title("The whole process: what it holds, largest first")
membuddy.print({ top = 10 })

title("What grew since a mark, and the other leaks of aos by their names")
if membuddy.checks then -- src/membuddy.lua alone has none
  local marked = membuddy.marked
  membuddy.mark()
  for i = 41, 80 do MembuddyExample.inbox[i] = { Id = i, From = "somebody", Data = ("news "):rep(20) .. i } end
  for _, check in ipairs(membuddy.checks()) do
    if check.found then
      print(("%s: %d, %s: %s"):format(check.name, check.count, membuddy.format_size(check.bytes), check.text))
      print("    " .. check.advice)
    end
  end
  membuddy.marked = marked -- of before, if any
end

title("One table, two steps deep")
membuddy.print({ target = MembuddyExample, depth = 2, top = 8, no_header = true })

title("A closure is more than its code: its upvalues count")
membuddy.print({ target = MembuddyExample.count, no_header = true, top = 5 })

title("A coroutine: its stack, and what its locals hold")
membuddy.print({ target = MembuddyExample.waiting, no_header = true, top = 5 })

title("Results are a table: look at them, keep them, print them later")
local results = membuddy.profile(MembuddyExample, { depth = 1 })
print(("%s holds %s in %d objects; others hold %s of it as well"):format(
  results.target, membuddy.format_size(results.totalSize), results.objects,
  membuddy.format_size(results.shared)))
membuddy.print_results(results, { top = 3, no_header = true }) -- the same as membuddy.print

title("What would be freed if it went away")
print("MembuddyExample retains " .. membuddy.format_size(membuddy.retained(MembuddyExample)))
print("its balances retain " .. membuddy.format_size(membuddy.retained(MembuddyExample.balances)))
print("its table alone is " .. membuddy.format_size(membuddy.sizeof(MembuddyExample.balances)))
membuddy.print({ target = MembuddyExample, depth = 1, retained = true, top = 4, no_header = true, cycles = false })

title("Kinds of objects")
local kinds = membuddy.kinds()
for _, kind in ipairs({ "table", "string", "function", "proto", "thread" }) do
  print(("%-9s %6d  %s"):format(kind, kinds[kind].count, membuddy.format_size(kinds[kind].bytes)))
end

title("The account: every byte of the process's memory")
local account = membuddy.account()
local names = {}
for name in pairs(account.parts) do names[#names + 1] = name end
table.sort(names, function(a, b) return account.parts[a] > account.parts[b] end)
for _, name in ipairs(names) do
  print(("%-9s %s"):format(name, membuddy.format_size(account.parts[name])))
end
print("unaccounted " .. account.unaccounted .. " bytes")

title("Cleaning up frees what was promised")
local function used()
  collectgarbage()
  local bytes = collectgarbage("count") * 1024
  return bytes - membuddy.kinds().string_table.bytes -- which shrinks when Lua likes to
end
for _ = 1, 10 do used() end -- Lua keeps a few call frames for the next calls: let it
local before = used()
local promised = membuddy.retained(MembuddyExample)
MembuddyExample = nil
print(("promised %d bytes, freed %d bytes"):format(promised, before - used()))
