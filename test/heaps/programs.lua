-- Random programs: every kind of object that Lua knows, in every state that a program can bring it into.
--
-- The chunk is given the library `native` (test/unit/heap.c), a seed and a number of steps. The same seed is the same
-- program in every version of Lua; what a version lacks is left out by asking for it, never by its number.

local native, seed, steps = ...

local state = seed * 2654435761 % 4294967296 + 1

-- A number from 1 to `limit`.
local function random(limit)
  state = (state * 1103515245 + 12345) % 4294967296
  return state // 65536 % limit + 1
end

local function one_in(count) return random(count) == 1 end

local SLOTS = 24
local pool = {} -- what the program holds; everything else is garbage, or held by it
for i = 1, SLOTS do pool[i] = false end
local registry = debug.getregistry()
local unpack = table.unpack
local serial = 0

local function pick() return pool[random(SLOTS)] end
local function keep(value)
  pool[random(SLOTS)] = value
  return value
end

local function pick_table()
  for _ = 1, 4 do
    local value = pick()
    if type(value) == "table" then return value end
  end
  return keep({})
end

-- A parser's buffers are in nobody's books while it reads, and a finalizer may run meanwhile.
local function compile(...)
  native.parsing(1)
  local chunk, message = load(...)
  native.parsing(-1)
  return chunk, message
end

local function fresh_name(prefix)
  serial = serial + 1
  return prefix .. serial
end

local function long_string()
  return string.rep(fresh_name("text "), 10 + random(60))
end

local function scalar()
  local kind = random(10)
  if kind == 1 then return random(100) end
  if kind == 2 then return random(100) + 0.5 end
  if kind == 3 then return true end
  if kind == 4 then return fresh_name("s") end
  if kind == 5 then return long_string() end
  if kind == 6 then return print end
  if kind == 7 then return 2 ^ 53 end
  return pick() or 1
end

local function key()
  local value = scalar()
  if value ~= value then return 1 end
  return value
end

local modes = { "k", "v", "kv", "vk", "none", "k", "v", "kv" }
local weak_metatables = {}
for i, mode in ipairs(modes) do weak_metatables[i] = { __mode = mode } end

local function weak_table()
  if one_in(6) then
    local own = { __mode = modes[random(#modes)] }
    if one_in(3) then own.__index = own end
    return setmetatable({}, own)
  end
  return setmetatable({}, weak_metatables[random(#weak_metatables)])
end

-- ---- coroutines ----

local function deep_yield(depth, ...)
  local held = { depth }
  if depth == 0 then return coroutine.yield(held, ...) end
  return (deep_yield(depth - 1, held, ...))
end

local function body_of(kind)
  local captured = { kind }
  if kind == 1 then
    return function(...) coroutine.yield(...) return captured end
  elseif kind == 2 then
    return function() deep_yield(random(40), long_string()) end
  elseif kind == 3 then
    return function() local open = {} coroutine.yield(function() return open end) error(captured) end
  elseif kind == 4 then
    return function()
      local inner = coroutine.wrap(function() coroutine.yield(captured) end)
      inner()
      coroutine.yield(inner)
    end
  elseif kind == 5 then
    return function() pcall(function() coroutine.yield(captured) error({}) end) coroutine.yield() end
  elseif kind == 6 then
    return function() for _, v in pairs({ 1, 2, 3 }) do coroutine.yield(v, native.walk) end end
  end
  return function(...) return select("#", ...), native.walk() end
end

-- ---- what a step does ----

local actions = {}

function actions.array()
  local t = {}
  for i = 1, random(30) do t[i] = scalar() end
  for _ = 1, random(5) do t[random(30)] = nil end
  if one_in(2) then local _ = #t end
  if one_in(3) then t[#t + 1] = {} end
  if one_in(3) then table.remove(t) end
  keep(t)
end

function actions.constructor()
  keep({ 1, 2, 3, random(9), nil, 5, name = "n", [random(99)] = {}, { {} }, fresh_name("f") })
end

function actions.hash()
  local t = {}
  for _ = 1, random(20) do t[key()] = scalar() end
  for k in pairs(t) do
    if one_in(3) then t[k] = nil end
  end
  keep(t)
end

function actions.grow()
  local t = pick_table()
  for i = 1, random(40) do rawset(t, i, i) end
  local _ = #t
end

function actions.shrink()
  local t = pick_table()
  for i = 40, random(40), -1 do rawset(t, i, nil) end
  local _ = #t
end

function actions.link() rawset(pick_table(), key(), pick()) end

function actions.cut()
  local t = pick_table()
  local k = next(t)
  if k ~= nil then rawset(t, k, nil) end
end

function actions.strings()
  local t = {}
  for i = 1, random(60) do t[i] = fresh_name("name") end
  keep(table.concat(t, ","))
  if one_in(2) then keep(t) end
end

function actions.long() keep(long_string()) end

function actions.metatable()
  local t = pick_table()
  if getmetatable(t) == nil or one_in(4) then
    setmetatable(t, one_in(3) and t or pick_table())
  end
end

function actions.shared_upvalues()
  local a, b = {}, scalar()
  local function get() return a, b end
  local function set(x) a, b = x, get end
  if one_in(2) then native.walk() end
  if one_in(2) then keep(get) keep(set) else keep(set) end
  if one_in(3) then set(pick()) end
end

function actions.loop_closures()
  local t = {}
  for i = 1, random(8) do
    local own = one_in(2) and {} or i
    t[i] = function() own = i return own, t end
  end
  if one_in(3) then native.walk() end
  keep(t[#t])
end

function actions.joined_upvalues()
  local f, g = pick(), pick()
  if type(f) ~= "function" or type(g) ~= "function" then return end
  local first, second = debug.getupvalue(f, 1), debug.getupvalue(g, 1)
  if first and second and first ~= "" and second ~= "" then debug.upvaluejoin(f, 1, g, 1) end
end

function actions.c_closure()
  local values = {}
  for i = 1, random(6) do values[i] = scalar() end
  keep(native.closure(unpack(values)))
end

local sources = {
  "local a, b = ... return function(x) a = x return b, a end",
  "local t = {} for i = 1, 10 do t[i] = function() return i + t[1] end end return t",
  "local function f(n) if n > 0 then return f(n - 1) end return {} end return f(5)",
  "return {1, 2.5, 'three', long = [[a string that is long enough to be kept apart from the short ones]]}",
  "goto done do local x = 1 end ::done:: return ...",
  "local x <close> = setmetatable({}, {__close = function() end}) return x",
  "local x <const> = 5 return function() return x end",
  "x = = 1", "for", "return '", "local a = {1, 2", "return 1e", "f(" .. string.rep("(", 250),
}
function actions.compile()
  local chunk = compile(sources[random(#sources)], "=" .. fresh_name("chunk"))
  if chunk then
    keep(chunk)
    local ok, value = pcall(chunk, {}, 2)
    if ok and value then keep(value) end
  end
end

function actions.compile_in_pieces()
  local text, at = sources[random(#sources)], 0
  local chunk = compile(function()
    at = at + 1
    if one_in(12) then native.walk() end
    if at <= #text then return text:sub(at, at) end
  end, "@" .. fresh_name("piece") .. ".lua")
  if chunk then keep(chunk) end
end

function actions.dump()
  local f = pick()
  if type(f) ~= "function" then return end
  local ok, code = pcall(string.dump, f, one_in(2))
  if not ok then return end
  keep(code)
  local copy = compile(code, "binary", "b")
  if copy then keep(copy) end
end

function actions.start_coroutine()
  local thread = coroutine.create(body_of(random(7)))
  for _ = 1, random(4) - 1 do coroutine.resume(thread, {}, random(9)) end
  keep(thread)
end

function actions.resume()
  local thread = pick()
  if type(thread) ~= "thread" or coroutine.status(thread) ~= "suspended" then return end
  local results = table.pack(coroutine.resume(thread, pick()))
  if one_in(2) then keep(results) end
end

function actions.close_coroutine()
  local thread = pick()
  if coroutine.close == nil or type(thread) ~= "thread" or coroutine.status(thread) ~= "suspended" then return end
  coroutine.close(thread)
end

function actions.wrap()
  local step = coroutine.wrap(body_of(random(7)))
  pcall(step, 1)
  keep(step)
end

function actions.wide_stack() keep({ select(random(200), unpack({}, 1, 200 + random(200))) }) end

function actions.bare_thread() keep(native.thread(scalar(), {}, scalar(), "x")) end

function actions.deep_call()
  local function down(n, ...)
    if n == 0 then
      if one_in(2) then native.walk() end
      return ...
    end
    return (down(n - 1, n, ...))
  end
  keep({ down(random(60)) })
end

function actions.failure()
  local _, message = xpcall(function()
    local held = {}
    local function down(n) if n == 0 then error({ held }) end down(n - 1) return held end
    down(random(30))
  end, function(reason)
    native.walk()
    return { reason, debug.traceback("traced") }
  end)
  keep(message)
end

local overflows = 0
function actions.overflow()
  if overflows > 0 or not one_in(400) then return end
  overflows = 1
  local function down() return 1 + down() end
  keep({ xpcall(down, function(reason) native.walk() return reason end) })
end

function actions.userdata()
  local count = random(4) - 1
  local u = native.userdata(random(100) - 1, count, one_in(2) and pick_table() or nil)
  for i = 1, count do native.setuservalue(u, i, scalar()) end
  keep(u)
end

function actions.userdata_chain()
  local u
  for _ = 1, random(20) do
    local before = u
    u = native.userdata(8, 1)
    native.setuservalue(u, 1, before or {})
  end
  keep(u)
end

function actions.weak()
  local t = weak_table()
  for i = 1, random(12) do
    local kind = random(8)
    if kind == 1 then t[i] = {}
    elseif kind == 2 then t[fresh_name("weak key")] = {}
    elseif kind == 3 then t[fresh_name("weak key")] = pick() or nil
    elseif kind == 4 then t[{}] = fresh_name("weak value")
    elseif kind == 5 then t[pick() or 1] = fresh_name("weak value")
    elseif kind == 6 then t[long_string()] = long_string()
    elseif kind == 7 then t[key()] = scalar()
    else t[{}] = function() return t end end
  end
  if one_in(3) then t[next(t) or 1] = nil end
  keep(t)
end

function actions.ephemerons()
  local tables, chain = { weak_table() }, { {} }
  for i = 2, 1 + random(3) do tables[i] = setmetatable({}, weak_metatables[1]) end
  for i = 1, random(15) do
    chain[i + 1] = { i }
    tables[random(#tables)][chain[i]] = chain[i + 1]
  end
  keep(tables[1])
  if one_in(2) then keep(tables) end
  if one_in(2) then keep(chain[1]) end
end

local kept_objects = { false, false, false }
local function body_of_finalizer(kind, extra)
  if kind == 1 then return function() native.walk() end end
  if kind == 2 then return function(o) kept_objects[random(3)] = o end end
  if kind == 3 then
    return function(o) debug.setmetatable(o, getmetatable(o)) kept_objects[random(3)] = extra end
  end
  if kind == 4 then return function() local _ = { {}, extra } coroutine.wrap(function() native.walk() end)() end end
  return function() error("in a finalizer") end
end

local function finalizer_of(kind, extra)
  local body = body_of_finalizer(kind, extra)
  return function(o)
    native.finalizing()
    body(o)
  end
end

local function finalizable()
  local extra = one_in(3) and weak_table() or {}
  if one_in(2) then
    extra[fresh_name("extra")] = {}
    extra[{}] = fresh_name("extra")
    extra[pick() or 2] = long_string()
  end
  -- an error in a finalizer is an error of the program in 5.3: only there where nobody minds
  local metatable = { __gc = finalizer_of(random(coroutine.close and 5 or 4), extra) }
  if one_in(3) then return setmetatable(native.userdata(16, 0, metatable) and { extra, pick() }, metatable) end
  if one_in(3) then return native.userdata(random(40), 1, metatable) end
  return setmetatable({ extra, pick(), string.rep("x", random(80)) }, metatable)
end

function actions.finalizers()
  for _ = 1, random(4) do
    local o = finalizable()
    if one_in(2) then keep(o) end
    if one_in(3) then pick_table()[1] = o end
  end
end

function actions.forget_resurrected() kept_objects[random(3)] = false end

function actions.buffers()
  local text = string.rep("abc", 200 + random(900))
  keep((text:gsub("c", function()
    if one_in(300) then native.walk() end
    return "dd"
  end)))
  if one_in(2) then native.buffer(500 + random(4000)) end
end

function actions.type_metatables()
  local kinds = { nil, true, 1, print, "" }
  local value = kinds[random(5)]
  if type(value) == "string" then return end
  debug.setmetatable(value, one_in(2) and { __index = pick_table() } or nil)
end

function actions.registry() registry[fresh_name("reg")] = pick() end

function actions.global()
  if one_in(2) then _G[fresh_name("Global")] = pick() or nil return end
  for name in pairs(_G) do
    if type(name) == "string" and name:sub(1, 6) == "Global" and one_in(2) then _G[name] = nil end
  end
end

function actions.drop() pool[random(SLOTS)] = false end
actions.drop_again = actions.drop
function actions.drop_many()
  for _ = 1, random(SLOTS) do pool[random(SLOTS)] = false end
end

-- ---- the collector ----

function actions.step() collectgarbage("step", random(20) - 1) end
actions.step_again = actions.step
function actions.steps()
  for _ = 1, random(12) do
    collectgarbage("step", 0)
    native.walk()
  end
end
function actions.collect()
  if one_in(4) then collectgarbage() end
end
function actions.advance() native.advance(random(9) - 1) native.walk() end
function actions.tune()
  collectgarbage("setpause", 50 + random(200))
  collectgarbage("setstepmul", 50 + random(300))
end
function actions.switch_mode()
  if one_in(6) and native.has_generations then
    collectgarbage(one_in(2) and "generational" or "incremental", 0, 0, random(10))
  end
end
function actions.rest()
  collectgarbage(one_in(2) and "stop" or "restart")
end

local names = {}
for name in pairs(actions) do names[#names + 1] = name end
table.sort(names)

-- A collector that is always under way, so that programs meet it in all its states.
local pause, speed = 10 + random(100), 20 + random(200)
if native.has_generations then
  if one_in(3) then collectgarbage("generational") else collectgarbage("incremental", pause, speed, random(10)) end
else
  collectgarbage("setpause", pause)
  collectgarbage("setstepmul", speed)
end
for _ = 1, steps do
  actions[names[random(#names)]]()
  if one_in(5) then native.walk() end
end
collectgarbage("restart")
debug.setmetatable(nil, nil)
return pool
