-- The leaks of aos by their names. Runs on the public functions of MemBuddy alone, so it serves the native library and
-- the pure one alike: a chunk that is loaded when somebody asks and forgotten afterwards.
--
--   chunk(membuddy, "checks", options, loaded) -> array of { name, found, count, bytes, text, advice [, details] }
--   chunk(membuddy, "mark", nil, loaded)       -> nothing; what `growth` is measured from stands in membuddy.marked
--   chunk(membuddy, "lines", report, loaded)   -> array of lines: what was found; the report's lines are no growth
--
-- `loaded` has Lua's libraries (package.loaded): a program may use their names for something else.
-- Every table is read raw, nothing of the program is called, and nothing but wrong options is refused: a check that fails
-- says so in its `error`. Memory is bounded by option `objects`: how many tables and functions are looked into, about 60
-- bytes each.

local membuddy, request, options, loaded = ...
local get, type, next, error = rawget, type, next, error
loaded = loaded or _G
for _, name in next, { "debug", "math", "string", "table" } do
  if type(loaded[name]) ~= "table" then
    error("membuddy: checks need Lua's library '" .. name .. "', which package.loaded no longer has", 0)
  end
end
local debug, string, table, math = loaded.debug, loaded.string, loaded.table, loaded.math
local coroutine, os, package, _G = loaded.coroutine, loaded.os, loaded.package, loaded._G
local sizeof, size, format, upvalue_of = membuddy.sizeof, membuddy.format_size, string.format, debug.getupvalue

local quick_objects, default_objects = 500, 4000
local most_entries = 200000 -- looked at in all
local most_children = 64 -- of one table, beyond the first: records are alike
local most_names = 200 -- kept while something is counted, and handlers whose patterns are
local most_places = 32 -- each takes 1 KB, and `print` must do with what it found free
local long_string_bytes, most_long_strings, most_references = 128, 250, 1000
local most_functions = 1000
local large_table_bytes, largest_index = 1024, 1 << 30
local growth_bytes = 4096 -- less comes and goes with the code that asks
local source_bytes, most_sources, most_source_bytes = 256, 100, 1 << 20
local aos_inbox_cap = 10000
local most_error_bytes = 1000 -- that are read

---- words

local function clip(value)
  local kind = type(value)
  local text = (kind == "string" or kind == "number") and value .. "" or kind -- never through __tostring
  if #text > 43 then text = text:sub(1, 40) .. "..." end
  return (text:gsub("[%c\127-\255]", "?"))
end

-- aos puts the places before an error, one behind the other: what happened stands last.
local function without_places(text)
  if type(text) ~= "string" then return text end
  return (text:sub(1, most_error_bytes):gsub("%[string \"[^\n]-\"%]:%d+: ", ""))
end

-- A sentence, and where there is one its example.
local function with_example(text, words, example)
  return example == "" and text or text .. words .. example
end

local function tally(counts, name)
  if type(name) ~= "string" then name = clip(name) end
  if counts[name] or (counts[1] or 0) < most_names then
    if not counts[name] then counts[1] = (counts[1] or 0) + 1 end -- a name is a string: [1] is free
    counts[name] = (counts[name] or 0) + 1
  end
end

-- The three that have most in a field, most first.
local function three_of(list, field)
  table.sort(list, function(a, b) return a[field] > b[field] or a[field] == b[field] and a.name < b.name end)
  for i = 4, #list do list[i] = nil end
  return list
end

-- The three most frequent, as { name, count }. Clipped here, not when each is counted, which would leave a string or two of
-- every message; where they are made of parts, these were.
local function top_of(counts, are_clipped)
  local list = {}
  counts[1] = nil -- how many they are
  for name, count in next, counts do list[#list + 1] = { name = are_clipped and name or clip(name), count = count } end
  return three_of(list, "count")
end

local function top_text(list)
  local texts = {}
  for i, entry in next, list do texts[i] = entry.name .. " (" .. entry.count .. ")" end
  return table.concat(texts, ", ")
end

-- What is told of the first of many, where there are more.
local function of_first(most, count, words)
  return (count > most and "; of the first " .. most or ";") .. words
end

---- measuring

local function global(name) return get(_G, name) end

local function is_once(handler)
  local name = get(handler, "name")
  if name == "_boot" then return false end -- some versions of aos add it with every message
  return get(handler, "maxRuns") == 1 or type(name) == "string" and name:find("^_once_%d+$") ~= nil
end

local function array(owner, name)
  local list = type(owner) == "table" and get(owner, name)
  return type(list) == "table" and list or {}
end

-- The handlers of aos that are what handlers are, for one message or lasting.
local function handlers(once)
  local list = {}
  for _, handler in next, array(global("Handlers"), "list") do
    if type(handler) == "table" and is_once(handler) == once then list[#list + 1] = handler end
  end
  return list
end

-- Bytes of all that a table holds, each object once, without what has a name of its own.
local function held(t)
  local kinds, bytes = membuddy.kinds(t), 0
  for _, kind in next, kinds do bytes = bytes + kind.bytes end
  return bytes, kinds.string
end

-- The functions of loaded modules and lasting handlers: whoever holds one holds no more for it.
local function add_functions(list, t)
  for _, value in next, t do
    if type(value) == "function" and #list < most_functions then list[#list + 1] = value end
  end
end

-- What the values of a list add to the functions of loaded modules and of these lasting handlers.
local function held_beside(list, lasting)
  if #list == 0 then return 0 end
  local code = { [0] = false }
  for _, module in next, loaded do
    if type(module) == "table" and not rawequal(module, _G) then add_functions(code, module) end
  end
  for _, handler in next, lasting do add_functions(code, handler) end
  local bytes = held(code)
  code[0] = list
  return math.max(held(code) - bytes - sizeof(list), 0)
end

local function power_of_two(count)
  local power = 1
  while power < count do power = power * 2 end
  return count > 0 and power or 0
end

-- What a table with these entries takes that is made anew: its array part is as long as the largest power of two of which
-- the integers fill more than half. Most are lists: `next` comes to the end of those in order.
local function bytes_anew(t, count)
  local empty = sizeof({})
  local slot, node = sizeof({ 1 }) - empty, sizeof({ a = 1 }) - empty
  if count > 0 and rawlen(t) == count and next(t, count) == nil then return empty + slot * power_of_two(count) end
  local counts, top, integers, slots, in_array = {}, 1, 0, 0, 0
  for key in next, t do
    if math.type(key) == "integer" and key > 0 and key <= largest_index then
      if key > top or key <= top // 2 then top = power_of_two(key) end -- most follow each other
      counts[top] = (counts[top] or 0) + 1
    end
  end
  top = 1
  while top <= largest_index do
    integers = integers + (counts[top] or 0)
    if integers > top // 2 then slots, in_array = top, integers end
    top = top * 2
  end
  return empty + slot * slots + node * power_of_two(count - in_array)
end

---- looking into the heap

local function is_message(value)
  return type(value) == "table" and type(get(value, "Id")) == "string" and type(get(value, "From")) == "string"
    and type(get(value, "Tags")) == "table" and get(value, "Timestamp") ~= nil
end

-- What the look found; nil where it failed. `parents` says what an object was found in.
local parents, references, copies, sparse, messages, holder_of, sources, threads

-- The path to an object.
local function path_of(object)
  local path
  for _ = 1, 8 do
    local parent, name = parents[object], "[upvalue]"
    if not parent or parent == true then return path or "_G" end
    if type(parent) == "table" then
      name = "[metatable]"
      for key, value in next, parent do
        if rawequal(value, object) then name = clip(key) break end
      end
    end
    path = path and name .. "/" .. path or name
    object = parent
  end
  return parents[object] == true and path or ".../" .. path
end

-- The checks, by number, for which something was left out of the look, and 0 for all that need it: functions are never all
-- asked for their sources.
local part = { [5] = true }

-- Breadth first from _G: what takes part in several checks, in one pass.
local function look(objects)
  parents, references, copies, sparse, messages, holder_of, sources, threads = { [_G] = true }, {}, {}, {}, {}, {}, {}, {}
  local queue, last, entries_left, string_count, source_calls, all_source_bytes = { _G }, 1, most_entries, 0, 0, 0
  local waiting = array(global("Handlers"), "coroutines")

  local function enqueue(value, parent, room)
    if parents[value] or type(value) == "function" and not upvalue_of(value, 1) then return false end
    if last >= objects or room == 0 then part[0] = true return false end
    last = last + 1
    queue[last], parents[value] = value, parent
    return true
  end

  -- What keeps a coroutine beside Handlers.coroutines.
  local function note_thread(thread, holder)
    if threads[thread] or rawequal(holder, waiting) then return end
    if #threads == most_names then part[3] = true return end
    threads[#threads + 1], threads[thread] = thread, holder
  end

  local function note_string(text)
    local count = copies[text]
    if not count and string_count == most_long_strings then part[6] = true return end
    if not count then string_count = string_count + 1 end
    copies[text] = (count or 0) + 1
    if #references < most_references then references[#references + 1] = text else part[6] = true end
  end

  -- Asking for a source copies it: so functions of a table are asked while each has one of its own. Globals are of many
  -- chunks, and those with a short name stand before others. Returns whether to ask on.
  local function note_source(f)
    if source_calls == most_sources or all_source_bytes > most_source_bytes then return false end
    local source = debug.getinfo(f, "S").source
    source_calls, all_source_bytes = source_calls + 1, all_source_bytes + #source
    if #source < source_bytes then return rawequal(parents[f], _G) and source_calls < most_sources // 2 end
    if source:find("^[@=]") or sources[source] then return false end
    sources[source] = "the name of the chunk of " .. path_of(f)
    return true
  end

  local function look_into_table(t)
    local left, room, asks = entries_left, rawequal(t, _G) and objects or most_children, true
    for _, value in next, t do
      if left == 0 then break end
      left = left - 1
      local kind = type(value)
      if kind == "string" then
        if #value >= long_string_bytes then note_string(value) end
      elseif kind == "thread" then
        note_thread(value, t)
      elseif (kind == "table" or kind == "function") and (room > 0 and last < objects or not part[0]) then
        if enqueue(value, t, room) then room = room - 1 end
        if kind == "function" and asks and rawequal(parents[value], t) then asks = note_source(value) end
      end
    end
    local count = entries_left - left
    entries_left = left
    if left == 0 then part[0] = true return end
    local bytes = sizeof(t)
    if bytes < large_table_bytes + 16 * count then return end
    local gain = bytes - bytes_anew(t, count)
    if gain < large_table_bytes then return end
    if #sparse < most_names then sparse[#sparse + 1] = { table = t, bytes = gain } else part[7] = true end
  end

  local function look_into_function(f)
    for i = 1, 255 do
      local name, value = upvalue_of(f, i)
      if not name then break end
      if type(value) == "table" or type(value) == "function" then
        if is_message(value) and f ~= os.time and not rawequal(parents[f], value) and not holder_of[value] then
          if #messages < most_names then
            holder_of[value] = f
            messages[#messages + 1] = value
          else
            part[8] = true
          end
        end
        enqueue(value, f)
      elseif type(value) == "thread" then
        note_thread(value, f)
      end
    end
  end

  local at = 1
  while at <= last do
    local object = queue[at]
    if type(object) == "table" then
      look_into_table(object)
      local metatable = debug.getmetatable(object)
      if type(metatable) == "table" then enqueue(metatable, object) end
    else
      look_into_function(object)
    end
    at = at + 1
  end
end

---- the checks: each gives count, bytes, whether that is worth a line, text, advice, details

local checks = {}

-- aos keeps its cap in a local variable behind the default handler.
local function inbox_cap()
  local found
  local function search(f, depth)
    for i = 1, 20 do
      local name, value = upvalue_of(f, i)
      if not name or found then return end
      if name == "maxInboxCount" and type(value) == "number" then found = value end
      if type(value) == "function" and depth > 0 then search(value, depth - 1) end
    end
  end
  for _, handler in next, handlers(false) do
    if get(handler, "name") == "_default" and type(get(handler, "handle")) == "function" then search(get(handler, "handle"), 4) end
  end
  return found or aos_inbox_cap
end

checks[1] = { "inbox", function()
  local inbox, senders, actions = array(_G, "Inbox"), {}, {}
  local count = rawlen(inbox)
  for i = 1, math.min(count, most_entries) do
    local message = get(inbox, i)
    if type(message) == "table" then
      tally(senders, get(message, "From"))
      tally(actions, get(message, "Action") or "no action")
    end
  end
  local bytes = count > 0 and held(inbox) or 0
  local cap = inbox_cap()
  local details = { senders = top_of(senders), actions = top_of(actions), cap = cap, room = cap - count }
  return count, bytes, count >= 20 or bytes >= 32768,
    with_example(with_example(format("messages that no handler took, %d %s the cap of %d", math.abs(cap - count),
      count > cap and "above" or "below", cap), of_first(most_entries, count, " actions "), top_text(details.actions)),
      of_first(most_entries, count, " from "), top_text(details.senders)),
    "Add a handler for what recurs, and empty what was read: Inbox = {}", details
end }

local function pattern_text(pattern)
  if type(pattern) == "string" then return "Action = " .. clip(pattern) end
  if type(pattern) == "function" then
    local info = debug.getinfo(pattern, "S")
    return "a function at " .. clip(info.short_src) .. ":" .. info.linedefined
  end
  local parts = {}
  for key, value in next, pattern do
    if #parts < 4 then parts[#parts + 1] = clip(key) .. " = " .. clip(value) end
  end
  table.sort(parts)
  return clip(table.concat(parts, ", ")) -- the cut takes X-Reference off an address, which each has its own of
end

checks[2] = { "once_handlers", function()
  local patterns, list = {}, handlers(true)
  for i = 1, math.min(#list, most_names) do
    local pattern = get(list[i], "pattern")
    local kind = type(pattern)
    if kind == "string" or kind == "table" or kind == "function" then tally(patterns, pattern_text(pattern)) end
  end
  local waits = top_of(patterns, true)
  return #list, held_beside(list, handlers(false)), #list > 0,
    with_example("handlers for one message, tried on every other that comes", of_first(most_names, #list, " they wait for "), top_text(waits)),
    "An answer that never comes keeps them for ever: Handlers.remove(name), and out of Handlers.coroutines too",
    { waits = waits }
end }

-- Where a coroutine waits: the nearest function that is not of the machinery of receive. That is the same for all, so it
-- is known by `machinery`: asking for a function copies its source.
local function waiting_place(thread, machinery)
  local place
  for level = 0, 30 do
    local frame = debug.getinfo(thread, level, "f")
    if not frame then break end
    local known = machinery[frame.func]
    if known == nil then
      local info = debug.getinfo(thread, level, "Sl")
      known = info.what ~= "C" and clip(info.short_src) .. ":" .. info.currentline
      if known and not info.short_src:find(".handlers", 1, true) and not info.short_src:find("ao\"", 1, true) then return known end
      machinery[frame.func] = known
    end
    place = known or place
  end
  return place or "not started"
end

checks[3] = { "coroutines", function()
  local list, dead, places, machinery, holder = {}, 0, {}, {}, ""
  threads = threads or {}
  local function count(thread)
    local status = type(thread) == "thread" and coroutine.status(thread)
    if status == "suspended" then
      list[#list + 1] = thread
      if #list <= most_places then tally(places, waiting_place(thread, machinery)) end
    elseif status == "dead" then
      dead = dead + 1
    end
    return status
  end
  for _, thread in next, array(global("Handlers"), "coroutines") do
    if count(thread) and threads[thread] then threads[thread] = false end
  end
  local of_aos = #list
  for i = 1, #threads do
    local keeper = threads[threads[i]]
    if keeper and count(threads[i]) == "suspended" and holder == "" then holder = path_of(keeper) end
  end
  local others = #list - of_aos
  if others > 0 then part[3] = part[3] or part[0] end
  places = top_of(places, true)
  return #list, held_beside(list, handlers(false)), of_aos > 0 or others >= 20,
    with_example(with_example("functions that wait, each with its stack", of_first(most_places, #list, " at "),
      top_text(places)), "; beside Handlers.coroutines " .. others .. ", one in ", holder),
    "They end when what they wait for comes; drop lost ones where they are kept, and their handlers",
    { places = places, dead = dead, others = others, holder = holder }
end }

checks[4] = { "errors", function()
  local errors = array(_G, "Errors")
  local count = rawlen(errors)
  return count, count > 0 and held(errors) or 0, count > 0,
    with_example("failed Evals, kept without limit", "; the last: ", count > 0 and clip(without_places(get(errors, count))) or ""),
    "Read them, then Errors = {}", {}
end }

-- The loader that official images bring keeps the text of every module; only those that are loaded need it no more.
local function loader_sources(sources)
  local searchers = type(package) == "table" and (get(package, "searchers") or get(package, "loaders"))
  for _, searcher in next, type(searchers) == "table" and searchers or {} do
    for i = 1, type(searcher) == "function" and 10 or 0 do
      local name, modules = upvalue_of(searcher, i)
      if not name then break end
      local is_bundle = type(modules) == "table" and not rawequal(modules, package) and not rawequal(modules, _G)
      for key, text in next, is_bundle and modules or {} do
        if type(text) == "string" and #text >= source_bytes and get(loaded, key) then
          sources[text] = clip(key) .. " in package.searchers"
        end
      end
    end
  end
end

checks[5] = { "sources", function()
  local count, bytes, largest, place = 0, 0, 0, ""
  loader_sources(sources)
  for text, where in next, sources do
    local own = sizeof(text)
    count, bytes = count + 1, bytes + own
    if own > largest or own == largest and where < place then largest, place = own, where end
  end
  return count, bytes, bytes >= 16384,
    with_example("source texts, kept beside the code made of them", "; the largest, " .. size(largest) .. ", is ", place),
    "Give chunks short names, load(text, \"=name\"); a module that is loaded needs its text no more", {}
end }

-- The walk of the library tells objects from references: it measures each string of a list once.
checks[6] = { "duplicate_strings", function()
  local exact, listed, example, most = membuddy.backend == "native", {}, "", 1
  local _, strings = nil, { count = 0, bytes = 0 }
  if exact then _, strings = held(references) end
  local count, bytes, sign = strings.count, strings.bytes, exact and -1 or 1
  for _, text in next, references do
    local is_first = not listed[text]
    listed[text] = true
    if is_first == exact then count, bytes = count + sign, bytes + sign * sizeof(text) end
    if is_first and copies[text] > most then example, most = text, copies[text] end
  end
  return count, bytes, bytes >= 1024,
    with_example("long strings " .. (exact and "with the same contents as another" or "met again, copies or the same one"),
      "; the most frequent, " .. most .. " times: ", clip(example)),
    "Keep one and refer to it: long strings are not shared by themselves", { exact = exact }
end }

checks[7] = { "sparse_tables", function()
  local bytes, largest, tables = 0, { bytes = 0 }, {}
  for _, entry in next, sparse do
    bytes = bytes + entry.bytes
    if entry.bytes > largest.bytes then largest = entry end
  end
  if largest.table then tables[1] = { name = path_of(largest.table), bytes = largest.bytes } end
  return #sparse, bytes, bytes >= 4096,
    with_example("tables larger than their entries need, since removing never shrinks one", "; the largest would give ",
      tables[1] and size(largest.bytes) .. ": " .. tables[1].name or ""),
    "Copy what is left into a new table", { tables = tables }
end }

-- What the Inbox holds as well would stay without the function.
checks[8] = { "held_messages", function()
  local inbox, list, holder = array(_G, "Inbox"), {}, ""
  for i = 1, math.min(rawlen(inbox), most_entries) do
    local message = get(inbox, i)
    if message then holder_of[message] = nil end
  end
  for _, message in next, messages do
    if holder_of[message] then
      list[#list + 1] = message
      if #list == 1 then holder = path_of(holder_of[message]) end
    end
  end
  return #list, held_beside(list, {}), #list > 0, -- a lasting handler may be who holds them
    with_example("messages kept alive by a function that uses them", ": ", holder),
    "Copy what it needs into locals; msg.reply holds the message too",
    { holder = holder }
end }

-- `least`: what has no line had no more than that.
local function snapshot()
  local results = membuddy.profile({ depth = 1, children = most_children, cycles = false })
  local sizes, least, count = {}, math.huge, 0
  for path, bytes in next, results.totalSizes do
    local is_global = path:find("^_G/")
    if is_global then least, count = math.min(least, bytes), count + 1 end
    if is_global or path:find("^%[registry%]/") then sizes[path] = bytes end
  end
  local bytes = results.totalSize - results.kinds.string_table.bytes -- which doubles at one string too many
  return { totalSize = bytes, objects = results.objects, sizes = sizes, least = count >= most_children and least or 0 }
end

local current -- looked at before all else, so that what the checks take meanwhile does not count

checks[9] = { "growth", function()
  local marked, paths = get(membuddy, "marked"), {}
  if type(marked) ~= "table" then
    return 0, 0, false, "nothing to compare with", "Call membuddy.mark(), and look again some messages later", {}
  end
  if type(current) ~= "table" then error(current, 0) end
  local sizes, least = array(marked, "sizes"), get(marked, "least")
  for path, bytes in next, current.sizes do
    local grown = bytes - (get(sizes, path) or least)
    if grown > 0 then paths[#paths + 1] = { name = clip(path), count = size(grown), bytes = grown } end
  end
  local bytes, objects = current.totalSize - get(marked, "totalSize"), current.objects - get(marked, "objects")
  if options then -- are not the program's: lines of a report that are not printed yet
    local asking_bytes, texts = held(options)
    bytes, objects = bytes - asking_bytes, objects - 1 - texts.count
  end
  local text = top_text(three_of(paths, "bytes"))
  for _, path in next, paths do path.count = nil end
  return math.abs(objects), bytes, bytes >= growth_bytes,
    with_example("objects " .. (objects < 0 and "fewer" or "more") .. " than at membuddy.mark()", "; grown: ", text),
    "Profile the largest with membuddy.print({ target = ..., depth = 6 })", { paths = paths }
end }

---- what is asked for

local function run(objects)
  local list, ok, problem = {}, nil, nil
  if type(get(membuddy, "marked")) == "table" then ok, current = pcall(snapshot) end
  ok, problem = pcall(look, objects)
  if not ok then references, sparse, messages, sources, part[3] = nil, nil, nil, nil, true end
  for i, check in next, checks do
    local entry = { name = check[1], found = false, count = 0, bytes = 0, text = "not checked", advice = "" }
    local succeeded, count, bytes, found, text, advice, details = pcall(check[2])
    if succeeded then
      entry.count, entry.bytes, entry.found, entry.text, entry.advice = count, bytes, found, text, advice
      for name, value in next, details do entry[name] = value end
      entry.partial = part[i] or i > 4 and i < 9 and part[0] or nil
    else
      entry.error = clip(ok and count or problem) -- without the look others fail, for its reason
    end
    list[i] = entry
  end
  return list
end

local requests = {}

local function refuse(text, value, accepted)
  error("membuddy: " .. format(text, clip(value)) .. "; accepted: " .. accepted, 0)
end

function requests.checks()
  if options == nil then return run(default_objects) end
  if type(options) ~= "table" then refuse("the options of checks are a %s", type(options), "a table") end
  for name in next, options do
    if name ~= "objects" then refuse("unknown option '%s' of checks", name, "objects") end
  end
  local wanted = get(options, "objects")
  local objects = wanted == nil and default_objects or type(wanted) == "number" and math.tointeger(wanted)
  if not objects or objects < 1 then refuse("option 'objects' of checks is %s", wanted, "a whole number above 0") end
  return run(objects)
end

function requests.mark()
  local _ = run -- is alive as it is when the checks are made
  local marked = snapshot()
  membuddy.marked = marked
  local with_it = snapshot() -- what is marked has its own place in what will be compared
  marked.totalSize, marked.objects = with_it.totalSize, with_it.objects
  for path in next, marked.sizes do marked.sizes[path] = with_it.sizes[path] or marked.sizes[path] end
end

function requests.lines()
  local colours, lines = array(_G, "Colors"), {}
  local function coloured(text, name)
    local colour, reset = get(colours, name), get(colours, "reset")
    return type(colour) == "string" and type(reset) == "string" and colour .. text .. reset or text
  end
  local failed, problem = {}, nil
  for _, check in next, run(quick_objects) do
    if check.found then
      lines[#lines + 1] = format("    %s: %s%d, %s: %s. %s.", coloured(check.name, "blue"), check.partial and "at least " or "", check.count,
        size(check.bytes, true), check.text:gsub("%.$", ""), check.advice)
    end
    if check.error then failed[#failed + 1], problem = check.name, check.error end
  end
  if #failed > 0 then lines[#lines + 1] = format("    not checked: %s (%s)", table.concat(failed, ", "), problem) end
  table.insert(lines, 1, coloured("Checks:", "gray") .. (#lines == 0 and " nothing found" or ""))
  return lines
end

return requests[request]()
