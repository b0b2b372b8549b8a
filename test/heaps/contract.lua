-- The contract of `membuddy`: what its interface promises to a Lua program, claim by claim.
--
-- Pure Lua without io, os and files, so that it runs natively and, sent as a message, inside a process. The chunk returns
-- a list of {name = claim, run = function}; a function that returns has proven its claim, an error says why not.

local membuddy = require("membuddy")

local tests = {}
local function test(claim, run, open) tests[#tests + 1] = { name = claim, run = run, open = open } end

-- ---- helpers ----

local function check(holds, format, ...)
  if not holds then error(string.format(format, ...), 2) end
end

local function equal(actual, expected, what)
  if actual ~= expected then
    error(string.format("%s is %s, expected %s", what, tostring(actual), tostring(expected)), 2)
  end
end

local function contains(text, part, what)
  if not string.find(text, part, 1, true) then
    error(string.format("%s lacks '%s': %s", what, part, text), 2)
  end
end

-- Runs `body` with globals of its own, and puts back what was there.
local function with_globals(globals, body, ...)
  local before = {}
  for name in pairs(globals) do before[name] = rawget(_G, name) end
  for name, value in pairs(globals) do rawset(_G, name, value ~= "absent" and value or nil) end
  local results = table.pack(pcall(body, ...))
  for name in pairs(globals) do rawset(_G, name, before[name]) end
  if not results[1] then error(results[2], 2) end
  return table.unpack(results, 2, results.n)
end

-- The lines that `membuddy.print(...)` prints, without colours.
local function printed(...)
  local lines = {}
  with_globals({ print = function(...)
    equal(select("#", ...), 1, "the number of arguments of print")
    lines[#lines + 1] = (...)
  end, Colors = "absent" }, membuddy.print, ...)
  return lines
end

-- The message of the error that a call raises.
local function refusal(f, ...)
  local ok, message = pcall(f, ...)
  check(not ok, "the call was accepted")
  equal(type(message), "string", "the type of the error")
  check(not message:find("\n"), "the error is no single sentence: %s", message)
  contains(message, "membuddy", "the error")
  return message
end

local function sum(t)
  local total = 0
  for _, value in pairs(t) do total = total + value end
  return total
end

local function count(t)
  local total = 0
  for _ in pairs(t) do total = total + 1 end
  return total
end

-- A path without what is escaped in it, so that every slash separates.
local function segments(path)
  local plain = path:gsub("\\.", "")
  return 1 + select(2, plain:gsub("/", ""))
end

local function paths_like(t, pattern)
  local found = {}
  for path in pairs(t) do
    if path:find(pattern) then found[#found + 1] = path end
  end
  table.sort(found)
  return found
end

-- The only path of a target's report, besides the target's own.
local function only_path(results)
  local found
  for path in pairs(results.totalSizes) do
    if path ~= results.target then
      check(found == nil, "there is more than one path: %s and %s", tostring(found), path)
      found = path
    end
  end
  check(found, "there is no path below the target")
  return found:sub(#results.target + 2)
end

local function profile_named(target, options)
  local results = membuddy.profile(target, options)
  return results, results.target
end

-- Lua bytes that `make` allocates for what it returns: the collector rests, so the difference is exact.
local function bytes_of(make)
  collectgarbage("stop")
  local before = collectgarbage("count")
  local value = make()
  local after = collectgarbage("count")
  collectgarbage("restart")
  return math.floor((after - before) * 1024 + 0.5), value
end

local big = string.rep

-- ---- how people call it ----

test("profile() gives results with every promised field", function()
  local r = membuddy.profile()
  equal(r.type, "membuddy-results", "type")
  for name, kind in pairs({ totalSize = "number", sizes = "table", totalSizes = "table", circular = "table",
    cycles = "table", objects = "number", kinds = "table", luaSize = "number", garbage = "number",
    unaccounted = "number", exact = "boolean", backend = "string" }) do
    equal(type(r[name]), kind, "the type of field " .. name)
  end
end)

test("the library says what it is", function()
  equal(membuddy.backend, "native", "backend")
  equal(membuddy.exact, true, "exact")
  check(membuddy.version:find("^%d+%.%d+%.%d+$"), "the version is '%s'", membuddy.version)
  local r = membuddy.profile({ depth = 0 })
  equal(r.backend, membuddy.backend, "the results' backend")
  equal(r.exact, membuddy.exact, "the results' exact")
end)

test("the library has what is documented, and nothing else", function()
  local known = {}
  for name in ("profile print print_results format_size sizeof retained kinds account checks mark marked serve serving "
    .. "backend exact version"):gmatch("%S+") do known[name] = true end
  for name in pairs(membuddy) do check(known[name], "there is %s", tostring(name)) end
end)

test("a table of options is no target", function()
  local r = membuddy.profile({ depth = 3 })
  equal(r.target, nil, "the target")
  check(r.totalSizes._G, "there is no line for _G")
end)

test("a table that has other keys than options is the target", function()
  local t = { depth = 3, name = "mine" }
  local r = membuddy.profile(t)
  check(r.totalSize < r.luaSize / 2 and r.target, "the whole process was profiled")
end)

test("a target and options go together", function()
  local t = { { { {} } } }
  local r, name = profile_named(t, { depth = 2 })
  check(r.sizes[name .. "/1/1"], "depth 2 is missing")
  check(r.sizes[name .. "/1/1/..."], "what lies below is missing")
  check(not r.sizes[name .. "/1/1/1"], "depth 3 is there")
end)

test("option target and option max_depth work as their twins do", function()
  local t = { { { { { { "deep" } } } } } }
  local a = membuddy.profile({ target = t, max_depth = "inf" })
  local b = membuddy.profile(t, { depth = math.huge })
  local c = membuddy.profile(t, { depth = "infinity" })
  equal(a.totalSize, b.totalSize, "the total")
  equal(count(a.sizes), count(b.sizes), "the number of lines")
  equal(count(a.sizes), count(c.sizes), "the number of lines")
  check(a.sizes[a.target .. "/1/1/1/1/1"], "the deepest line is missing")
end)

test("print and print_results print the same", function()
  local r = membuddy.profile()
  local a = printed(r)
  local lines = {}
  with_globals({ print = function(line) lines[#lines + 1] = line end, Colors = "absent" }, membuddy.print_results, r)
  equal(table.concat(a, "\n"), table.concat(lines, "\n"), "the text")
end)

test("without cycles none are told, nor counted", function()
  local t = {}
  for i = 1, 100 do t[i] = { t } end
  local r = membuddy.profile({ target = t, cycles = false })
  equal(count(r.circular), 0, "the circular references")
  equal(r.otherCycles, nil, "those left out")
end)

test("print takes options alone", function()
  local lines = printed({ top = 10, min_size = 10, cycles = false, no_header = true, checks = false })
  contains(lines[1], "Total size: ", "the first line")
  equal(lines[2], "Sizes:", "the second line")
  equal(#lines, 2 + 10 + 1, "the number of lines")
end)

test("print() prints a report of the whole process", function()
  local text = table.concat(printed(), "\n")
  contains(text, "MemBuddy", "the report")
  contains(text, "unaccounted: 0 bytes", "the report")
  contains(text, "    _G: ", "the report")
end)

test("print of results takes options for the print", function()
  local r = membuddy.profile()
  equal(#printed(r, { top = 3, no_header = true, cycles = false }), 2 + 3 + 1, "the number of lines")
end)

test("a size is formatted with its unit", function()
  local unit = 1024
  for bytes, text in pairs({ [0] = "0 bytes", [1023] = "1023 bytes", [unit] = "1.00 KB", [1.5 * unit] = "1.50 KB",
    [4 * unit ^ 2] = "4.00 MB", [1.5 * unit ^ 3] = "1.50 GB", [1288490] = "1.23 MB" }) do
    equal(membuddy.format_size(bytes), text, "the size")
  end
end)

test("a coloured size has the colours of the process", function()
  local colours = { red = "<r>", green = "<g>", gray = "<y>", reset = "<0>" }
  local text = with_globals({ Colors = colours }, membuddy.format_size, 2048, true)
  contains(text, "<r>2.00<0>", "the size")
  equal((text:gsub("<.>", "")), "2.00 KB", "the text without colours")
  equal(with_globals({ Colors = colours }, membuddy.format_size, 2048), "2.00 KB", "the size where none are wanted")
end)

test("no size is printed as 1024 of a unit", function()
  for bytes, text in pairs({ [1024 * 1024 - 1] = "1.00 MB", [1023.6] = "1.00 KB", [1023.7 * 1024] = "1023.70 KB", [-2048] = "-2.00 KB",
    [2048 * 1024 ^ 3] = "2048.00 GB", [math.mininteger] = "-8589934592.00 GB" }) do
    equal(membuddy.format_size(bytes), text, "the size")
  end
end)

test("a size that is no number is refused", function()
  for _, value in ipairs({ "twelve", {}, true }) do
    check(not pcall(membuddy.format_size, value), "%s was accepted", tostring(value))
  end
  check(not pcall(membuddy.format_size), "nothing was accepted")
end)

test("a call without its argument says which", function()
  for _, name in ipairs({ "format_size", "sizeof", "retained" }) do
    local _, message = pcall(membuddy[name])
    contains(message, "bad argument #1 to '" .. name .. "'", "the error")
  end
end)

-- ---- exactness ----

test("the sizes add up to the total, and the total with garbage to what Lua says", function()
  for _, options in ipairs({ {}, { depth = 0 }, { depth = 1 }, { depth = 2 }, { depth = 6 }, { depth = math.huge },
    { children = 3 }, { children = false }, { lines = 20 }, { retained = true }, { cycles = false } }) do
    local r = membuddy.profile(options)
    equal(sum(r.sizes), r.totalSize, "the sum of the sizes")
    equal(r.totalSize + r.garbage, r.luaSize, "total and garbage")
    equal(r.unaccounted, 0, "what is unaccounted")
  end
end)

test("Lua's size is what collectgarbage counts", function()
  collectgarbage("stop")
  local before = collectgarbage("count") * 1024
  local r = membuddy.profile({ depth = 0 })
  local after = collectgarbage("count") * 1024
  collectgarbage("restart")
  check(before <= r.luaSize and r.luaSize <= after, "%d is not between %d and %d", r.luaSize, before, after)
end)

test("the kinds add up to the total and the objects", function()
  for _, target in ipairs({ false, { 1, "text of a target", {}, print, function() return tests end } }) do
    local r = target and membuddy.profile(target) or membuddy.profile()
    local bytes, objects = 0, 0
    for name, kind in pairs(r.kinds) do
      bytes = bytes + kind.bytes
      if name ~= "state" and name ~= "string_table" then objects = objects + kind.count end
    end
    equal(bytes, r.totalSize, "the bytes of the kinds")
    equal(objects, r.objects, "the count of the kinds")
  end
end)

test("kinds of a target are those of its report", function()
  local weak = setmetatable({ {} }, { __mode = "v" })
  local targets = { { 1, "text of a target", {}, print, function() return tests end, weak }, big("t", 100), coroutine.create(print),
    function() return weak end, _G }
  for _, target in ipairs(targets) do
    local kinds = membuddy.kinds(target)
    for name, kind in pairs(membuddy.profile({ target = target, depth = 0, cycles = false }).kinds) do
      equal(kinds[name].count, kind.count, "count of each " .. name .. " of a " .. type(target))
      equal(kinds[name].bytes, kind.bytes, "bytes of each " .. name .. " of a " .. type(target))
    end
  end
end)

test("kinds() counts what a program makes", function()
  local before = membuddy.kinds()
  local held = {}
  for i = 1, 100 do held[i] = { function() return held, i end, "held string " .. i } end
  local after = membuddy.kinds()
  check(after.table.count - before.table.count >= 101, "tables are missing")
  equal(after["function"].count - before["function"].count, 100, "the functions")
  check(after.string.count - before.string.count >= 100, "strings are missing")
  check(after.upvalue.count - before.upvalue.count >= 100, "upvalues are missing")
end)

test("long strings take no room in the string table", function()
  local before, held = membuddy.kinds(), {}
  for i = 1, 2000 do held[i] = big("l", 60 + i) end
  local after = membuddy.kinds()
  check(after.string.count - before.string.count >= #held, "strings are missing")
  equal(after.string_table.bytes, before.string_table.bytes, "the bytes of the string table")
end)

test("sizeof is what Lua allocates for a value", function()
  local t
  equal(membuddy.sizeof({}), (bytes_of(function() return {} end)), "an empty table")
  local bytes, list = bytes_of(function() return { 1, 2, 3, 4, 5 } end)
  equal(membuddy.sizeof(list), bytes, "a list of five")
  bytes, t = bytes_of(function() return { a = 1, b = 2, c = 3 } end)
  equal(membuddy.sizeof(t), bytes, "a table of three names")
  bytes, t = bytes_of(function() return big("x", 5000) end)
  equal(membuddy.sizeof(big("x", 6000)) - membuddy.sizeof(t), 1000, "a thousand more characters")
end)

test("sizeof of a list that was made at once stays when its last entries go", function()
  for length = 3, 40 do
    local list = { table.unpack({}, 1, length) }
    for i = 1, length do list[i] = i end
    local bytes = membuddy.sizeof(list)
    for i = length, length // 2 + 2, -1 do
      list[i] = nil
      equal(membuddy.sizeof(list), bytes, ("sizeof of a list of %d without the last from %d on"):format(length, i))
    end
  end
end)

test("sizeof of a table ends, whatever keys went away", function()
  local keys = { "1", "2", "math.mininteger + 1" }
  for i = 1, 62 do keys[#keys + 1] = (1 << i) + 1 end
  local t = load("return { [" .. table.concat(keys, "] = 1, [") .. "] = 1 }")()
  for key in pairs(t) do t[key] = nil end
  debug.sethook(function() error("it goes on and on") end, "", 100000)
  local ok, problem = pcall(membuddy.sizeof, t)
  debug.sethook()
  check(ok, "sizeof fails: %s", problem)
end)

test("sizeof of a value that lies in its holder is 0", function()
  for _, value in ipairs({ 1, 1.5, true }) do equal(membuddy.sizeof(value), 0, tostring(value)) end
  equal(membuddy.sizeof(nil), 0, "nil")
end)

test("sizeof of a coroutine counts its stack", function()
  local function deep(n) if n == 0 then coroutine.yield() end return 1 + deep(n - 1) end
  local flat, high = coroutine.create(deep), coroutine.create(deep)
  coroutine.resume(flat, 0)
  coroutine.resume(high, 150)
  check(membuddy.sizeof(high) > 4 * membuddy.sizeof(flat), "the stack is not counted")
end)

test("garbage is what a collection frees", function()
  collectgarbage()
  collectgarbage()
  collectgarbage("stop")
  local before = membuddy.profile({ depth = 0 })
  local length = 100000
  do local _ = big("garbage", length) end
  (function(...) return ... end)(nil, nil, nil, nil, nil, nil) -- so that no register still holds it
  local after = membuddy.profile({ depth = 0 })
  collectgarbage("restart")
  check(after.garbage - before.garbage >= 7 * length, "garbage grew by %d bytes", after.garbage - before.garbage)
  check(after.totalSize - before.totalSize < length, "live data grew by %d bytes", after.totalSize - before.totalSize)
end)

test("an entry of a weak table is garbage, and stays until Lua collects", function()
  collectgarbage()
  collectgarbage("stop")
  local weak = setmetatable({}, { __mode = "v" })
  weak[1] = { big("weak", 20000) }
  local r = membuddy.profile(weak)
  check(weak[1], "the entry is gone")
  collectgarbage("restart")
  check(r.totalSize < 10000, "a dead value was counted: %d bytes", r.totalSize)
end)

test("account() cuts Lua's memory into parts", function()
  local a = membuddy.account()
  equal(a.unaccounted, 0, "what is unaccounted")
  equal(a.parts.live + a.parts.garbage + a.parts.runtime, a.luaSize, "the parts of Lua")
  if a.memory then equal(sum(a.parts), a.memory, "the sum of all parts") end
end)

test("what a hook raises in a report arrives as it is, and runs nothing", function()
  local ran = false
  local function run() ran = true end
  local raised = setmetatable({}, { __index = run, __eq = run })
  for _, budget in ipairs({ 1e9, false }) do
    local caught
    local done = pcall(function()
      debug.sethook(function() error(raised) end, "", 500)
      local ok, problem = pcall(membuddy.profile, { budget = budget or nil })
      debug.sethook()
      caught = not ok and problem
    end)
    debug.sethook()
    check(not done or not caught or rawequal(caught, raised), "the error is %s", type(caught))
  end
  check(not ran, "a metamethod ran")
  check(collectgarbage("isrunning"), "the collector rests")
end)

test("profile leaves the collector as it was", function()
  local is_running = collectgarbage("isrunning")
  membuddy.profile()
  pcall(membuddy.profile, { depth = -1 })
  pcall(membuddy.profile, nil)
  equal(collectgarbage("isrunning"), is_running, "whether it runs")
  collectgarbage("stop")
  membuddy.profile()
  printed({ top = 0 })
  local stopped = not collectgarbage("isrunning")
  collectgarbage("restart")
  check(stopped, "a stopped collector runs again")
end)

-- ---- totals, depth, children ----

test("a total is the sum of the sizes at the path and below it", function()
  local t = { list = { {}, {}, { {} } }, name = "a text", [print] = { 1 }, ["with/slash"] = { {} } }
  for _, depth in ipairs({ 1, 2, math.huge }) do
    local r = membuddy.profile(t, { depth = depth })
    for path, total in pairs(r.totalSizes) do
      local below = 0
      for other, bytes in pairs(r.sizes) do
        if other == path or other:sub(1, #path + 1) == path .. "/" then below = below + bytes end
      end
      equal(below, total, "the sum below " .. path)
    end
  end
end)

test("totals do not depend on the depth", function()
  local t = { a = { b = { c = { d = { big("e", 500) } } } }, f = { {}, {}, {} } }
  local reference, name = profile_named(t, { depth = math.huge })
  for depth = 0, 6 do
    local r = profile_named(t, { depth = depth })
    equal(r.totalSize, reference.totalSize, "the total at depth " .. depth)
    for path, total in pairs(r.totalSizes) do equal(total, reference.totalSizes[path], "the total of " .. path) end
  end
  check(reference.sizes[name .. "/a/b/c/d/1"], "the deepest path is missing")
end)

test("no path has more segments than the depth", function()
  for depth = 0, 5 do
    for path in pairs(membuddy.profile({ depth = depth }).totalSizes) do
      check(segments(path) - 1 <= depth, "at depth %d there is %s", depth, path)
    end
  end
end)

test("what lies below the depth is summed in one line", function()
  local t = { { { big("x", 1000) }, big("y", 1000) } }
  local r, name = profile_named(t, { depth = 1 })
  equal(count(r.sizes), 3, "the number of lines")
  equal(r.sizes[name .. "/1/..."], r.totalSizes[name .. "/1"] - r.sizes[name .. "/1"], "the bytes below")
end)

test("a table shows its largest children and counts the others", function()
  local t = {}
  for i = 1, 300 do t[i] = big("x", 100 + i) end
  local r, name = profile_named(t)
  local shown = 256
  check(r.sizes[name .. "/300"] and r.sizes[name .. "/" .. 300 - shown + 1], "a large one is missing")
  check(not r.sizes[name .. "/" .. 300 - shown], "one too many is there")
  local folded = r.sizes[name .. "/[" .. 300 - shown .. " more]"]
  local expected = 0
  for i = 1, 300 - shown do expected = expected + membuddy.sizeof(t[i]) end
  equal(folded, expected, "the bytes of the others")
end)

test("whatever a large table holds, its children are shown or counted", function()
  local makers = { function(i) return { i } end, function(i) return { { i } } end, function(i) return function() return i end end }
  for kind, make in ipairs(makers) do
    local t = {}
    for i = 1, 1000 do t[i] = make(i) end
    local r, name = profile_named(t, { depth = 1 })
    local shown, folded = #paths_like(r.totalSizes, "^" .. name .. "/[^/]*$"), paths_like(r.sizes, "^" .. name .. "/%[%d+ more%]$")
    equal(#folded, 1, "the lines of what is folded")
    equal(shown + tonumber(folded[1]:match("%d+")), 1000, "the children of kind " .. kind)
  end
end)

test("option children says how many children are shown", function()
  local t = {}
  for i = 1, 40 do t[i] = big("x", 100 + i) end
  local r, name = profile_named(t, { children = 5 })
  equal(count(r.sizes), 1 + 5 + 1, "the number of lines")
  check(r.sizes[name .. "/[35 more]"], "the others are not counted")
  r = membuddy.profile(t, { children = false })
  equal(count(r.sizes), 1 + 40, "the number of lines for all")
  for i = 1, 1000 do t[i] = { { i } } end
  equal(count(membuddy.profile(t, { children = false, depth = "inf" }).sizes), 1 + 2000, "the number of lines for all")
end)

test("of children of one size the first by key have lines", function()
  local function shown(t, children)
    local r = membuddy.profile(t, { children = children })
    return (table.concat(paths_like(r.totalSizes, "/"), " "):gsub(r.target .. "/", ""))
  end
  local list = {}
  for i = 1, 40 do list[i] = { i } end
  equal(shown(list, 3), "1 2 3", "of a list")
  equal(shown({ [10] = {}, [9] = {}, [1 << 40] = {}, [-5] = {} }, 3), "-5 10 9", "of numbers, which are told as texts are")
  equal(shown({ [10] = {}, [9] = {}, [12] = {}, [-5] = {} }, 3), "-5 10 9", "of numbers, which are told as texts are")
  equal(shown({ [10] = {}, [9] = {}, [-1 << 40] = {}, [-5] = {} }, 1), "-1099511627776", "of numbers far below 0")
  equal(shown({ d = {}, b = {}, c = {}, a = {} }, 2), "a b", "of names")
end)

test("a function with many in it has no more lines than its options say", function()
  local inner = {}
  for i = 1, 200 do inner[i] = "function(a) local x = a return x, " .. i .. " end" end
  local f = load("return {" .. table.concat(inner, ",\n") .. "}", "=many")
  check(count(membuddy.profile(f, { lines = 40 }).sizes) <= 40, "there are more")
end)

test("what only a temporary value of a waiting call holds is found", function()
  local function holder()
    local held = big("held", 9000)
    return function() return held end
  end
  local function wait(...) return select("#", ...) end
  local thread = coroutine.create(function() return wait(1, 2, 3, 4, 5, 6, 7, holder(), coroutine.yield()) end)
  coroutine.resume(thread)
  check(membuddy.profile(thread, {}).totalSize > 9000, "it is not")
end)

test("a local variable that holds no memory is no child", function()
  local thread = coroutine.create(function()
    local a, b, c, d, e = 1, true, { big("c", 500) }, {}, {}
    coroutine.yield()
    return a, b, c, d, e
  end)
  coroutine.resume(thread)
  local r, name = profile_named(thread, { children = 1 })
  check(r.sizes[name .. "/[3 more]"], "there are not 3 others: %s", table.concat(paths_like(r.sizes, "more"), " "))
end)

test("a folded child counts with all that is below it", function()
  local t = { big("x", 5000), {}, { {}, {} } }
  local r, name = profile_named(t, { children = 1, depth = 2 })
  equal(r.sizes[name .. "/[2 more]"], r.totalSize - r.sizes[name] - r.sizes[name .. "/1"], "the bytes of the others")
end)

test("a report has no more lines than its options say, however large the heap", function()
  local t = {}
  for i = 1, 3000 do t[i] = { { {} }, { i } } end
  check(count(membuddy.profile(t).sizes) <= 320, "a default report has %d lines", count(membuddy.profile(t).sizes))
  check(count(membuddy.profile(t, { lines = 50 }).sizes) <= 50, "50 lines are exceeded")
end)

test("a number of lines that is as large as can be is no default", function()
  local t = {}
  for i = 1, 400 do t[i // 200 + 1] = t[i // 200 + 1] or {} table.insert(t[i // 200 + 1], { i }) end
  for number = (1 << 32) - 3, (1 << 32) + 1 do
    local lines = count(membuddy.profile(t, { lines = number }).sizes)
    check(lines > 400, "of %d lines there are %d", number, lines)
  end
end)

test("the child with most below it has a line, however many siblings and however deep", function()
  local function flat(i) return { { i } } end
  local function deep(i) return { { { { { { { i } } } } } } } end
  for siblings, sibling in pairs({ [300] = flat, [600] = flat, [3000] = deep, [5000] = flat }) do
    local t = {}
    for i = 1, siblings do t[i] = sibling(i) end
    t[siblings // 2] = { { { { { big("deep", 100000) } } } } }
    local r, name = profile_named(t)
    check(r.totalSizes[name .. "/" .. siblings // 2], "among %d siblings the largest has no line", siblings)
    equal(#paths_like(r.sizes, "%[0 more%]"), 0, "lines of what is folded that say nothing is")
  end
  local deep = { { { big("deep", 100000) } } }
  for _, key in ipairs({ deep, function() return deep end }) do
    local t = { [key] = 0 }
    for i = 1, 600 do t[i] = { { i } } end
    local r, name = profile_named(t)
    check((r.totalSizes[name .. "/[" .. type(key) .. "]"] or 0) > 100000, "a %s that is a key has no line", type(key))
  end
end)

test("without bounds every entry has lines, however many there are", function()
  local t = {}
  for i = 1, 7000 do t[i] = { { i } } end
  for depth, lines in pairs({ [1] = 1 + 7000 + 7000, [2] = 1 + 7000 + 7000, [4] = 1 + 7000 + 7000 }) do
    local r = membuddy.profile(t, { children = false, lines = false, depth = depth })
    equal(count(r.sizes), lines, "lines to depth " .. depth)
    equal(#paths_like(r.sizes, " more%]$"), 0, "lines of what is folded to depth " .. depth)
  end
end)

test("a table that is only counted counts as it is alone, whatever shape it has", function()
  local function with_room(has_room)
    local list = has_room and { 1, 2, 3, 4 } or { 1, 2, 3, 4, 5 }
    list[5] = 5
    return list
  end
  local total = 6000
  local makers = { function(i) return { i, i, i, x = i, y = i } end, function(i) return { x = i, [i + 0.5] = i } end }
  for _, has_room in ipairs({ function(i) return i % 2 == 0 end, function(i) return i % 4 < 2 end, function(i) return i > total // 2 end }) do
    makers[#makers + 1] = function(i) return with_room(has_room(i)), has_room(i) end
  end
  for number, make in ipairs(makers) do
    local t, sizes, bytes = {}, {}, 0
    for i = 1, total do
      local kind
      t[i], kind = make(i)
      sizes[kind or 0] = sizes[kind or 0] or membuddy.sizeof(t[i])
      bytes = bytes + sizes[kind or 0]
    end
    local found = membuddy.profile({ target = { t }, depth = 0 }).kinds.table.bytes - membuddy.sizeof({ 1 }) - membuddy.sizeof(t)
    local tolerance = membuddy.exact and 0 or 0.02
    check(math.abs(found - bytes) <= tolerance * bytes, "tables of maker %d have %d bytes, not %d", number, found, bytes)
  end
end)

test("what a key refers to counts for the line in which the key is, and a long key once", function()
  local key, t, alike = "a key of some length " .. big("k", 200), {}, {}
  for i = 1, 5 do t[i] = { { [{ big("of line 1", 100 * i) }] = 1 }, { x = { 2 } } } end
  local r, name = profile_named(t, { depth = 1 })
  for i = 2, 4 do
    equal(r.totalSizes[name .. "/5"] - r.totalSizes[name .. "/" .. i], #big("of line 1", 100) * (5 - i), "what line 5 has more than line " .. i)
  end
  for i = 1, 50 do alike[i] = { { [key] = i } } end
  check(membuddy.profile(alike, { depth = 0 }).totalSize < 50 * #key, "the key counts again and again")
end)

test("the total of a line counts all that is below it, however many siblings it has", function()
  local t = {}
  for i = 1, 2000 do t[i] = { { i, { i } } } end
  t[1000] = { big("wide", 1000), { { big("deep", 100000) } } }
  local alone = membuddy.profile({ target = { t[1000] }, depth = 1 })
  local r, name = profile_named(t)
  equal(r.totalSizes[name .. "/1000"], alone.totalSizes[alone.target .. "/1"], "the total")
end)

test("the shortest chain of references names an object", function()
  local held = { big("x", 100) }
  local t = { a = { b = { c = held } }, z = held }
  local r, name = profile_named(t)
  equal(r.totalSizes[name .. "/z"], membuddy.sizeof("z") + membuddy.sizeof(held) + membuddy.sizeof(held[1]), "the short way")
  equal(r.totalSizes[name .. "/a/b/c"], membuddy.sizeof("c"), "what the long way has of its own")
end)

test("the bytes of a string key belong to its entry", function()
  local key = "a key of some length " .. big("k", 200)
  local t = { [key] = { 1 } }
  local r = membuddy.profile(t)
  equal(sum(r.sizes) - r.sizes[r.target], membuddy.sizeof(key) + membuddy.sizeof(t[key]), "the bytes of the entry")
end)

test("the roots of the process have lines of their own", function()
  local r = membuddy.profile()
  local many = {}
  for i = 1, 20000 do many[i] = {} end
  rawset(_G, "ContractGlobal", many)
  local among_many = membuddy.profile()
  rawset(_G, "ContractGlobal", nil)
  for _, root in ipairs({ "_G", "[registry]", "[main thread]", "[string table]", "[state]" }) do
    check(r.sizes[root] and among_many.sizes[root], "there is no line for %s", root)
  end
end)

-- ---- paths ----

test("keys of every kind have a readable name", function()
  local function name_of(key, expected)
    local r = membuddy.profile({ [key] = { 1 } }, { children = false })
    local found = only_path(r)
    equal(found, expected, "the name")
  end
  name_of("name", "name")
  name_of(12, "12")
  name_of(-3, "-3")
  name_of(1.5, "1.5")
  name_of(2 ^ 53, "9007199254740992") -- a key is an integer where it can be
  name_of(2 ^ 70, tostring(2 ^ 70))
  name_of(true, "true")
  name_of(false, "false")
  name_of(print, "[function]")
  name_of("", "")
end)

test("a table that is a key has a line of its own", function()
  local t = { [{ big("k", 100) }] = { big("v", 200) } }
  local r, name = profile_named(t)
  check(r.sizes[name .. "/[table]"], "there is no line for the key")
  equal(count(r.sizes), 5, "the number of lines")
end)

test("different keys that read alike are numbered", function()
  local t = { [1] = { "a" }, ["1"] = { "b" }, [{}] = 1, [{ {} }] = 2 }
  t["[table]#2"] = { 3 }
  local r, name = profile_named(t)
  check(r.sizes[name .. "/[table]#3"] or r.sizes[name .. "/[table]#2#2"], "a key that reads like a number is lost")
  check(r.sizes[name .. "/1"] and r.sizes[name .. "/1#2"], "the two 1s are not told apart")
  check(r.sizes[name .. "/[table]"] and r.sizes[name .. "/[table]#2"], "the two tables are not told apart")
end)

test("whatever reads alike is numbered, and keeps its bytes", function()
  local long = ("x"):rep(100)
  local alike = { { true, "true" }, { false, "false" }, { 1, "1" }, { -7, "-7" }, { 0.5, "0.5" }, { math.huge, "inf" },
    { -math.huge, "-inf" }, { print, "[function]" }, { long .. "1", long .. "2" } }
  for _, keys in ipairs(alike) do
    local t = { [keys[1]] = { big("a", 200) }, [keys[2]] = { big("b", 300) } }
    local r, name = profile_named(t)
    equal(sum(r.sizes), r.totalSize, "the sum of the sizes with " .. tostring(keys[1]))
    equal(count(paths_like(r.sizes, "#2$")), 1, "entries with a number beside " .. tostring(keys[1]))
    equal(count(paths_like(r.sizes, "^" .. name:gsub("%W", "%%%0") .. "/[^/]*$")), 2, "entries called " .. tostring(keys[1]))
  end
end)

test("what a key is made of cannot be mistaken", function()
  local cases = {
    ["a/b"] = "a\\/b", ["a\\b"] = "a\\\\b", ["nul\\x00byte"] = "nul\\\\x00byte",
    ["nul\0byte"] = "nul\\x00byte", ["esc\27[31m"] = "esc\\x1B[31m", ["new\nline"] = "new\\x0Aline",
    ["caf\195\169"] = "caf\195\169", ["bad\195"] = "bad\\xC3", ["\255\254"] = "\\xFF\\xFE", ["\127"] = "\\x7F",
    ["\237\160\128"] = "\\xED\\xA0\\x80", ["\192\175"] = "\\xC0\\xAF", ["\194\155"] = "\\xC2\\x9B",
    ["\226\130\172"] = "\226\130\172", ["\240\159\152\128"] = "\240\159\152\128",
    ["\224\159\191"] = "\\xE0\\x9F\\xBF", ["\240\143\191\191"] = "\\xF0\\x8F\\xBF\\xBF",
    ["\244\144\128\128"] = "\\xF4\\x90\\x80\\x80", ["\245\128\128\128"] = "\\xF5\\x80\\x80\\x80",
    ["\194\160"] = "\194\160", ["\224\160\128"] = "\224\160\128", ["\237\159\191"] = "\237\159\191",
    ["\240\144\128\128"] = "\240\144\128\128", ["\244\143\191\191"] = "\244\143\191\191",
    ["\194\159"] = "\\xC2\\x9F", ["\193\191"] = "\\xC1\\xBF", ["\223\191"] = "\223\191", ["\226\130k"] = "\\xE2\\x82k",
  }
  for key, expected in pairs(cases) do
    equal(only_path(membuddy.profile({ [key] = { 1 } })), expected, "the name")
  end
end)

test("a long key is cut at 64 bytes, between characters", function()
  local exact, longer = big("k", 64), big("k", 65)
  equal(only_path(membuddy.profile({ [exact] = { 1 } })), exact, "64 bytes")
  equal(only_path(membuddy.profile({ [longer] = { 1 } })), exact .. "\226\128\166", "65 bytes")
  local euro = big("\226\130\172", 22)
  equal(only_path(membuddy.profile({ [euro] = { 1 } })), euro:sub(1, 63) .. "\226\128\166", "22 characters of 3 bytes")
  local megabyte = big("m", 2 ^ 20)
  equal(#only_path(membuddy.profile({ [megabyte] = { 1 } })), 64 + 3, "the bytes of a megabyte's name")
end)

test("references that are no entries stand in brackets", function()
  local captured, meta = { big("c", 50) }, { big("m", 50) }
  local t = setmetatable({ f = function() return captured end }, meta)
  local r, name = profile_named(t)
  check(r.sizes[name .. "/[metatable]"], "the metatable is missing")
  check(r.sizes[name .. "/f/[upvalue captured]"], "the upvalue is missing")
  check(#paths_like(r.sizes, "/f/%[proto .*:%d+%]$") == 1, "the prototype is missing")
end)

test("a prototype is named by its chunk and line", function()
  local chunk = load("\n\nreturn function()\n return function() end end", "=some chunk")()
  local r, name = profile_named(chunk)
  check(r.sizes[name .. "/[proto some chunk:3]"], "line 3 is missing: %s", table.concat(paths_like(r.sizes, "."), " "))
  check(r.sizes[name .. "/[proto some chunk:3]/[proto some chunk:4]"], "line 4 is missing")
  for chunk_name, shown in pairs({ ["@file.lua"] = "file.lua", ["text\nof two lines"] = "text", ["=" .. big("n", 40)] = big("n", 40),
    ["=" .. big("n", 41)] = big("n", 40) .. "\226\128\166" }) do
    r, name = profile_named(load("return 1", chunk_name))
    check(r.sizes[name .. "/[proto " .. shown .. ":0]"], "there is no %s: %s", shown, table.concat(paths_like(r.sizes, "proto"), " "))
  end
end)

test("a coroutine's locals have their names", function()
  local values = { parameter = { big("q", 100) }, own = { big("o", 200) }, other = { big("p", 300) } }
  local thread = coroutine.create(function(parameter)
    local own, other = values.own, values.other
    coroutine.yield(own)
    return parameter, other
  end)
  coroutine.resume(thread, values.parameter)
  values = { { "parameter", values.parameter }, { "own", values.own }, { "other", values.other } }
  local r, name = profile_named(thread)
  for _, variable in ipairs(values) do
    local bytes = membuddy.sizeof(variable[2]) + membuddy.sizeof(variable[2][1])
    equal(r.totalSizes[name .. "/[local " .. variable[1] .. "]"], bytes, "what " .. variable[1] .. " holds")
  end
end)

test("a slot has the name of the variable that lives in it, not of one that did or will", function()
  local thread = coroutine.create(function()
    do local gone = 1 end
    local kept = {}
    local later = (function() coroutine.yield(kept) end)()
    return later
  end)
  coroutine.resume(thread)
  local r, name = profile_named(thread)
  check(r.sizes[name .. "/[local kept]"], "the variable that lives is missing")
  equal(#paths_like(r.sizes, "%[local [^k]"), 0, "the number of others")
end)

test("what a loop goes through has the name that Lua gives it", function()
  local weak = setmetatable({}, { __mode = "v" })
  local thread = coroutine.create(function()
    local function entries()
      weak[1] = { big("e", 100) }
      return pairs(weak[1])
    end
    for _ in entries() do coroutine.yield() end
  end)
  coroutine.resume(thread)
  local r, name = profile_named(thread)
  local bytes = membuddy.sizeof(weak[1]) + membuddy.sizeof(weak[1][1])
  equal(r.totalSizes[name .. "/[local (for state)]"], bytes, "what the loop holds")
  with_globals({ Waiting = thread }, function()
    equal(membuddy.profile({ target = weak[1] }).target, "_G/Waiting/[local (for state)]", "its name")
  end)
end)

test("a running function's locals have their names, whatever was called in the places of what it calls", function()
  local function grow(n) return n > 0 and 1 + grow(n - 1) or 0 end -- the stack, so that it stays where it is
  local function deeper() return 1 end
  local function call() return deeper() + deeper() end
  local function measure()
    local a, b, c, d, e, f, g, h = 1, 2, 3, 4, 5, 6, 7, 8
    local kept = { big("k", 100) }
    return membuddy.profile({ target = coroutine.running() }), kept, a + b + c + d + e + f + g + h
  end
  local thread = coroutine.create(function()
    grow(50)
    call()
    return measure()
  end)
  local _, r = coroutine.resume(thread)
  check(r.sizes[r.target .. "/[local kept]"], "it is missing: %s", table.concat(paths_like(r.sizes, "."), " "))
end)

test("a C function counts with what it keeps", function()
  local iterator = string.gmatch(big("s", 100), ".")
  equal(membuddy.profile({ iterator }).kinds["function"].bytes, membuddy.sizeof(iterator), "bytes")
  equal(membuddy.profile({ { iterator } }, { depth = 0 }).kinds["function"].bytes, membuddy.sizeof(iterator), "bytes of one that is only counted")
end)

test("what only an extra argument of a coroutine holds stands below its place on the stack", function()
  local thread = coroutine.create(function(...) coroutine.yield() return ... end)
  coroutine.resume(thread, 1, { big("e", 1000) })
  local r, name = profile_named(thread)
  local found = paths_like(r.totalSizes, "^" .. name .. "/%[stack %d+%]/1$")
  equal(#found, 1, "the number of such lines")
  equal(r.totalSizes[found[1]], membuddy.sizeof(big("e", 1000)), "the bytes")
end)

test("a long name of a variable is cut as a key is", function()
  local f = load("local " .. big("n", 65) .. " = {} return function() return " .. big("n", 65) .. " end")()
  local r, name = profile_named(f)
  check(r.sizes[name .. "/[upvalue " .. big("n", 64) .. "\226\128\166]"], "it is missing: %s", table.concat(paths_like(r.sizes, "upvalue"), " "))
end)

test("of many chunks every byte is in a line, however deep the report", function()
  local functions = {}
  for i = 1, 310 do
    functions[i] = load(("local a%d, b = 'c%d', %d.5 return 'x%d', function(q) return q.y%d end"):format(i, i, i, i, i), "=n" .. i)
  end
  local all = membuddy.profile(functions, { depth = 0 }).totalSize
  for _, options in ipairs({ {}, { depth = 1 }, { depth = 2 }, { depth = "inf" }, { budget = 1 << 30 }, { lines = 20 } }) do
    equal(membuddy.profile(functions, options).totalSize, all, "bytes of all lines")
  end
end)

test("prototypes of many chunks that differ in their first constant are all counted", function()
  local functions = {}
  for i = 1, 300 do functions[i] = load("local t = ... return function() return t.y" .. i .. " end", "=n" .. i)({}) end
  equal(membuddy.profile(functions).kinds.proto.count, #functions, "prototypes")
end)

test("a long text that names a chunk has a line of its own below the chunk's code", function()
  local f = load("return 1 --" .. big("t", 5000))
  local r, name = profile_named(f)
  local found = paths_like(r.sizes, "^" .. name .. "/%[proto .*:0%]/%[source%]$")
  check(found[1] and r.sizes[found[1]] > 5000, "it is not there: %s", table.concat(paths_like(r.sizes, "."), " "))
end)

test("prototypes that read alike in different chunks are different, whatever the chunks are called", function()
  local inner = "return 1, function() return 2 end"
  local short, long = load(inner, "=n"), inner .. " --" .. big("l", 300)
  for what, chunks in pairs({ ["two names"] = { load(inner, "=a"), load(inner, "=b") }, ["one name"] = { load(inner, "=a"), load(inner, "=a") },
    ["one long name"] = { load(long), load(long) }, ["one name, met from inside"] = { (select(2, short())), { short, { load(inner, "=n") } } } }) do
    equal(membuddy.profile(chunks).kinds.proto.count, 4, "prototypes of chunks with " .. what)
  end
  local text = "'" .. big("c", 300) .. "'"
  local one, two = membuddy.profile({ load("return " .. text, "=a") }), membuddy.profile({ load("return " .. text, "=a"), load("return " .. text, "=b") })
  check(two.totalSize > one.totalSize + 300, "each chunk has its own long constants: %d and %d bytes", two.totalSize, one.totalSize)
end)

test("prototypes of one line are told apart by any of their last four instructions, and by how many they have", function()
  local functions = load([[return { function(a, b) return a + b end, function(a, b) return a - b end,
    function(a, b) return a end, function(a, b) return b end,
    function() f() f() f() f() end, function() f() f() f() f() f() end,
    function() return g end, function() return g
    end }]], "=n")()
  equal(membuddy.profile(functions).kinds.proto.count, 8, "prototypes")
end)

test("one function is found among many that look alike from outside", function()
  local function closures(count) return "local x = 1 for i = 1, " .. count .. " do t[i] = function() return x end end\n" end
  for other, counts in pairs({ ["function() return x, 2 end"] = { 20, 70 }, ["function(p) return x end"] = { 20, 70, 200 } }) do
    for _, count in ipairs(counts) do
      local list = { {}, {} }
      load("local t = ... " .. closures(200), "=other")(list[1])
      load("local t = ... " .. closures(count) .. "t[#t + 1] = " .. other, "=n")(list[2])
      equal(membuddy.profile(list).kinds.proto.count, 3, "prototypes with one behind " .. count)
    end
  end
  local different = {}
  for i = 1, 600 do different[i] = "function() return x, " .. i .. " end" end
  local t = load("local x = 1 return {\n" .. table.concat(different, ",\n") .. "}", "=n")()
  equal(membuddy.profile(t).kinds.proto.count, 600, "prototypes of one shape")
end)

test("the text that names a chunk counts, once", function()
  local text = "return function() return function() end end --" .. big("t", 5000)
  local f = load(text)()
  local bytes = membuddy.profile({ f, f() }).totalSize
  text = nil
  check(bytes > 5000 and bytes < 6000, "there are %d bytes", bytes)
  local chunk = load("local a_name_of_its_own = {} return function() return a_name_of_its_own end --" .. big("t", 5000))
  local t = { chunk, chunk() }
  equal(membuddy.profile(t).totalSize, membuddy.profile(t, { depth = 0 }).totalSize, "bytes of lines")
end)

test("the function with most code has a line, however many siblings it has, and whatever has none counts above it", function()
  local constants = {}
  for i = 1, 400 do constants[i] = ("'constant %d of the large one'"):format(i) end
  local large = load("local a return function() a = {" .. table.concat(constants, ",") .. "} return a end", "=large")()
  for _, siblings in ipairs({ 100, 2000, 5000 }) do -- of 5000 not all can wait until objects are forgotten
    local t = {}
    for i = 1, siblings do t[i] = function() return i, "own" end end
    t[siblings - 10] = large
    t[siblings] = { big("met before code is read", 2000) }
    for _, options in ipairs({ { depth = 1 }, {}, { lines = 40 } }) do
      local r, name = profile_named(t, options)
      local path = name .. "/" .. siblings - 10
      check((r.totalSizes[path] or 0) > 400 * 20, "among %d siblings the large one has %s bytes", siblings, r.totalSizes[path])
      equal(sum(r.sizes), r.totalSize, "the sum of the lines")
      equal(r.kinds.proto.count >= 2, true, "prototypes are counted")
      local folded = paths_like(r.sizes, "^" .. name .. "/%[%d+ more%]$")
      equal(#paths_like(r.totalSizes, "^" .. name .. "/[^/]*$") + tonumber((folded[1] or "[0"):match("%[(%d+)")), siblings, "what has a line or is folded")
    end
  end
end)

test("a report has no more lines than its options say where it was stopped, too", function()
  local t = {}
  for i = 1, 600 do
    local held = { i }
    t[i] = { { function() return held end, { i } } }
  end
  for _, budget in ipairs({ 0, 50000, 100000, 150000, 200000, 300000 }) do
    local r = membuddy.profile({ target = t, budget = budget })
    check(count(r.sizes) <= 320, "with a budget of %d there are %d lines", budget, count(r.sizes))
    equal(sum(r.sizes), r.totalSize, "the sum of the lines")
  end
end)

test("closures that share a variable are read in whatever order they are met", function()
  local t, setters = {}, {}
  for i = 1, 90 do
    local x = i
    t[i] = function() return x end
    setters[i] = function(a) x = a end
  end
  t[100] = { { { setters } } }
  local all = membuddy.profile(t, { depth = 0 }).totalSize
  for _, options in ipairs({ {}, { depth = 1 }, { depth = 2 }, { depth = "inf" } }) do
    local r = membuddy.profile(t, options)
    equal(r.totalSize, all, "bytes of all lines")
    equal(sum(r.sizes), all, "the sum of the lines")
  end
end)

test("prototypes that make many lines late take none from what is visited next", function()
  for _, missing in ipairs({ 0, 1 }) do -- so that 4,096 functions wait when a line of its own comes, or the last of a line
    local texts, functions, last = {}, {}, {}
    for i = 1, 500 do texts[i] = ("x"):rep(400) .. i end
    for i = 1, 3560 - missing do functions[i] = function() return i end end
    for k = 1, 600 do
      local constants = {}
      for i = 1, 40 do constants[i] = ("'k%d_%d'"):format(k, i) end
      functions[#functions + 1] = load("local x = 1 return function() return x, {" .. table.concat(constants, ",") .. "} end", "=c" .. k)()
    end
    local q
    last[1] = { { function() return q end } }
    for i = 2, 50 do last[i] = { { { ("own" .. i):rep(500) } } } end
    local t = { texts, functions, last }
    local all = membuddy.profile(t, { depth = 0 }).totalSize
    local r = membuddy.profile(t)
    equal(r.totalSize, all, "bytes of all lines")
    equal(sum(r.sizes), all, "the sum of the lines")
  end
end)

test("a walk that was stopped in a function with many others counts none of what is in no line", function()
  local inner = {}
  for i = 1, 1500 do inner[i] = ("function(a) local x%d = a return x%d, %d end"):format(i, i, i) end
  local t = { { { { { load("local u = 1 return function() u = {" .. table.concat(inner, ",\n") .. "} end", "=big")() } } } } }
  for _, budget in ipairs({ 0, 100000, 300000, 500000 }) do
    for name, kind in pairs(membuddy.profile({ target = t, budget = budget }).kinds) do
      check(kind.bytes >= 0, "with a budget of %d there are %d bytes of kind %s", budget, kind.bytes, name)
    end
  end
end)

test("many reports in a row leave no more behind than the collector's pace allows", function()
  collectgarbage()
  collectgarbage()
  local was_running = collectgarbage("isrunning")
  collectgarbage("restart")
  local live, most = collectgarbage("count"), 0
  for _ = 1, 60 do
    membuddy.profile()
    membuddy.kinds()
    membuddy.account()
    most = math.max(most, collectgarbage("count"))
  end
  if not was_running then collectgarbage("stop") end
  local at_once = membuddy.exact and 100 or 2000 -- KB that one call takes
  check(most < 4 * live + at_once, "there were %.0f KB at most, %.0f live", most, live)
end)

test("the parts of the account sum to the memory, whatever the allocator has left", function()
  local kept = {}
  for i = 1, 2000 do
    kept[#kept + 1] = ("x"):rep(2000 + (i % 3 == 0 and 8 or 0) + i % 7 * 8)
    local a = membuddy.account()
    if not a.memory then return end -- no linear memory, or nobody knows
    equal(sum(a.parts), a.memory, "the sum with " .. i .. " blocks")
    check(a.freeChunks, "with %d blocks there are no chunks", i)
    if i % 500 == 0 then kept = {} end
  end
end)

test("functions without debug information are read like others, with those inside of them", function()
  local source = "local a, b = ... return { function() return function() return a, b end end, function() b = a end }"
  local chunk = load(string.dump(load(source), true))
  local t = chunk(1, 2)
  equal(membuddy.profile(t).kinds.proto.count, 3, "prototypes")
  equal(membuddy.profile({ chunk, t }).kinds.proto.count, 4, "prototypes with the chunk's")
  check(membuddy.profile(chunk).sizes["chunk/[proto ?:0]"], "the name of the chunk is not '?'")
  equal(membuddy.profile({ t[2] }).kinds.string.count, 0, "texts, as that name is none")
  equal(#paths_like(membuddy.profile(chunk({ {} })[2]).sizes, "/%[upvalue %d%]$"), 2, "upvalues, by their numbers")
end)

test("a chunk that is held beside functions of it counts their prototypes once", function()
  local chunk = load("local a = ...\nreturn {\nfunction() return a end,\nfunction() return { a } end,\nfunction(b) a = b end,\nfunction() end }", "=held")
  local t = chunk({})
  equal(membuddy.profile({ t, { { chunk } } }).kinds.proto.count, 5, "prototypes")
end)

test("numbers far behind a list take room in the hash", function()
  local listed, far = { k = true }, { [1020] = true }
  for i = 1, 150 do listed[i], far[i] = i, i end
  equal(membuddy.sizeof(far), membuddy.sizeof(listed), "bytes")
end)

test("what weak keys of several lines bring to life one after another is all counted", function()
  local function ephemeron(key, level)
    local table = setmetatable({}, { __mode = "k" })
    table[key] = { big("of level " .. level, 1000) }
    return table
  end
  local keys = { {}, {}, {}, {} }
  local t = {
    a = { ephemeron(keys[1], 1), { ephemeron(keys[2], 2) } },
    b = { ephemeron(keys[3], 1), { ephemeron(keys[4], 2) } },
    text = setmetatable({ [keys[1]] = big("text", 20000) }, { __mode = "k" }),
    last = { { { { { keys } } } } },
  }
  for _, options in ipairs({ {}, { depth = 0 }, { depth = 1 }, { depth = 2 }, { depth = "inf" } }) do
    local r = membuddy.profile(t, options)
    check(r.totalSize > 24000, "with depth %s there are %d bytes", options.depth, r.totalSize)
    equal(r.kinds.table.count, 29, "tables")
  end
  check(membuddy.profile(t, { depth = "inf" }).sizes["t/a/1/[table]"], "the entry has no line of its own")
  rawset(_G, "ContractGlobal", t)
  local r = membuddy.profile({ depth = 1 })
  rawset(_G, "ContractGlobal", nil)
  check((r.totalSizes["_G/ContractGlobal"] or 0) > 4000, "in the process there are %s bytes", r.totalSizes["_G/ContractGlobal"])
end)

test("what a weak key brings to life may bring others to life, in whatever order the tables are met", function()
  local first, t = {}, {}
  local key = first
  for i = 1, 20 do
    local next_key = {}
    t[21 - i] = setmetatable({ [key] = { next_key, big("s", 1000) .. i } }, { __mode = "k" })
    key = next_key
  end
  key, t[21] = nil, first
  for _, options in ipairs({ {}, { depth = 0 }, { depth = "inf" } }) do
    check(membuddy.profile(t, options).totalSize > 20000, "with depth %s there are %d bytes", options.depth, membuddy.profile(t, options).totalSize)
  end
end)

test("tables whose weak keys are dead are folded as others are", function()
  local t = {}
  collectgarbage("stop")
  for i = 1, 600 do t[i] = setmetatable({ [{}] = {} }, { __mode = "k" }) end
  local lines = count(membuddy.profile(t, { lines = 50 }).sizes)
  collectgarbage("restart")
  check(lines <= 50, "there are %d lines", lines)
end)

test("prototypes on one line are told apart by what they mention, and none is lost in another", function()
  local accessors = load("return { function(t) return t.x end, function(t) return t.y end, function(t) return t.z end }", "=x")()
  equal(membuddy.profile(accessors).kinds.proto.count, 3, "prototypes")
  local many = {}
  for i = 1, 200 do many[i] = ("function(t) return t.key%d end"):format(i) end
  equal(membuddy.profile(load("return { " .. table.concat(many, ", ") .. " }", "=x")()).kinds.proto.count, 200, "prototypes")
  local nested = load("return function() return function() return function() return { 'hello', 'world' } end end end", "=x")
  local results = membuddy.profile(nested, { depth = "inf" })
  local sum = 0
  for _, kind in pairs(results.kinds) do
    check(kind.bytes >= 0, "a kind has %d bytes", kind.bytes)
    sum = sum + kind.bytes
  end
  equal(sum, results.totalSize, "bytes of all kinds")
end)

test("a prototype that is met in another's dump, without debug information, and in its own is one", function()
  for _, constant in ipairs({ "nil", "true", "1.5", "'k'", "'a longer text'" }) do
    local holder = load("local a, b, c, d = ... return function() return function(x) return x == " .. constant .. " end, a, b, c, d end", "=x")
    local outer = holder(1, 2, 3, 4)
    equal(membuddy.profile({ outer, (outer()) }).kinds.proto.count, 2, "prototypes that mention " .. constant)
  end
end)

test("upvalues that were joined, and ids of upvalues that a program keeps, disturb nothing", function()
  local pair = load("local a, b = ... return function() return a, b end", "=" .. ("s"):rep(20))({ big("s", 100) }, {})
  local other = load("local p = ... return function(x, y) local z = 1 return p, 'const' end", "=" .. ("q"):rep(90))({})
  debug.upvaluejoin(other, 1, pair, 1)
  local results = membuddy.profile({ pair, other }, { depth = "inf" })
  equal(results.totalSize, membuddy.profile({ other, pair }).totalSize, "bytes in either order")
  debug.upvaluejoin(pair, 1, pair, 2)
  equal(membuddy.profile(pair).kinds.upvalue.count, 1, "upvalues")
  equal(membuddy.profile(pair).totalSize, membuddy.profile(pair, { depth = 0 }).totalSize, "bytes of lines")
  check(membuddy.profile({ debug.upvalueid(pair, 1), pair }).totalSize > membuddy.profile(pair).totalSize, "a table takes nothing")
end)

test("no report has an address in it", function()
  local t = { [{}] = 1, [print] = {}, [coroutine.create(print)] = 1, f = function() return tests end }
  for _, r in ipairs({ membuddy.profile(t), membuddy.profile() }) do
    for path in pairs(r.sizes) do check(not path:find("0x%x%x%x"), "%s has an address", path) end
    for from, to in pairs(r.circular) do check(not (from .. to):find("0x%x%x%x"), "%s has an address", from) end
  end
end)

test("a key that reads like a line of the report does not disturb the sums", function()
  local t = { ["..."] = { {} }, ["[2 more]"] = { 1 }, a = { 1 }, b = { 2 }, c = { { { {} } } } }
  for _, options in ipairs({ { depth = 1 }, { children = 3 }, { depth = 1, children = 3 } }) do
    local r = membuddy.profile(t, options)
    equal(sum(r.sizes), r.totalSize, "the sum of the sizes")
  end
end)

-- ---- circular and shared ----

test("a reference back to an ancestor is circular", function()
  local t = { child = { {} } }
  t.child.parent, t.child[1].top, t.self = t, t, t
  local r, name = profile_named(t)
  equal(r.circular[name .. "/self"], name, "self")
  equal(r.circular[name .. "/child/parent"], name, "parent")
  equal(r.circular[name .. "/child/1/top"], name, "top")
  equal(count(r.circular), 3, "the number of circular references")
end)

test("circular and cycles are two tables of the same entries: a result that has a table twice is not shown by aos", function()
  local t = { child = {} }
  t.self, t.child.parent = t, t
  for _, r in ipairs({ membuddy.profile(t), membuddy.profile(t, { cycles = false }) }) do
    check(not rawequal(r.cycles, r.circular), "they are one table")
    equal(count(r.cycles), count(r.circular), "the number of cycles")
    for from, to in pairs(r.circular) do equal(r.cycles[from], to, "where the cycle " .. from .. " leads to") end
  end
end)

test("of many circular references a default report lists 32 and counts the others, one without bounds lists all", function()
  local t = {}
  for i = 1, 100 do t[i] = { t } end
  local r = membuddy.profile(t)
  equal(count(r.circular), 32, "those listed")
  equal(r.otherCycles, 100 - 32, "the others")
  local lines = printed(r, { top = false })
  equal(lines[#lines], "... and 68 other circular references", "the last line of all that are listed")
  r = membuddy.profile(t, { depth = "inf" })
  equal(count(r.circular), 100, "those listed")
  for from, to in pairs(membuddy.profile(t, { depth = "inf", children = 3 }).circular) do
    equal(from:sub(1, #to + 1), to .. "/", "where " .. from .. " leads to")
  end
  equal(r.otherCycles, nil, "the others")
end)

test("a second reference to an object is shared, not circular", function()
  local shared = { 1 }
  local r = membuddy.profile({ a = shared, b = shared, c = { shared } })
  equal(count(r.circular), 0, "the number of circular references")
end)

test("a cyclic metatable is circular", function()
  local t = {}
  setmetatable(t, t)
  local r, name = profile_named(t)
  equal(r.circular[name .. "/[metatable]"], name, "the metatable")
end)

test("without cycles none are listed", function()
  local t = {}
  t.self = t
  equal(count(membuddy.profile(t, { cycles = false }).circular), 0, "the number listed")
  for _, line in ipairs(printed({ target = t, cycles = false })) do
    check(not line:find("Circular", 1, true), "they are printed")
  end
end)

test("circular references are printed behind the sizes", function()
  local t = {}
  t.self = t
  local r = membuddy.profile(t)
  local lines = printed(r)
  equal(lines[#lines - 1], "Circular references:", "the heading")
  equal(lines[#lines], "    " .. r.target .. "/self: " .. r.target, "the line")
end)

-- ---- targets ----

test("a target may be anything that holds memory", function()
  local thread = coroutine.create(function() end)
  local captured = {}
  for _, target in ipairs({ { 1 }, function() return captured end, thread, "a string " .. big("s", 50) }) do
    local r = membuddy.profile(target)
    check(r.totalSize >= membuddy.sizeof(target), "a %s has %d bytes", type(target), r.totalSize)
    equal(r.sizes[r.target], membuddy.sizeof(target), "the own bytes of a " .. type(target))
  end
end)

test("a target that holds no memory is refused with what is accepted", function()
  for _, case in ipairs({ { false, "boolean" }, { 12, "number" }, { 1.5, "number" } }) do
    local message = refusal(membuddy.profile, case[1])
    contains(message, case[2], "the error")
    contains(message, "table", "the error")
    refusal(membuddy.profile, case[1], { depth = 2 })
    if case[1] then contains(refusal(membuddy.profile, { target = case[1] }), case[2], "the error") end
    contains(refusal(membuddy.retained, case[1]), case[2], "the error")
    contains(refusal(membuddy.kinds, case[1]), case[2], "the error")
  end
  contains(refusal(membuddy.profile, nil), "the target is nil,", "the error")
  contains(refusal(membuddy.profile, debug.upvalueid(function() return tests end, 1)), "the target is a light userdata,", "the error")
  contains(refusal(membuddy.profile, nil, { depth = 1 }), "nil", "the error")
  contains(refusal(membuddy.retained, nil), "nil", "the error")
  contains(refusal(membuddy.kinds, nil), "nil", "the error")
end)

test("two targets are refused", function() contains(refusal(membuddy.profile, {1}, { target = {} }), "target", "the error") end)

test("mark() returns nothing, as the prompt of aos shows what a call returns", function()
  if not membuddy.mark then return end -- src/membuddy.lua alone
  local marked = membuddy.marked
  equal(membuddy.mark(), nil, "what it returns")
  equal(type(membuddy.marked), "table", "the type of the mark")
  membuddy.marked = marked
end)

test("a target is named by the variable or path that holds it", function()
  local my_variable = { 1 }
  equal(membuddy.profile(my_variable).target, "my_variable", "a local")
  local later = my_variable
  equal(membuddy.profile(later).target, "later", "what two locals hold")
  local inside
  local wrapped = coroutine.wrap(function() inside = coroutine.running() coroutine.yield() end)
  wrapped()
  rawset(_G, "ContractGlobal", { { inner = { 1 } } })
  local by_global = membuddy.profile(_G.ContractGlobal)
  local by_path = membuddy.profile(_G.ContractGlobal[1].inner)
  rawset(_G, "ContractGlobal", nil)
  equal(by_global.target, "ContractGlobal", "a global")
  equal(by_path.target, "_G/ContractGlobal/1/inner", "a path")
  rawset(_G, "ContractGlobal", { setmetatable({}, { inner = { 1 } }) })
  local by_metatable = membuddy.profile(getmetatable(_G.ContractGlobal[1]).inner)
  rawset(_G, "ContractGlobal", nil)
  equal(by_metatable.target, "_G/ContractGlobal/1/[metatable]/inner", "a path through a metatable")
  equal(membuddy.profile(_G).target, "_G", "the globals")
  local function name(...) return (membuddy.profile((...)).target) end -- it has no variable for it
  local own = { 1 }
  check(name(own):find("%[stack %d+%]$") or name(own):find("%[local own%]$"), "what a caller's frame holds is called %s", name(own))
  equal((function() return membuddy.profile(own).target end)(), "own", "an upvalue of the caller")
  local holder = { inner = { 1 } }
  for _, results in ipairs({ membuddy.profile(holder.inner), membuddy.profile({ target = holder.inner }), (select(2, pcall(membuddy.profile, holder.inner, {}))) }) do
    check(results.target:find("%[local holder%]/inner$"), "what a local's table holds is called %s", results.target)
  end
  equal(type(membuddy.profile({ { 1 } }, {}).target), "string", "the name of what only the call holds")
  local function name_in_global(value, ...)
    rawset(_G, "ContractGlobal", value)
    local results = membuddy.profile((...))
    rawset(_G, "ContractGlobal", nil)
    return results.target
  end
  local waiting = coroutine.create(function() local held = { 1 } coroutine.yield() return held end)
  coroutine.resume(waiting)
  for path, holder in pairs({ ["1/[upvalue own]"] = function() return own end, ["1/[metatable]"] = setmetatable({}, own), ["1/[table]"] = { [own] = 1 } }) do
    equal(name_in_global({ holder }, own), "_G/ContractGlobal/" .. path, "what a global holds")
  end
  equal(name_in_global({ wrapped }, inside), "_G/ContractGlobal/1/[upvalue 1]", "what a C function holds")
  equal(name_in_global({ waiting }, select(2, debug.getlocal(waiting, 1, 1))), "_G/ContractGlobal/1/[local held]", "a local of a coroutine")
  local deep = { 1 }
  local outermost = deep
  for _ = 1, 30 do outermost = { outermost } end
  equal(name_in_global(outermost, deep), "..." .. big("/1", 16), "a long chain")
end)

test("a long name of a target is cut at a slash, to 288 bytes at most, and a variable's as in a path", function()
  for last, bytes in pairs({ [10] = 288, [11] = 275, [24] = 288, [25] = 224 }) do
    local outermost, key = {}, big("e", last)
    local t = outermost
    for i = 1, 4 do
      local name = big("k", 63) .. i
      t[name] = {}
      t = t[name]
    end
    t[key] = { 1 }
    rawset(_G, "ContractGlobal", outermost)
    local name = membuddy.profile((function() return t[key] end)()).target
    rawset(_G, "ContractGlobal", nil)
    equal(#name, bytes, "the length of the name")
    equal(name:match("^[^/]*/"), last == 10 and "_G/" or ".../", "its beginning")
  end
  local variable = big("n", 300)
  local f = load("local profile = ... local " .. variable .. " = { 1 } return profile(" .. variable .. ").target")
  equal(f(membuddy.profile), big("n", 64) .. "\u{2026}", "a long variable")
end)

test("a target's own bytes stand under its name, however long its path", function()
  local root = { "the root" }
  local t = root
  for i = 1, 80 do
    t["a step of the path " .. i] = { i }
    t = t["a step of the path " .. i]
  end
  rawset(_G, "ContractGlobal", root)
  local holder = { t }
  root, t = nil, nil
  local r = membuddy.profile(holder[1])
  rawset(_G, "ContractGlobal", nil)
  equal(r.sizes[r.target], membuddy.sizeof(holder[1]), "the own bytes of " .. r.target)
  check(#r.target <= 300, "the name has %d bytes", #r.target)
end)

test("the report of a target does not drag the process in", function()
  rawset(_G, "ContractBalances", {})
  for i = 1, 2000 do _G.ContractBalances["account " .. i] = i end
  local balances, own = _G.ContractBalances, { big("o", 1000) }
  local handler = load("local b, o = ... return function() ContractSeen = b return print, o end")(balances, own)
  local r = membuddy.profile(handler)
  rawset(_G, "ContractBalances", nil)
  check(r.totalSize < 8000, "the handler has %d bytes", r.totalSize)
  check(#paths_like(r.sizes, "%[upvalue o%]") > 0, "its own data is missing")
end)

test("the report of a target leaves out the modules that it refers to", function()
  package.loaded.contract_module = { big("m", 10000) }
  local r = membuddy.profile({ { package.loaded.contract_module } })
  package.loaded.contract_module = nil
  check(r.totalSize < 5000, "the target has %d bytes", r.totalSize)
end)

test("a target that has a name itself is profiled", function()
  check(membuddy.profile(string).totalSize > membuddy.sizeof(string), "the library string is empty")
  check(membuddy.profile(package.loaded).totalSize >= membuddy.sizeof(package.loaded), "package.loaded is empty")
end)

test("of _G and of package.loaded a report has what they hold", function()
  local module, both = { big("m", 2000000) }, { big("b", 2000000) }
  package.loaded.contract_module, package.loaded.contract_both = module, both
  rawset(_G, "ContractGlobal", both)
  local whole, of_globals, of_loaded = membuddy.profile(), membuddy.profile(_G), membuddy.profile(package.loaded)
  rawset(_G, "ContractGlobal", nil)
  package.loaded.contract_module, package.loaded.contract_both = nil, nil
  check(of_globals.totalSize > whole.totalSize / 2, "_G has %d bytes of %d", of_globals.totalSize, whole.totalSize)
  for path, r in pairs({ _G = of_globals, ["_G/package/loaded"] = of_loaded }) do
    local line = whole.totalSizes[path]
    check(math.abs(r.totalSize - line) < 0.05 * line, "%s has %d bytes, its line %d", path, r.totalSize, line)
  end
end)

test("shared is what others hold as well", function()
  local common = { big("c", 1000) }
  local target, other = { common, big("own", 700) }, { common }
  local r = membuddy.profile(target)
  equal(r.shared, membuddy.sizeof(common) + membuddy.sizeof(common[1]), "the shared bytes")
  other = nil
end)

test("the books of a target's report are those of the process", function()
  collectgarbage()
  collectgarbage("stop")
  local weak = setmetatable({}, { __mode = "kv" })
  local target = { { 1 } }
  weak["a key of a weak table " .. big("w", 100)] = target[1]
  local whole = membuddy.profile({ depth = 0 })
  local r = membuddy.profile(target, { depth = 0 })
  local again = membuddy.profile({ depth = 0 }) -- what the calls leave lies between the two
  collectgarbage("restart")
  equal(r.unaccounted, 0, "what is unaccounted")
  check(r.garbage >= whole.garbage and r.garbage <= again.garbage, "garbage is %d here, %d before, %d after",
    r.garbage, whole.garbage, again.garbage)
end)

test("an entry of two strings in a table whose keys and values are weak is one line", function()
  local target = setmetatable({}, { __mode = "kv" })
  local key, value = "written " .. #printed({ top = 1 }), big("v", 300)
  target[key] = value
  local r = membuddy.profile(target)
  local expected = membuddy.sizeof(key) + membuddy.sizeof(value)
  equal(r.sizes["target/" .. key], expected, "the bytes of the entry")
  equal(sum(r.sizes), r.totalSize, "the sum of the sizes")
end)

-- ---- retained ----

test("retained counts what only the value keeps alive", function()
  local common = { big("c", 3000) }
  local target = { common, { big("own", 500), {} } }
  local also = { common }
  local expected = membuddy.sizeof(target[2]) + membuddy.sizeof(target[2][1]) + membuddy.sizeof(target[2][2])
  equal(membuddy.retained(target[2]), expected, "what the inner table retains")
  equal(membuddy.retained(target), expected + membuddy.sizeof(target), "what the outer table retains")
  also = nil
  local key = {}
  target = { setmetatable({ [key] = { big("private", 1000) } }, { __mode = "k" }), { { { { key } } } } }
  key = nil
  check(membuddy.retained(target) > 7000, "what a weak key brings to life is missing: %d bytes", membuddy.retained(target))
  local f = load("local a = {} return function() return a, 'a constant' end", "=of a function")()
  local r = membuddy.profile(f)
  equal(membuddy.retained(f), r.totalSize - r.shared, "what a function retains")
  check(membuddy.retained(f) > membuddy.sizeof(f) + 200, "its prototype is missing: %d bytes", membuddy.retained(f))
end)

test("profile with retained agrees with retained", function()
  local common = { big("c", 2000) }
  rawset(_G, "ContractGlobal", { a = { common, { {} } }, b = { common, big("b", 300) }, c = { { { {} } } } })
  local r = membuddy.profile(_G.ContractGlobal, { retained = true, depth = 4 })
  local function at(path)
    local value = _G.ContractGlobal
    for segment in path:gmatch("[^/]+") do
      if segment ~= r.target then value = value[tonumber(segment) or segment] end
    end
    return value
  end
  local compared = 0
  for path, bytes in pairs(r.retained) do
    local value = at(path)
    if type(value) == "table" then
      equal(bytes, membuddy.retained(value), "what " .. path .. " retains")
      compared = compared + 1
    elseif type(value) == "string" then -- in pure Lua with its key, as far as that counts here
      check(bytes >= membuddy.sizeof(value) and bytes <= math.max(membuddy.sizeof(value), r.sizes[path]),
        "%s retains %d bytes", path, bytes)
    end
  end
  rawset(_G, "ContractGlobal", nil)
  check(compared >= 8, "only %d paths were compared", compared)
  equal(membuddy.profile(common, { retained = false }).retained, nil, "what was not asked for")
end)

test("retained is printed beside the sizes", function()
  local t = { { big("x", 5000) } }
  contains(table.concat(printed({ target = t, retained = true }), "\n"), "retained ", "the report")
end)

-- ---- options ----

test("an option of the wrong kind is refused with its name, its value and what is accepted", function()
  local cases = {
    { "depth", -1, "-1" }, { "depth", 1.5, "1.5" }, { "depth", "deep", "deep" }, { "depth", {}, "table" },
    { "depth", 0 / 0, "nan" }, { "min_size", 0 / 0, "nan" }, { "budget", 0 / 0, "nan" }, { "max_depth", -2, "-2" }, { "depth", true, "true" },
    { "top", -1, "-1" }, { "top", "all", "all" }, { "top", true, "true" }, { "children", 2.5, "2.5" }, { "children", {}, "table" },
    { "lines", -5, "-5" }, { "min_size", -1, "-1" }, { "min_size", "big", "big" }, { "cycles", 1, "1" },
    { "budget", -1, "-1" }, { "budget", "much", "much" },
    { "cycles", "no", "no" }, { "no_header", 0, "0" }, { "retained", "yes", "yes" },
  }
  for _, case in ipairs(cases) do
    for _, f in ipairs({ membuddy.profile, membuddy.print }) do
      local message = refusal(f, { [case[1]] = case[2] })
      contains(message, case[1], "the error")
      contains(message, case[3], "the error")
      contains(message, "accepted", "the error")
    end
  end
end)

test("a budget bounds the Lua memory of a walk: one that needs none is never stopped, any other says so", function()
  for _, budget in ipairs({ 1e9, math.maxinteger, math.huge }) do
    equal(membuddy.profile({ budget = budget }).stopped, nil, "a walk with room for " .. budget)
  end
  local r = membuddy.profile({ budget = 0 })
  local expected
  if membuddy.backend ~= "native" then expected = true end
  equal(r.stopped, expected, "a walk without")
  if expected then contains(table.concat(printed(r), "\n"), "Stopped early", "the report") end
end)

test("a budget holds in the middle of a large table, and for the walks for the name and what is shared", function()
  local large, small = {}, { {} }
  for i = 1, 100000 do large["key " .. i] = i end
  rawset(_G, "ContractGlobal", large)
  for _, options in ipairs({ { budget = 65536 }, { budget = 65536, target = { small } }, { budget = 65536, retained = true } }) do
    collectgarbage()
    collectgarbage("stop")
    local before = collectgarbage("count")
    local r = membuddy.profile(options)
    local used = (collectgarbage("count") - before) * 1024
    collectgarbage("restart")
    if membuddy.backend ~= "native" then
      check(used < 1048576, "%d bytes were used", used)
      equal(r.stopped, true, "that it was stopped")
      printed(r)
    end
  end
  rawset(_G, "ContractGlobal", nil)
end)

test("a budget holds while code is read, and so does the number of lines", function()
  local statements, deep, lines = {}, {}, {}
  for i = 1, 200 do statements[i] = "f(" .. i .. ")" end
  local text = "local f = ... " .. table.concat(statements, " ")
  for i = 1, 1000 do deep[i] = load(text, "=n" .. i) end
  for i = 1, 150 do lines[i] = { { load(text, "=m" .. i) } } end
  deep = { { { { deep } } } }
  collectgarbage()
  collectgarbage("stop")
  local before = collectgarbage("count")
  membuddy.profile({ target = deep, budget = 300000 })
  local used = (collectgarbage("count") - before) * 1024
  collectgarbage("restart")
  if membuddy.backend ~= "native" then check(used < 1000000, "%d bytes were used", used) end
  for budget = 50000, 400000, 50000 do
    local found = count(membuddy.profile({ target = lines, budget = budget, lines = 50 }).sizes)
    check(found <= 50, "with a budget of %d there are %d lines", budget, found)
  end
end)

test("the array part of which few entries are left is still there", function()
  local first, list, sparse = { first = 99991, last = 100000 }, {}, {}
  for i = 1, 100000 do first[i], list[i], sparse[i] = i, i, i end
  for i = 1, 99990 do first[i], list[i] = nil, nil end
  for i = 1, 100000 do if i % 100 ~= 0 then sparse[i] = nil end end
  for what, t in pairs({ queue = first, list = list, sparse = sparse }) do
    check(membuddy.sizeof(t) >= 100000 * 16, "%s has %d bytes", what, membuddy.sizeof(t))
    check(membuddy.profile(t).totalSize >= 100000 * 16, "%s has %d bytes in a report", what, membuddy.profile(t).totalSize)
  end
  local few = { 1, 2, nil, 4 }
  few[1000000] = 5
  check(membuddy.sizeof(few) < 1000, "a far entry in the hash makes no array: %d bytes", membuddy.sizeof(few))
end)

test("a text that much stands before is retained by what holds it, once", function()
  local many, text = {}, ("t"):rep(100000) .. tostring(os.time)
  for i = 1, 20000 do many[i] = {} end
  rawset(_G, "ContractGlobal", { many, { deep = { text } } })
  text = _G.ContractGlobal[2].deep[1]
  check(membuddy.retained(text) >= 100000, "the text retains %d bytes", membuddy.retained(text))
  local r = membuddy.profile(text)
  equal(r.shared, 0, "what others hold as well")
  check(r.luaSize >= r.totalSize and r.unaccounted >= 0, "%d of %d bytes, %d unaccounted for", r.totalSize, r.luaSize, r.unaccounted)
  rawset(_G, "ContractGlobal", nil)
end)

test("what others hold as well is told, whatever else goes with the target", function()
  local common = big("common", 1000)
  local function target() return { common } end
  local plain = target()
  rawset(_G, "ContractGlobal", { common, { common } })
  local expected = membuddy.profile(plain).shared
  check(expected > 1000, "%d bytes are shared", expected)
  local private, cache = setmetatable({}, { __mode = "k" }), setmetatable({}, { __mode = "v" })
  local keyed, cached = target(), target()
  private[keyed], cache[big("name", 500)] = { big("secret", 3000) }, cached
  equal(membuddy.profile(keyed).shared, expected, "beside private data of the target")
  equal(membuddy.profile(cached).shared, expected, "beside a cache that holds it weakly")
  rawset(_G, "ContractGlobal", nil)
  check(membuddy.profile(package.loaded).shared > 100, "names in package.loaded are names in _G")
end)

test("an unknown option is refused with what is accepted", function()
  for _, message in ipairs({ refusal(membuddy.profile, { 1 }, { dept = 1 }), refusal(membuddy.print, { dept = 1 }),
    refusal(membuddy.profile, { 1 }, { dept = 1, depth = 2 }) }) do
    contains(message, "dept", "the error")
    contains(message, "depth", "the error")
  end
  refusal(membuddy.print, { [1] = 2 })
  refusal(membuddy.print, { [{}] = 2 })
end)

test("options that are no table are refused", function()
  for _, value in ipairs({ 5, "deep", true }) do
    for _, call in ipairs({ { membuddy.profile, { 1 }, value }, { membuddy.print, value }, { membuddy.print, {}, value },
      { membuddy.print, nil, value }, { membuddy.print, membuddy.profile({ depth = 0 }), value } }) do
      contains(refusal(table.unpack(call, 1, 3)), "accepted: a table", "the error")
    end
  end
end)

test("print takes options alone, in either place, and no two of them", function()
  equal(#printed(nil, { top = 1, checks = false }), #printed({ top = 1, checks = false }), "the number of lines")
  contains(refusal(membuddy.print, nil, { dept = 1 }), "unknown option 'dept'", "the error")
  for name, text in pairs({ [7] = "7", [true] = "true", [print] = "function" }) do
    contains(refusal(membuddy.profile, { 1 }, { [name] = 1 }), "unknown option '" .. text .. "'", "the error")
  end
  contains(refusal(membuddy.print, { top = 1 }, { top = 2 }), "the first argument is no results of profile()", "the error")
end)

test("a value that an option does not take is shown as it was written", function()
  contains(refusal(membuddy.profile, { depth = "3" }), "option 'depth' is \"3\"", "the error")
  contains(refusal(membuddy.profile, { depth = 0.5 }), "option 'depth' is 0.5", "the error")
  refusal(membuddy.profile, nil, { ["depth\0x"] = 1 })
  local message = refusal(membuddy.profile, { depth = "3\27[2J" })
  check(not message:find("%c"), "a value came out as it was")
end)

test("the bounds of a report are what its options say, and no bound is one", function()
  local t = {}
  for i = 1, 900 do t[i] = big("x", 100 + i) end
  equal(count(membuddy.profile(t, { children = 1000 }).sizes), 1 + 900, "the lines of 900 children")
  t = {}
  for i = 1, 100 do t[i] = { { { { i } } } } end
  equal(count(membuddy.profile(t, { depth = 4 }).sizes), 1 + 400, "the lines of four steps")
  equal(count(membuddy.profile(t, { depth = 3 }).sizes), 320, "the lines of three steps")
  membuddy.profile(t, { min_size = 10.5, budget = 1e9 + 0.5, top = math.huge, children = math.huge, lines = math.huge })
  membuddy.profile(t, { depth = 1e15 + 0.5, top = 2 ^ 32 - 1.5 })
end)

test("the metatables of basic types are roots, and stand by the names of the types", function()
  for name, value in pairs({ number = 0, boolean = true, ["function"] = print, thread = coroutine.running() }) do
    local mine, bytes = { big("m", 100000) }, membuddy.sizeof(big("m", 100000))
    debug.setmetatable(value, mine)
    mine = nil
    local r = membuddy.profile({ depth = "inf" })
    debug.setmetatable(value, nil)
    equal(r.totalSizes["[type metatables]/" .. name .. "/1"], bytes, "what the metatable of a " .. name .. " has")
  end
  check(membuddy.profile({ depth = 1 }).totalSizes["[type metatables]/string"], "that of strings is missing")
  local of_strings = getmetatable("")
  debug.setmetatable("", nil)
  local without = membuddy.profile()
  debug.setmetatable("", of_strings)
  equal(without.sizes["[type metatables]"], nil, "the line of those where there are none")
end)

test("what has a name of its own is no part of a target, texts are", function()
  local text = big("t", 500)
  rawset(_G, "ContractGlobal", text)
  package.loaded.contract_module = { big("m", 5000) }
  local of_text, module = membuddy.profile({ text }), membuddy.profile({ package.loaded.contract_module })
  local registry, main = membuddy.profile({ debug.getregistry() }), membuddy.profile({ debug.getregistry()[1] })
  rawset(_G, "ContractGlobal", nil)
  package.loaded.contract_module = nil
  equal(of_text.totalSize, membuddy.sizeof({ 1 }) + membuddy.sizeof(text), "the bytes with a text")
  for what, r in pairs({ ["a module"] = module, ["the registry"] = registry, ["the main thread"] = main }) do
    equal(r.totalSize, membuddy.sizeof({ 1 }), "the bytes beside " .. what)
  end
end)

test("an error of the library says where it was called", function()
  local _, message = pcall(load("local membuddy = ... \n\n membuddy.profile({depth = -1}) ", "=caller"), membuddy)
  contains(message, "caller:3:", "the error")
end)

test("a hostile option name comes out of the error unharmed", function()
  for _, behind in ipairs({ "\0", "\127" }) do
    contains(refusal(membuddy.print, { ["depth" .. behind .. "x"] = 1 }), "unknown option 'depth';", "the error")
  end
  local message = refusal(membuddy.print, { ["evil\0\27[31m\n" .. big("x", 10000)] = 1 })
  check(#message < 1000, "the error has %d bytes", #message)
  check(not message:find("[%c]"), "the error has control characters")
  message = refusal(membuddy.profile, { depth = "\27[2J" .. big("y", 10000) })
  check(#message < 1000 and not message:find("[%c]"), "a value came out as it was")
  message = refusal(membuddy.profile, { 1 }, { [big("z", 10000)] = 1 })
  check(#message < 1000, "the error has %d bytes", #message)
end)

test("options are read without metamethods", function()
  local function fail() error("a metamethod ran") end
  local options = setmetatable({ depth = 1 }, { __index = fail, __pairs = fail, __len = fail, __newindex = fail })
  membuddy.profile(options)
  membuddy.profile({ 1 }, options)
end)

-- ---- results that changed ----

test("results that somebody edited are refused with what is wrong", function()
  local function edited(change, ...)
    local r = membuddy.profile({ depth = 1 })
    change(r)
    local message = refusal(membuddy.print, r)
    for _, part in ipairs({ ... }) do contains(message, part, "the error") end
  end
  edited(function(r) r.type = nil end, "type")
  edited(function(r) r.circular[1] = "a" end, "circular", "paths only")
  edited(function(r) r.sizes = nil end, "sizes")
  edited(function(r) r.sizes._G = nil end, "sizes")
  edited(function(r) r.sizes._G = "much" end, "sizes")
  edited(function(r) r.sizes[1] = 5 end, "sizes")
  edited(function(r) r.totalSize = nil end, "totalSize")
  edited(function(r) r.totalSize = r.totalSize + 1 end, "totalSize")
  edited(function(r) r.totalSize = "12" end, "totalSize")
  edited(function(r) r.totalSizes = 5 end, "totalSizes")
  edited(function(r) r.totalSizes._G = {} end, "totalSizes")
  edited(function(r) r.circular = nil end, "circular")
  edited(function(r) r.circular = { a = 5 } end, "circular")
  edited(function(r) r.luaSize = nil end, "luaSize")
  edited(function(r) r.garbage = {} end, "garbage")
  edited(function(r) r.unaccounted = false end, "unaccounted")
end)

test("edited results cannot smuggle control characters into the print", function()
  local r = membuddy.profile({ depth = 0 })
  local bytes = r.sizes._G
  r.sizes._G, r.totalSizes._G = nil, nil
  r.sizes["evil\27[2J\n"], r.totalSizes["evil\27[2J\n"] = bytes, bytes
  contains(refusal(membuddy.print, r), "control characters", "the error")
  r = membuddy.profile({ depth = 0 })
  r.circular["evil\127"] = "a"
  contains(refusal(membuddy.print, r), "control characters", "the error")
  r = membuddy.profile({ depth = 0 })
  r.circular.a = "\27[31mevil"
  contains(refusal(membuddy.print, r), "control characters", "the error")
  r = membuddy.profile({ depth = 0 })
  r.circular.a = "\u{9B}31mevil" -- which begins an escape sequence too
  contains(refusal(membuddy.print, r), "control characters", "the error")
  local t = { {} }
  r = membuddy.profile(t)
  r.target = "\27[31mevil"
  contains(refusal(membuddy.print, r), "control characters", "the error")
end)

test("a count that was edited to no count does not end the print", function()
  local t = {}
  t.itself = t
  local r = membuddy.profile(t)
  for _, number in ipairs({ 1e300, -5 }) do
    r.otherCycles = number
    local lines = printed(r)
    equal(lines[#lines - 1], "Circular references:", "the line before the last")
  end
  for _, bytes in ipairs({ "1\27[2J", {}, true }) do
    r.retained = { [r.target] = bytes }
    local text = table.concat(printed(r), "\n")
    check(not text:find("retained"), "a line tells what is retained: %s", text)
  end
end)

-- ---- print ----

test("print prints one line a call", function()
  for _, line in ipairs(printed()) do
    equal(type(line), "string", "the argument")
    check(not line:find("\n"), "a line has a line break: %s", line)
  end
end)

test("where the globals are no table, print says that there is no print", function()
  local registry = debug.getregistry()
  local globals, pcall, report = registry[2], pcall, membuddy.print
  registry[2] = coroutine.create(function() end)
  local ok, message = pcall(report)
  local has_target, problem = pcall(membuddy.profile, { 1 })
  registry[2] = globals
  if not has_target then error(problem) end
  check(not ok and message:find("the global 'print' is a nil value", 1, true), "the error is " .. tostring(message))
end)

test("the largest are printed first, ties by name", function()
  local t = { b = big("x", 1000), c = big("y", 3000), a = big("z", 1000) }
  local lines = printed({ target = t, no_header = true })
  contains(lines[4], "/c: ", "the second size")
  contains(lines[5], "/a: ", "the third size")
  contains(lines[6], "/b: ", "the fourth size")
  for i = 1, 50 do t["n" .. 10 + i] = big("n", 500) .. 10 + i end
  lines = printed({ target = t, no_header = true, top = false })
  for i = 1, 50 do contains(lines[6 + i], "/n" .. 10 + i .. ": ", "line " .. i .. " of as many bytes") end
end)

test("option top says how many are printed, and the rest is summed", function()
  local t = {}
  for i = 1, 50 do t[i] = big("x", 100 + i) end
  local r = membuddy.profile(t)
  local lines = printed(r, { top = 11, no_header = true })
  equal(#lines, 2 + 11 + 1, "the number of lines")
  contains(lines[#lines], "... and " .. 51 - 11 .. " other references, totalling ", "the last line")
  local rest = 0
  for i = 1, 51 - 11 do rest = rest + membuddy.sizeof(t[i]) end
  contains(lines[#lines], membuddy.format_size(rest), "the last line")
  equal(#printed(r, { top = false, no_header = true }), 2 + 51, "the number of all lines")
  equal(#printed(r, { top = 51, no_header = true }), 2 + 51, "the number of all lines")
  t = { { big("below", 1000) }, { big("deeper", 500), { t } } }
  r = membuddy.profile(t)
  lines = printed(r, { top = 1, no_header = true })
  contains(lines[#lines], membuddy.format_size(r.totalSize - r.sizes[r.target]), "the own bytes of what is not printed")
  for i = 1, 40 do t[i] = { t } end
  lines = printed(membuddy.profile(t), { top = 5, no_header = true })
  equal(lines[#lines], "... and " .. 40 - 5 .. " other circular references", "the last line")
  equal(#lines, 2 + 5 + 1 + 1 + 5 + 1, "the number of lines")
end)

test("the header says what Lua has, and a target's what others hold as well", function()
  local r = membuddy.profile({ depth = 0 })
  r.luaSize, r.garbage, r.unaccounted = 10000, 1000, 2000
  contains(printed(r)[2], "Lua memory: 9.77 KB = live 6.84 KB + garbage 1000 bytes; unaccounted: 1.95 KB", "the second line")
  local target = { {} }
  r = membuddy.profile(target)
  contains(table.concat(printed(r), "\n"), "\nHeld by target; others hold as well: 0 bytes\n", "the report")
end)

test("twenty are printed unless top says otherwise", function()
  equal(#printed({ no_header = true, cycles = false, checks = false }), 2 + 20 + 1, "the number of lines")
end)

test("option min_size leaves small ones out of the print alone", function()
  local t = { big("x", 5000), "small" }
  local lines = printed({ target = t, min_size = 1000, no_header = true })
  equal(#lines, 2 + 2, "the number of lines")
  equal(sum(membuddy.profile(t, { min_size = 1000 }).sizes), membuddy.profile(t).totalSize, "the results' sum")
end)

test("option no_header leaves the header out", function()
  contains(printed({ top = 1 })[1], "MemBuddy", "the first line")
  contains(printed({ top = 1, no_header = true })[1], "Total size: ", "the first line")
end)

test("colours come from the global table Colors", function()
  local lines = {}
  with_globals({ print = function(line) lines[#lines + 1] = line end,
    Colors = { red = "<r>", green = "<g>", blue = "<b>", gray = "<y>", reset = "<0>" } }, membuddy.print, { top = 3, depth = 1 })
  local text = table.concat(lines, "\n")
  contains(text, "<g>/...<0>", "the report")
  contains(text, "<y>, totalling <0>", "the report")
  contains(text, "<b>", "the report")
  contains(text, "<y>Sizes:<0>", "the report")
  local _, opened = text:gsub("<[rgby]>", "")
  local _, closed = text:gsub("<0>", "")
  equal(opened, closed, "the number of colours that end")
  with_globals({ print = function(line) lines[1] = line end, Colors = { blue = "<b>", green = "<g>", reset = "<0>" } }, membuddy.print,
    { type = "membuddy-results", totalSize = 1, sizes = { ["a/...b"] = 1 }, totalSizes = {}, circular = {} }, { no_header = true })
  contains(lines[1], "<b>a/...b<0>: ", "a key that begins as the last step of a sum does")
end)

test("a Colors that is no table of texts is no colour", function()
  local trap = setmetatable({}, { __index = function() error("a metamethod ran") end })
  for _, colours in ipairs({ 5, "red", { blue = {}, gray = 5, reset = true }, trap }) do
    local lines = {}
    with_globals({ print = function(line) lines[#lines + 1] = line end, Colors = colours }, membuddy.print, { top = 1 })
    check(lines[1]:find("^MemBuddy"), "the first line is %s", lines[1])
  end
end)

test("without a print the error says so", function()
  for _, value in ipairs({ "absent", 5, { 1 } }) do
    local ok, message = pcall(with_globals, { print = value }, membuddy.print)
    check(not ok, "it printed")
    contains(message, "print", "the error")
  end
end)

test("an error of print goes through to the caller", function()
  local problem = {}
  local ok, message = pcall(function()
    local before = print
    rawset(_G, "print", function() error(problem) end)
    local results = table.pack(pcall(membuddy.print))
    rawset(_G, "print", before)
    error(results[2], 0)
  end)
  check(not ok and message == problem, "the error is %s", tostring(message))
end)

test("a print that edits the results while they are printed harms nothing", function()
  local r = membuddy.profile({ depth = 2 })
  local texts = 0
  with_globals({ Colors = "absent", print = function(line)
    texts = texts + #line
    for _, field in ipairs({ "sizes", "totalSizes", "circular" }) do
      for key in pairs(r[field]) do r[field][key] = nil end
    end
    collectgarbage()
  end }, membuddy.print, r)
  check(texts > 0, "nothing was printed")
end)

test("a print may profile itself", function()
  local nested = 0
  with_globals({ Colors = "absent", print = function() nested = nested + membuddy.profile({ depth = 0 }).unaccounted end },
    membuddy.print, { top = 2 })
  equal(nested, 0, "what is unaccounted")
end)

-- ---- nothing is disturbed ----

test("no metamethod runs", function()
  local function fail() error("a metamethod ran") end
  local hostile = setmetatable({ {}, name = "n" }, { __index = fail, __newindex = fail, __pairs = fail, __len = fail,
    __tostring = fail, __name = "hostile", __call = fail, __eq = fail, __lt = fail, __concat = fail, __metatable = false, __mode = {} })
  rawset(_G, "ContractGlobal", hostile)
  membuddy.profile()
  membuddy.profile(hostile, { retained = true })
  membuddy.retained(hostile)
  membuddy.sizeof(hostile)
  membuddy.kinds()
  membuddy.account()
  printed({ target = hostile })
  rawset(_G, "ContractGlobal", nil)
end)

test("the globals may have a metatable that refuses everything", function()
  local before = getmetatable(_G)
  local function fail(_, name) error("the metamethod of _G ran for " .. tostring(name)) end
  debug.setmetatable(_G, { __index = fail, __newindex = fail, __pairs = fail })
  local ok, message = pcall(function()
    membuddy.profile()
    membuddy.profile({ 1 })
    membuddy.format_size(5000, true)
  end)
  debug.setmetatable(_G, before)
  check(ok, "%s", tostring(message))
end)

test("NaN, infinities and numbers that are equal disturb nothing", function()
  local t = { 0 / 0, 1 / 0, -1 / 0, 1, 1.0, -0.0, [1 / 0] = { 1 }, [-1 / 0] = { 2 }, [0.5] = 0 / 0 }
  local r = membuddy.profile(t)
  equal(sum(r.sizes), r.totalSize, "the sum of the sizes")
  check(count(r.sizes) == 3, "%d lines", count(r.sizes))
end)

test("the same heap gives the same report", function()
  local t = { { {} }, a = { b = {} }, [print] = { 1 }, [{}] = { 2 } }
  local function text() return table.concat(printed({ target = t, top = false, no_header = true }), "\n") end
  local first = text()
  equal(text(), first, "the second report")
end)

test("a report works in a coroutine, in a pcall, as a tail call and as a callback", function()
  local r = coroutine.wrap(function() return membuddy.profile({ depth = 0 }) end)()
  equal(r.unaccounted, 0, "what is unaccounted")
  local ok, results = pcall(membuddy.profile, { depth = 0 })
  check(ok and results.unaccounted == 0, "pcall")
  local function tail(options) return membuddy.profile(options) end
  equal(tail({ depth = 0 }).unaccounted, 0, "what is unaccounted")
  ok, results = pcall(coroutine.wrap(membuddy.profile), { 1 })
  check(ok and results.unaccounted == 0, "as the body of a coroutine: %s", tostring(results))
end)

test("a report works in a finalizer", function()
  local results
  setmetatable({}, { __gc = function() results = membuddy.profile({ depth = 1 }) end })
  collectgarbage()
  check(results and results.unaccounted == 0, "there are no results")
end)

test("a report works in a finalizer while load parses a text", function()
  local lines, met, problem = {}, false, nil
  for i = 1, 400 do lines[i] = ("a%d = 'text %d'"):format(i, i) end
  local function look()
    local level, info = 1, debug.getinfo(1, "f")
    while info and info.func ~= load do
      level = level + 1
      info = debug.getinfo(level, "f")
    end
    met = met or info ~= nil
    problem = problem or not pcall(membuddy.profile)
  end
  for i = 1, 100 do
    setmetatable({}, { __gc = look })
    load(table.concat(lines, "\n") .. i)
    if met then break end
  end
  check(met and not problem, "it was %s", met and "refused" or "not called")
end)

-- The function that it makes stands unfinished on the stack, without upvalues yet.
test("a report works while load reads, and in a finalizer meanwhile: what the parser holds is unaccounted, other in the account", function()
  local unaccounted, others, problem = {}, {}, nil
  local function look()
    local r, a = membuddy.profile({ depth = 1 }), membuddy.account()
    equal(sum(r.sizes), r.totalSize, "the sum of the sizes")
    equal(r.totalSize + r.garbage + r.unaccounted, r.luaSize, "Lua's size")
    if a.memory then equal(sum(a.parts), a.memory, "the sum of the parts") end
    unaccounted[#unaccounted + 1], others[#others + 1] = r.unaccounted, a.parts.other
  end
  local function read(text, piece_bytes)
    local at = 1 - piece_bytes
    return assert(load(function()
      at = at + piece_bytes
      setmetatable({}, { __gc = function() problem = problem or select(2, pcall(look)) end })
      collectgarbage()
      look()
      return text:sub(at, at + piece_bytes - 1)
    end))
  end
  local text = ("_G.contract = function(x) return x, contract, _ENV end "):rep(10) .. "return '" .. ("long"):rep(2000) .. "'"
  read(text, 500)
  for name, bytes in pairs(membuddy.exact and { unaccounted = unaccounted, other = others } or {}) do
    if bytes[1] then check(bytes[#bytes] > bytes[1] + 8000, "%s: %d bytes, then %d", name, bytes[1], bytes[#bytes]) end
  end
  read(string.dump(look), 100)
  check(not problem, "in a finalizer: %s", problem)
end)

test("the books of a report in a finalizer are right, with a budget too", function()
  local results, text, stopped
  setmetatable({}, { __gc = function()
    results = membuddy.profile({ depth = 1, budget = 1e7 })
    text = table.concat(printed(results), "\n")
    stopped = membuddy.profile({ budget = 0 }).stopped
  end })
  collectgarbage()
  check(results and text, "there are no results")
  equal(results.luaSize, results.totalSize + results.garbage + results.unaccounted, "Lua's size")
  check(results.luaSize > 0.9 * results.totalSize, "Lua has %d bytes, %d of them live", results.luaSize, results.totalSize)
  check(not text:find("Explained: 0.00"), "nothing is explained: %s", text)
  equal(stopped, membuddy.backend ~= "native" or nil, "that a walk without room was stopped")
end)

test("a call with so many arguments that the stack has no room for them twice leaves the collector at work", function()
  local ok, problem = pcall(function() return membuddy.account(table.unpack({}, 1, 600000)) end)
  check(ok or problem:find("stack overflow"), "it failed: %s", problem)
  check(collectgarbage("isrunning"), "the collector rests")
end)

test("a report is made where it is all that runs in a coroutine", function()
  for _, name in ipairs({ "profile", "kinds", "account" }) do
    equal(type(coroutine.wrap(membuddy[name])()), "table", name .. " of the process")
  end
  local waiting = coroutine.create(membuddy.profile)
  local ok, results = coroutine.resume(waiting, waiting)
  check(ok, "of the coroutine itself: %s", results)
  check(results.totalSize > 0, "it holds nothing")
end)

test("a report is made where the program put other functions into libraries, or a number where the registry has the main thread", function()
  local registry, replaced = debug.getregistry(), {}
  local main, target = registry[1], { ["\n\xFF\u{E4}"] = { 1, 2 } }
  local function fail() error("a function of the program was called", 0) end
  for _, library in ipairs({ coroutine, utf8 }) do
    for name, f in pairs(library) do
      if type(f) == "function" then
        replaced[#replaced + 1] = { library, name, f }
      end
    end
  end
  for _, one in ipairs(replaced) do one[1][one[2]] = fail end
  registry[1] = 1
  local ok, problem = pcall(membuddy.profile)
  local ok_of_target, problem_of_target = pcall(membuddy.profile, target)
  registry[1] = main
  for _, one in ipairs(replaced) do one[1][one[2]] = one[3] end
  check(ok, "of the process: %s", problem)
  check(ok_of_target, "of a target: %s", problem_of_target)
end)

test("of entries without a line the keys count", function()
  local t = {}
  for i = 1, 1000 do t["key " .. i] = { i } end
  equal(membuddy.profile(t).totalSize, membuddy.profile(t, { depth = "inf" }).totalSize, "the total")
end)

test("the way back of a line that is folded is not told of another line", function()
  local t, length = {}, 0
  for i = 1, 40 do t[i] = { t } end
  for i = 41, 120 do
    t[i] = {}
    for place = 1, 8 do
      length = length + 8
      t[i][place] = { big("x", length) }
    end
  end
  local r = membuddy.profile(t)
  for path, to in pairs(r.circular) do
    local index = path:sub(#r.target + 2):match("^(%d+)/1$")
    check(index and tonumber(index) <= 40, "%s leads back to %s", path, to)
  end
end)

test("a report below many frames counts the stack and what the oldest frame holds", function()
  local frames = 40000
  local held = big("held by the oldest frame ", 50000)
  local results
  local function recurse(left)
    if left == 0 then results = membuddy.profile({ depth = 0 }) else recurse(left - 1) end
    return left
  end
  recurse(frames)
  check(results.totalSize > #held + 80 * frames, "the oldest frame is missing")
  local bytes = results.kinds.thread.bytes / frames
  check(bytes > 60 and bytes < 320, "the stack has %.1f bytes a frame", bytes)
end)

test("a program that changes what a function of the library keeps calls another of them, or gets an error", function()
  if membuddy.backend ~= "native" then return end
  local sizeof = membuddy.sizeof
  local _, kept = debug.getupvalue(sizeof, 1)
  for _, value in ipairs({ -1, 6, 1 << 40, 1e300, "x", false, {}, print }) do
    debug.setupvalue(sizeof, 1, value)
    pcall(sizeof, {})
  end
  debug.setupvalue(sizeof, 1, kept)
  equal(sizeof(""), membuddy.sizeof("x") - 1, "the size of an empty string")
end)

-- The last one: it leaves room for many names in `_G`, which the checks tell of.
test("many closures, or many globals beside a target, make no report large", function()
  local closures, chunks, names = {}, {}, {}
  for i = 1, 4500 do closures[i] = function() return i end end
  for i = 1, 500 do chunks[i] = { { { load("local x = 1 return function() return x end", "=c" .. i)() } } } end
  for i = 1, 4200 do
    names[i] = "ContractGlobal" .. i
    rawset(_G, names[i], {})
  end
  for _, options in ipairs({ { target = closures, depth = 1 }, { target = { { { { chunks } } } } } }) do
    membuddy.profile(options)
    collectgarbage()
    collectgarbage("stop")
    local before = collectgarbage("count")
    membuddy.profile(options)
    local used = (collectgarbage("count") - before) * 1024
    collectgarbage("restart")
    check(used < 3000000, "%d bytes were used", used)
  end
  for _, name in ipairs(names) do rawset(_G, name, nil) end
end)

return tests
