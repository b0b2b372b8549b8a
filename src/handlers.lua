-- Reports by message: Membuddy-Report, Membuddy-Account, Membuddy-Checks. A chunk on MemBuddy's public functions:
--
--   chunk(membuddy, options, loaded)   adds the three handlers, or replaces them; options false removes them
--
-- Options: `open`, who may ask besides the owner (true: everybody; or a table, address = true); `patch`, true if every
-- report that is given is also published through patch@1.0.
--
-- A message is never failed by its answer: whatever goes wrong is told in the reply. Who may not ask is told so, and
-- nothing else. A reply has at most 200 lines and 64 KB, whatever the heap; and it is no deeper than a report that takes
-- little memory, which a process never gives back.

local membuddy, options, loaded = ...
local get, type, next, pcall, error, ipairs, tonumber = rawget, type, next, pcall, error, ipairs, tonumber
-- The program may name something else so.
local math, string, table, _G, collectgarbage = loaded.math, loaded.string, loaded.table, loaded._G, collectgarbage
local format, concat, utf8_length = string.format, table.concat, (loaded.utf8 or utf8).len

local most_lines, most_depth, reply_bytes, most_target_bytes = 200, 3, 65536, 1024
local actions = { "Membuddy-Report", "Membuddy-Account", "Membuddy-Checks" }

---- JSON, with keys in order: the same report is the same text

-- What is no UTF-8 is told byte for byte; nor are surrogates, which Lua 5.3 takes for characters.
local function unsafe_bytes(text, others)
  return "[%c" .. others .. (utf8_length(text) and not text:find("\xED[\xA0-\xBF]") and "]" or "\127-\255]")
end

-- Quotes and backslashes take two bytes: a path of them counts twice for the size of a reply.
local function quoted(text)
  local function escape(byte) return byte:find('["\\]') and "\\" .. byte or format("\\u%04x", byte:byte()) end
  return '"' .. text:gsub(unsafe_bytes(text, '"\\'), escape) .. '"'
end

local encode

local function sorted_keys(t)
  local keys = {}
  for key in next, t do
    if type(key) == "string" then keys[#keys + 1] = key end
  end
  table.sort(keys)
  return keys
end

local encoders = {
  string = quoted,
  boolean = function(boolean) return boolean and "true" or "false" end, -- never through __tostring, as below
  number = function(number)
    if number ~= number or number == math.huge or number == -math.huge then return "null" end
    return math.type(number) == "integer" and format("%d", number) or format("%.14g", number)
  end,
  table = function(t)
    local parts, keys = {}, sorted_keys(t)
    if #keys == 0 then
      for i = 1, #t do parts[i] = encode(t[i]) end
      return "[" .. concat(parts, ",") .. "]"
    end
    for i, key in ipairs(keys) do parts[i] = quoted(key) .. ":" .. encode(t[key]) end
    return "{" .. concat(parts, ",") .. "}"
  end,
}

function encode(value)
  local encoder = encoders[type(value)]
  return encoder and encoder(value) or "null"
end

---- what is asked for

local function field(message, name)
  local tags = get(message, "Tags")
  local value = type(tags) == "table" and get(tags, name) or get(message, name)
  return value ~= "" and value or nil
end

local function refuse(...) error({ refusal = format(...) }, 0) end

-- A table may come in a tag that another handler made, and numbers may have a __tostring too.
local function shown(value, most)
  if type(value) ~= "string" and type(value) ~= "number" then return "a " .. type(value) end
  return ((value .. ""):sub(1, most or 40):gsub("[%c\127-\255]", "?"))
end

-- A whole number from a tag, at most `most`.
local function count_field(message, name, default, most)
  local value = field(message, name)
  if value == nil then return default end
  if value == "inf" or value == "infinity" then return most end
  local is_number = type(value) == "string" and value:find("^%d+$") or math.type(value) == "integer" and value >= 0
  if not is_number then refuse("tag %s is %s; accepted: a whole number from 0, or inf", name, shown(value)) end
  return math.min(tonumber(value), most) -- digits that are no integer are more than `most`
end

-- Paths are escaped as reports write them: \/ and \\ and \xNN. In between an escaped byte is a zero and two digits.
local function protected(kind, byte, digit)
  if kind == "x" and (byte .. digit):find("^%x%x$") then return "\0" .. byte .. digit end
  if kind == "x" then return "x" .. byte .. digit end
  return format("\0%02x", byte:byte()) .. digit
end

local function unprotected(digits) return string.char(tonumber(digits, 16)) end

-- The entry whose key reads so: a text, else a number or a boolean.
local function below(value, step)
  local found = get(value, step)
  if found ~= nil then return found end
  local number = tonumber(step)
  if number and get(value, number) ~= nil then return get(value, number) end
  if step == "true" or step == "false" then return get(value, step == "true") end
  for key, entry in next, (number or step:find("^-?inf$")) and value or {} do -- a path has 14 digits of a number
    if type(key) == "number" and key .. "" == step then return entry end
  end
end

-- The value behind a path such as Balances or _G/Handlers/list: read raw, nothing is evaluated.
local function target_field(message)
  local tags = get(message, "Tags") -- the message's own Target is this process
  local path = type(tags) == "table" and get(tags, "Target") or nil
  if path == nil or path == "" then return nil end
  if type(path) ~= "string" then refuse("tag Target is %s; accepted: a path of table keys, such as Balances", shown(path)) end
  if #path > most_target_bytes then refuse("Target has %d bytes; accepted: at most %d", #path, most_target_bytes) end
  local value = _G
  for step in ("/" .. path):gsub("^/_G%f[/\0]", ""):gsub("%z", "?"):gsub("\\(x?)(.)(%x?)", protected):gmatch("/([^/]*)") do
    local is_table = type(value) == "table"
    if step ~= "" or is_table and get(value, "") ~= nil then -- a slash too many is no step, unless there is such a key
      if not is_table then refuse("Target %s leads through a %s; accepted: a path of table keys", shown(path), type(value)) end
      value = below(value, step:gsub("%z(%x%x)", unprotected))
      if value == nil then refuse("Target %s is not there; accepted: a path of table keys, such as Balances or Handlers/list", shown(path)) end
    end
  end
  return value, path
end

---- reports

local function largest_lines(results, top)
  local lines = {}
  for path, bytes in next, results.totalSizes do
    lines[#lines + 1] = { path = path, bytes = bytes, own = results.sizes[path] }
  end
  table.sort(lines, function(a, b) return a.bytes > b.bytes or a.bytes == b.bytes and a.path < b.path end)
  local room, others = reply_bytes - 8192, 0
  for i, line in ipairs(lines) do
    room = room - 2 * #line.path - 64
    if i > top or room < 0 then
      lines[i], others = nil, others + 1
    end
  end
  return lines, others
end

local function report(message)
  local depth = count_field(message, "Depth", most_depth, most_depth)
  local top = count_field(message, "Top", 20, most_lines)
  local target, path = target_field(message)
  local results = membuddy.profile({ target = target, depth = depth, cycles = false, lines = 320 })
  local lines, others = largest_lines(results, top)
  local answer = { type = "membuddy-report", backend = membuddy.backend, version = membuddy.version, lines = lines,
    otherLines = others, path = path }
  for _, name in ipairs({ "totalSize", "objects", "kinds", "luaSize", "garbage", "unaccounted", "exact", "shared" }) do
    answer[name] = results[name]
  end
  return answer
end

local function account()
  local answer = { type = "membuddy-account", backend = membuddy.backend, version = membuddy.version }
  for name, value in next, membuddy.account() do answer[name] = value end
  return answer
end

local function checks()
  local list, problem = membuddy.checks()
  if #list == 0 then refuse("the checks could not be made: %s", shown(problem or "not enough memory")) end
  return { type = "membuddy-checks", backend = membuddy.backend, version = membuddy.version, checks = list }
end

---- OpenMetrics

local function process_id()
  local ao = get(_G, "ao")
  local id = type(ao) == "table" and get(ao, "id")
  return type(id) == "string" and id or ""
end

-- Two paths stay two: a series that is there twice fails the whole text.
local function escaped(text)
  text = text:gsub('[\\"]', "\\%0")
  return (text:gsub(unsafe_bytes(text, ""), function(byte) return format("\\\\x%02x", byte:byte()) end))
end

-- One family of gauges: rows are { label value or false, number }. All have the label `text.process`.
local function add_family(text, name, unit, help, label, rows)
  if #rows == 0 then return end
  local full = "membuddy_" .. name .. (unit and "_" .. unit or "")
  text[#text + 1] = format("# TYPE %s gauge", full)
  if unit then text[#text + 1] = format("# UNIT %s %s", full, unit) end
  text[#text + 1] = format("# HELP %s %s", full, help)
  for _, row in ipairs(rows) do
    local labels = text.process
    if row[1] then labels = format('%s,%s="%s"', labels, label, escaped(row[1])) end
    text[#text + 1] = format("%s{%s} %s", full, labels, encode(row[2]))
  end
end

local function rows_of(t, key)
  local rows = {}
  for _, name in ipairs(sorted_keys(t)) do
    local value = t[name]
    if key and type(value) == "table" then value = value[key] end
    if type(value) == "number" then rows[#rows + 1] = { name, value } end
  end
  return rows
end

local metrics = {}

local function add_lua_size(text, answer)
  add_family(text, "lua", "bytes", "What Lua has allocated.", nil, { answer.luaSize and { false, answer.luaSize } })
end

metrics["membuddy-report"] = function(text, answer)
  add_lua_size(text, answer)
  add_family(text, "garbage", "bytes", "What a collection would free.", nil, { { false, answer.garbage } })
  add_family(text, "unaccounted", "bytes", "What Lua counts and no object explains.", nil, { { false, answer.unaccounted } })
  add_family(text, "reported", "bytes", "What this report covers.", nil, { { false, answer.totalSize } })
  add_family(text, "kind", "bytes", "Live objects by kind.", "kind", rows_of(answer.kinds, "bytes"))
  add_family(text, "kind_objects", nil, "Live objects by kind.", "kind", rows_of(answer.kinds, "count"))
  local rows = {}
  for i, line in ipairs(answer.lines) do rows[i] = { line.path, line.bytes } end
  add_family(text, "path", "bytes", "What a path holds, all below it included.", "path", rows)
end

metrics["membuddy-account"] = function(text, answer)
  add_lua_size(text, answer)
  add_family(text, "part", "bytes", "The parts of linear memory.", "part", rows_of(answer.parts or {}))
  for _, name in ipairs({ "memory", "maximum", "headroom", "largestFree", "stackHighWater", "unaccounted" }) do
    local snake = name:gsub("%u", function(letter) return "_" .. letter:lower() end)
    add_family(text, snake, "bytes", "From the account.", nil, answer[name] and { { false, answer[name] } } or {})
  end
end

metrics["membuddy-checks"] = function(text, answer)
  local bytes, counts = {}, {}
  for _, check in ipairs(answer.checks) do
    if not check.error then -- a failed check found nothing, which is not 0
      bytes[#bytes + 1], counts[#counts + 1] = { check.name, check.bytes }, { check.name, check.count }
    end
  end
  add_family(text, "check", "bytes", "What a check found.", "check", bytes)
  add_family(text, "check_findings", nil, "How many a check found.", "check", counts)
end

local function open_metrics(answer)
  local text = { process = format('process="%s"', escaped(process_id())) }
  metrics[answer.type](text, answer)
  text[#text + 1] = "# EOF\n"
  return concat(text, "\n")
end

---- messages

local formats = {
  json = { encode, "application/json" },
  prometheus = { open_metrics, "application/openmetrics-text; version=1.0.0; charset=utf-8" },
}

local function may_ask(message)
  local from, open = get(message, "From"), options.open
  return from ~= nil and (from == get(_G, "Owner") or open == true or type(open) == "table" and get(open, from) == true)
end

local function reply(message, fields)
  local answer = get(message, "reply")
  if type(answer) == "function" then return answer(fields) end
  fields.Target = get(message, "From")
  return Send(fields)
end

-- Lua collects before it refuses an object, not before it refuses a buffer, and aos writes its results into buffers: in
-- a full process what a report left behind has to go first.
local function make_room(bytes)
  if not pcall(string.rep, " ", bytes) then pcall(collectgarbage) end
end

local function publish(answer)
  Send({ Target = process_id(), device = "patch@1.0", cache = { membuddy = answer } })
end

local function answer_message(message, action, compute)
  if not may_ask(message) then
    refuse("%s is for the owner of this process; the owner may open it: membuddy.serve({ open = true })", action)
  end
  local kind = field(message, "Format") or "json"
  local writer = formats[kind]
  if not writer then refuse("tag Format is %s; accepted: json, prometheus", shown(kind)) end
  local answer = compute(message)
  make_room(reply_bytes)
  reply(message, { Action = action .. "-Response", ["Content-Type"] = writer[2], Data = writer[1](answer) })
  if options.patch then pcall(publish, answer) end -- it has been answered by now
end

local function tell(message, action, problem)
  local refusal = type(problem) == "table" and get(problem, "refusal") or "the report failed: " .. shown(problem, 160)
  reply(message, { Action = action .. "-Error", Error = refusal, Data = refusal })
end

local function handler(action, compute)
  return function(message)
    local ok, problem = pcall(answer_message, message, action, compute)
    if not ok then pcall(tell, message, action, problem) end
    pcall(collectgarbage) -- aos does so behind each message, but needs room for the answer before
  end
end

-- Whatever a program hands to its handlers: there need be no tags.
local function asks_for(action)
  return function(message) return type(message) == "table" and field(message, "Action") == action end
end

local computed = { report, account, checks }
for i, action in ipairs(actions) do
  if options then
    Handlers.add(action, asks_for(action), handler(action, computed[i]))
  else
    Handlers.remove(action)
  end
end
membuddy.serving = options
return options and "MemBuddy answers " .. concat(actions, ", ") or "MemBuddy answers no messages any more"
