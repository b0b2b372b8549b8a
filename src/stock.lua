-- Joins what a process loads whose image is not ours: the pure module (unless the image has the native library), the
-- checks, and the handlers that answer by message. A chunk, loaded under a short name so that no text of it stays:
--
--   chunk(module, checks, handlers) -> membuddy
--
-- Each is { text, its pairs }, packed by scripts/pack-lua.js and written down by scripts/stock.js. The last two are kept so
-- and read when somebody asks.

local module, checks, handlers = ...

-- A program may use the names of libraries and functions for something else later, and take them from strings.
local load, assert, pcall, error, type, next = load, assert, pcall, error, type, next
if not string then error("membuddy: no string library here; pure Lua needs one", 0) end
local char, dump, sub, gsub = string.char, string.dump, string.sub, string.gsub

-- A byte from 128 on comes as a mark and a character. Looked up, not computed while gsub runs: gsub and char take 8 KB of C
-- stack each, and in the sqlite image this text leaves 17 KB.
do
  local bytes = {}
  for i = 0, 63 do
    bytes["!" .. char(48 + i)], bytes["`" .. char(48 + i)] = char(128 + i), char(192 + i)
  end
  for _, texts in next, { module, checks, handlers } do
    for i = 1, 2 do texts[i] = gsub(texts[i], "[!`].", bytes) end
  end
end

-- A byte from 128 on stands for a pair of bytes.
local function unpacked(packed)
  local pieces = {}
  for i = 1, #packed[2], 2 do
    pieces[char(128 + i // 2)] = gsub(sub(packed[2], i, i + 1), "[\128-\255]", pieces)
  end
  return (gsub(packed[1], "[\128-\255]", pieces))
end

-- Without the debug information, which is as large as the code.
local function load_bare(text, name)
  return load(dump(assert(load(text, name, "t")), true), name, "b")
end

-- Never through __tostring, and without what a terminal could mistake.
local function shown(value)
  local kind = type(value)
  if kind ~= "string" and kind ~= "number" then return kind end
  return (gsub(sub(value .. "", 1, 160), "[%c\127-\255]", "?"))
end

local loaded = type(package) == "table" and rawget(package, "loaded") or debug.getregistry()._LOADED
local before = loaded.membuddy
local membuddy, set_findings = load_bare(unpacked(module), "=membuddy")()
loaded.membuddy = membuddy

if membuddy.backend ~= "native" then
  local function run(request, options)
    local ok, result = pcall(function()
      return load_bare(unpacked(checks), "=membuddy.checks")(membuddy, request, options, loaded)
    end)
    if ok then return result end
    return {}, result
  end
  local function answer(request, options)
    local result, problem = run(request, options)
    if not problem then return result end -- one value, as in C: it may be the last argument of a call
    local is_no_memory = problem == "not enough memory"
    if request == "checks" and is_no_memory then return result, problem end
    error(problem, is_no_memory and 0 or 2)
  end
  -- Tail calls: an error tells where the caller stands.
  function membuddy.checks(options) return answer("checks", options) end
  function membuddy.mark() return answer("mark") end
  set_findings(function(report)
    local lines, problem = run("lines", report)
    return problem and { "Checks: none, since " .. shown(problem) } or lines
  end)
end

local function refuse(text, accepted) error("membuddy: " .. text .. "; accepted: " .. accepted, 3) end

function membuddy.serve(options)
  if options == nil then options = {} end
  if options ~= false and type(options) ~= "table" then
    refuse("the options of serve are a " .. type(options), "a table, or false to answer no more")
  end
  for name, value in next, options or {} do
    local option = "option '" .. shown(name) .. "' of serve"
    if name ~= "open" and name ~= "patch" then refuse("unknown " .. option, "open, patch") end
    local is_list = name == "open" and type(value) == "table"
    for address, may_ask in next, is_list and value or {} do
      if type(address) ~= "string" or type(may_ask) ~= "boolean" then
        refuse(option .. " has an entry " .. shown(address), "address = true")
      end
    end
    if not is_list and type(value) ~= "boolean" then
      refuse(option .. " is a " .. type(value), "true or false" .. (name == "open" and ", or a table, address = true" or ""))
    end
  end
  return load_bare(unpacked(handlers), "=membuddy.handlers")(membuddy, options, loaded)
end

-- An earlier one that answers messages hands that on. (The library in C is its own: the handlers are of the earlier text.)
if type(before) == "table" then
  membuddy.marked = rawget(before, "marked")
  local serving = rawget(before, "serving")
  if type(serving) == "table" then membuddy.serve(serving) end
end
return membuddy
