-- Heaps that try to disturb a measurement: each entry builds one, and may leave it on the stack, in globals, or in the
-- registry. test/unit/test_hostile.c walks and reports every one. `native` is the library of test/unit/heap.c.

local native = ...
local registry = debug.getregistry()

local heaps = {}
local function heap(name, build) heaps[#heaps + 1] = { name = name, build = build } end

local MANY = 30000

heap("a long list of tables", function()
  local list
  for i = 1, 3 * MANY do list = { i, list } end
  List = list
end)

heap("a long list of closures", function()
  local list
  for _ = 1, 2 * MANY do local below = list list = function() return below end end
  List = list
end)

heap("a long chain of userdata through their user values", function()
  local chain
  for _ = 1, 3 * MANY do
    local below = chain
    chain = native.userdata(0, 1)
    if below then native.setuservalue(chain, 1, below) end
  end
  Chain = chain
end)

heap("a chain of userdata through their user values, deep below the report", function()
  local chain
  for _ = 1, 2 * MANY do
    local below = chain
    chain = native.userdata(0, 1)
    if below then native.setuservalue(chain, 1, below) end
  end
  Chain = { { { { { chain } } } } }
end)

heap("a chain of metatables", function()
  local first = {}
  local at = first
  for _ = 1, MANY do
    local following = {}
    setmetatable(at, following)
    at = following
  end
  setmetatable(at, first)
  Chain = first
end)

heap("threads that hold threads", function()
  local thread
  for _ = 1, 3000 do thread = native.thread(thread or 1) end
  Thread = thread
end)

heap("coroutines that wait for each other", function()
  local function nest(depth)
    if depth == 0 then coroutine.yield() return end
    local inner = coroutine.create(nest)
    coroutine.resume(inner, depth - 1)
    coroutine.yield(inner)
  end
  Thread = coroutine.create(nest)
  coroutine.resume(Thread, 150)
end)

heap("dead coroutines with their stacks", function()
  Dead = {}
  for i = 1, 300 do
    local thread = coroutine.create(function()
      local held = { i }
      local function deep(n) if n == 0 then error(held) end deep(n - 1) return held end
      deep(i)
    end)
    coroutine.resume(thread)
    Dead[i] = thread
  end
end)

heap("many keys of one size", function()
  local t = {}
  for i = 1, MANY do t["key " .. i] = i end
  Keys = t
end)

heap("many small objects in one table", function()
  local t = {}
  for i = 1, 2 * MANY do t[i] = { i } end
  Small = t
end)

heap("many objects as keys", function()
  local t = {}
  for i = 1, MANY do t[{}] = i end
  Keys = t
end)

heap("many children that know their parent", function()
  local t = {}
  for i = 1, MANY do t[i] = { parent = t } end
  Parent = t
end)

heap("a chain of ephemerons in one table, against its order", function()
  local t, keys = setmetatable({}, { __mode = "k" }), {}
  for i = 1, 3000 do keys[i] = {} end
  for i = 3000, 2, -1 do t[keys[i]] = keys[i - 1] end
  Ephemerons, First = t, keys[3000]
end)

heap("a chain of ephemerons in one table, with its order", function()
  local t, keys = setmetatable({}, { __mode = "k" }), {}
  for i = 1, 3000 do keys[i] = {} end
  for i = 2, 3000 do t[keys[i - 1]] = keys[i] end
  Ephemerons, First = t, keys[1]
end)

heap("a chain of ephemerons through many tables", function()
  local mode, tables, keys = { __mode = "k" }, {}, {}
  for i = 1, 1500 do tables[i], keys[i] = setmetatable({}, mode), {} end
  for i = 1, 1499 do tables[1500 - i][keys[i]] = keys[i + 1] end
  Tables, First = tables, keys[1]
end)

heap("many weak tables beside a deep list", function()
  local modes = { { __mode = "k" }, { __mode = "v" }, { __mode = "kv" } }
  local tables, list = {}, nil
  for i = 1, 3000 do
    local t = setmetatable({}, modes[i % 3 + 1])
    t[{}] = {}
    t["key"] = t
    tables[i] = t
  end
  for i = 1, 3000 do list = { i, list } end
  Tables, List = tables, list
end)

heap("many weak tables that have nothing to wait for, beside a deeper list", function()
  local modes = { { __mode = "k" }, { __mode = "v" }, { __mode = "kv" } }
  local tables, list, kept = {}, nil, {}
  for i = 1, 1000 do
    kept[i] = {}
    tables[i] = setmetatable({ [kept[i]] = kept, key = kept[i], text = "text" }, modes[i % 3 + 1])
    for j = 1, i % 2 * 30 do tables[i][j] = kept end
  end
  for _ = 1, 60000 do list = { list } end
  Kept, Tables, List = kept, tables, list
end)

heap("dead weak values whose keys are objects, beside many lines", function()
  Lines, Weak = {}, setmetatable({}, { __mode = "v" })
  for i = 1, 3 * MANY do Lines[i] = { i } end
  local value = {}
  for _ = 1, 10 do -- each collection frees one more
    local following = {}
    Weak[{ following }] = value
    value = following
  end
end)

heap("weak values of which each collection frees one more", function()
  local t, key = setmetatable({}, { __mode = "v" }), nil
  for _ = 1, 300 do
    local value = {}
    t[{ key }] = value
    key = value
  end
  Weak = t
end)

heap("ephemerons that each hold a deep list", function()
  local mode = { __mode = "k" }
  local key, tables = {}, {}
  for i = 1, 120 do
    local following, list = {}, nil
    for j = 1, 300 do list = { j, list } end
    tables[121 - i] = setmetatable({ [key] = { following, list } }, mode)
    if i == 1 then First = key end
    key = following
  end
  Tables = tables
end)

heap("keys of a megabyte, with zeros, escapes and invalid UTF-8", function()
  Keys = {
    [string.rep("m", 2 ^ 20)] = { 1 }, [string.rep("\0", 2 ^ 20)] = { 2 }, ["\27[2J\27]0;title\7"] = { 3 },
    [string.rep("\255", 1000)] = { 4 }, ["\r\n"] = { 5 }, [string.rep("\226\130", 100)] = { 6 }, [""] = { 7 },
    [string.rep("/", 1000)] = { 8 }, ["_G"] = { 9 }, ["[metatable]"] = { 10 }, ["..."] = { 11 },
  }
end)

heap("numbers that are no numbers", function()
  Numbers = { 0 / 0, 1 / 0, -1 / 0, -0.0, [2 ^ 63] = { 1 }, [-2 ^ 63] = { 2 }, [1 / 0] = { 3 }, [0.1] = 0 / 0,
    [math.mininteger] = { 4 }, [math.maxinteger] = { 5 } }
end)

heap("metamethods that throw", function()
  local function fail() error("a metamethod ran") end
  local metatable = {}
  for _, event in ipairs({ "index", "newindex", "pairs", "len", "tostring", "call", "eq", "lt", "le", "concat", "unm",
    "add", "name", "close", "metatable" }) do
    metatable["__" .. event] = fail
  end
  Hostile = { setmetatable({ {}, "text" }, metatable) }
  for i = 1, 50 do Hostile[i + 1] = setmetatable({}, metatable) end
end)

heap("a __mode that is no text, or no mode", function()
  Modes = {}
  for i, mode in ipairs({ 5, "", "x", "vkvk", {}, true, "k\0v", string.rep("k", 100), print }) do
    Modes[i] = setmetatable({ {}, [{}] = {} }, { __mode = mode })
  end
end)

heap("a cyclic metatable of everything", function()
  local m = {}
  m.__index, m.__metatable = m, nil
  setmetatable(m, m)
  for _, value in ipairs({ 1, true, print, "text" }) do
    if type(value) ~= "string" then debug.setmetatable(value, m) end
  end
  Cyclic = setmetatable({ m, setmetatable({}, m) }, m)
end)

heap("finalizers that wait", function()
  for i = 1, 1000 do setmetatable({ i, {}, "finalizable " .. i }, { __gc = function() end }) end
  native.advance(7)
end)

heap("objects that their finalizers bring back", function()
  Kept = {}
  for i = 1, 200 do setmetatable({ i }, { __gc = function(o) Kept[i] = o end }) end
  collectgarbage()
end)

heap("globals that are no table", function()
  Before = registry[2]
  local undo = registry[2]
  registry[2] = "a text in the place of the globals"
  native.walk()
  registry[2] = nil
  native.walk()
  registry[2] = function() end
  native.walk()
  registry[2] = undo
end)

heap("a package.loaded that is gone", function()
  package.loaded = nil
  native.walk()
  package.loaded = 5
  native.walk()
  package = nil
  native.walk()
  registry._LOADED = nil
end)

heap("the handler of a stack overflow", function()
  local function down() return 1 + down() end
  xpcall(down, function() native.walk() return 1 end)
end)

heap("the end of the C stack", function()
  local function down(n) return pcall(string.gsub, "a", "a", function() native.walk() return down(n + 1) end) end
  down(1)
end)

heap("a stack of two hundred thousand slots", function()
  local t = {}
  for i = 1, 200000 do t[i] = i end
  local function use(...) native.walk() return ... end
  use({}, table.unpack(t))
end)

heap("every function with two hundred upvalues", function()
  local names, values = {}, {}
  for i = 1, 200 do names[i], values[i] = "u" .. i, "{" .. i .. "}" end
  local code = "local " .. table.concat(names, ",", 1, 180) .. " = " .. table.concat(values, ",", 1, 180) ..
    " return function() return " .. table.concat(names, ",", 1, 180) .. " end"
  Functions = {}
  for i = 1, 200 do Functions[i] = load(code)() end
end)

heap("prototypes inside prototypes", function()
  local code = string.rep("return function() ", 60) .. string.rep(" end", 60)
  Proto = load(code, "=" .. string.rep("a long name of a chunk\n", 100))
  Stripped = load(string.dump(Proto, true))
end)

heap("a table that shrank, one that grew, one with holes", function()
  Shrunk, Grown, Holes = {}, {}, {}
  for i = 1, 1000 do Shrunk[i], Grown[i], Holes[i * 3] = {}, {}, {} end
  for i = 1, 999 do Shrunk[i] = nil end
  local _ = #Shrunk + #Grown + #Holes
end)

heap("fifty thousand strings that were, and a string table that is too large", function()
  for i = 1, 50000 do local _ = "short " .. i end
end)

return heaps
