-- MemBuddy for processes whose image does not have it: the interface of the native library in Lua alone.
--
-- It reads a heap through `next` and the debug library and computes what the objects take from how Lua 5.3 and 5.4 lay
-- them out. It makes no copy and runs no metamethod; while it works the collector rests. What Lua does not show (garbage,
-- the free slots of a hash, equal long strings that are one object) it cannot count, and it says how much of Lua's own
-- count it explained.
--
-- How an object costs 32 bytes while it is walked: `seen` holds each once, and as its value the next in the queue. The
-- queue goes breadth first, so the objects of one line stand together on every level; a number in the queue says whose
-- the next ones are. Strings have a table of their own, `texts`. Both grow in pieces, because a table that doubles is
-- there twice for a while; the first holds nearly half of a usual heap, because each further one is another look.
--
-- What a prototype takes only a dump of its function tells. Dumps are garbage that nobody collects meanwhile, so most of
-- them are made last, when `seen` can be given back. (Lines that show prototypes are made on the way: what a function
-- mentions counts for it before it counts for what lies deeper, as in the native library.)
--
-- Where it walks it counts instructions, not lines: in a published image one of Lua's takes some 150 of WebAssembly, a call
-- of a library's function ten times that (`ONLY=pure npm run bench` counts them). So the loops that most of a heap goes
-- through have their upvalues in locals, and small functions are written out in them.

-- A program may have taken the global name of a library, or use it for something else.
local collectgarbage = collectgarbage
local loaded = type(package) == "table" and rawget(package, "loaded")
  or type(debug) == "table" and debug.getregistry()._LOADED or _G
local debug, coroutine, utf8, math = rawget(loaded, "debug") or debug, rawget(loaded, "coroutine") or coroutine,
  rawget(loaded, "utf8") or utf8, rawget(loaded, "math") or math
for _, name in next, { "debug", "coroutine", "utf8", "math", "string", "table" } do
  if not (rawget(loaded, name) or _ENV[name]) then error("membuddy: no " .. name .. " library here; pure Lua needs one", 0) end
end
local type, next, rawget, rawlen, rawequal, pcall, error, tonumber, select, setmetatable =
  type, next, rawget, rawlen, rawequal, pcall, error, tonumber, select, setmetatable
local byte, sub, find, format, gmatch, gsub, unpack, dump =
  string.byte, string.sub, string.find, string.format, string.gmatch, string.gsub, string.unpack, string.dump
local concat, sort, move, abs, floor, huge, tointeger, math_type =
  table.concat, table.sort, table.move, math.abs, math.floor, math.huge, math.tointeger, math.type
local getmetatable, getregistry, getinfo, getlocal, getupvalue, getuservalue, upvalueid =
  debug.getmetatable, debug.getregistry, debug.getinfo, debug.getlocal, debug.getupvalue, debug.getuservalue,
  debug.upvalueid
local running, char_count, codepoint, char_of = coroutine.running, utf8.len, utf8.codepoint, utf8.char

-- The native library, where the image has it.
do
  local native = rawget(loaded, "membuddy")
  if type(native) == "table" and rawget(native, "backend") == "native" then return native end
  local preload = getregistry()._PRELOAD
  local open = type(preload) == "table" and rawget(preload, "membuddy")
  if type(open) == "function" and getinfo(open, "S").what == "C" then
    native = open("membuddy", ":preload:")
    loaded.membuddy = native
    return native
  end
end

local VERSION = "1.0.0"

-- What Lua counts; nil where it does not tell: in a finalizer of Lua 5.4.
local function lua_bytes()
  local kilobytes = collectgarbage("count")
  return kilobytes and floor(kilobytes * 1024 + 0.5)
end

-- ---- how Lua lays its objects out, in bytes ----

local IS_54 = byte(dump(function() end), 5) == 0x54
local WORD = string.packsize("T")
local IS_WIDE = WORD == 8
local SLOT = 16
local NODE = IS_54 and 24 or 32
local STRING, TABLE, CLOSURE = IS_WIDE and 25 or 17, IS_WIDE and 56 or 32, IS_WIDE and 32 or 16
local UPVALUE = IS_54 and (IS_WIDE and 40 or 32) or (IS_WIDE and 32 or 24)
local USERDATA = IS_54 and (IS_WIDE and 32 or 16) or (IS_WIDE and 40 or 24)
local PROTO = IS_54 and (IS_WIDE and 128 or 84) or (IS_WIDE and 120 or 80)
local PROTO_UPVALUE, LOCAL = IS_WIDE and 16 or 8, IS_WIDE and 16 or 12
local THREAD = IS_54 and (IS_WIDE and 208 or 120) or (IS_WIDE and 216 or 124)
local FRAME = IS_WIDE and (IS_54 and 64 or 72) or 36
local STATE = IS_54 and (IS_WIDE and 1624 or 864) or (IS_WIDE and 1552 or 824)
local LINE = IS_54 and 1 or 4 -- of debug information, an instruction
local NAME_BIAS = IS_54 and 129 or 1 -- what a dump adds to the length of a short string
local NAME_LAST = NAME_BIAS - 1
local PLAIN_CONSTANTS = { [0] = 1, [1] = IS_54 and 1 or 2, [3] = 9, [0x11] = 1, [0x13] = 9 } -- bytes, by tag; no strings
local NO_NAME = IS_54 and "(no name)" or "(*no name)" -- of upvalues without debug information
local NO_LINE = IS_54 and "^\128" or "^\0\0\0\0" -- where a main function is defined
local HEADER, LONG_COUNT = IS_54 and 33 or 35, IS_54 and 127 or 254 -- of a dump; the least length that a byte does not tell
local FIRST_STACK, EXTRA_STACK, C_FRAME = 40, 5, 20
local SHORT = 40 -- the longest string that Lua keeps once
local LONGEST_ADDRESS = 64 -- equal strings of more bytes are taken for one
-- strings that the state keeps for ever
local FIXED = "and break do else elseif end false for function goto if in local nil not or repeat return then true until "
  .. "while __index __newindex __gc __mode __len __eq __add __sub __mul __mod __pow __div __idiv __band __bor __bxor "
  .. "__shl __shr __unm __bnot __lt __le __concat __call _ENV " .. (IS_54 and "__close" or "")

-- The least power of two that is not below a number.
local function power_of_two(number)
  local power = 1
  while power < number do power = power * 2 end
  return power
end

local NO_ENTRIES = {}
local ENDLESS = math.maxinteger
-- The shape of a table in a number: behind its list the hashed entries, and if there are numbers among them that a list
-- with holes may have.
local ONE_HASHED, HOLES = 1 << 30, 1 << 61
local MOST_SLOTS = 1 << 27 -- of an array part: keys that went away may look like free slots without end
local A_FEW = 16 -- tables of one shape in a row, of which one is like many
local POWERS = {} -- of the sizes that most tables have
for number = 1, 32 do POWERS[number] = power_of_two(number) end

-- True if a table's array part has room for the index: only then may `next` start from it when nothing is there.
local function has_slot(t, index) return (pcall(next, t, index)) end

-- The same of an index behind the last entry of the array part: what is there stands in the hash.
local function has_free_slot(t, index) return rawget(t, index) == nil and has_slot(t, index) end

-- The last slot of an array part that reaches from `low` on up to `high` at most. Only where no entry is does asking tell
-- that from the hash.
local function last_slot(t, low, high)
  while low < high do
    local middle = (low + high + 1) // 2
    local free = middle
    while free <= high and rawget(t, free) ~= nil do free = free + 1 end
    if free > high or has_slot(t, free) then low = middle else high = free - 1 end
  end
  return low
end

-- Slots of an array part whose last entry is `top`.
local function array_slots(t, top)
  if not has_free_slot(t, top + 1) then return top end
  local slots = power_of_two(top + 1)
  while slots < MOST_SLOTS and has_free_slot(t, slots + 1) do slots = slots * 2 end
  return has_slot(t, slots) and slots or last_slot(t, top + 1, slots)
end

-- Own bytes of a table with a list of this length and `hashed` other entries.
local function entries_bytes(t, length, hashed)
  local bytes = TABLE
  if length > 0 or hashed == 0 then bytes = bytes + SLOT * array_slots(t, length) end
  if hashed > 0 then bytes = bytes + NODE * (POWERS[hashed] or power_of_two(hashed)) end
  return bytes
end

-- Own bytes of a table with `count` entries, of which the first `array_count` reach up to the index `top`.
-- An array part without the index `hole`, behind `before_hole` entries, ends there.
local function table_bytes(t, count, array_count, top, hole, before_hole)
  local bytes = TABLE
  if hole and not has_free_slot(t, hole) then
    array_count, top = before_hole, hole - 1
  elseif hole and top > power_of_two(hole) then -- the last ones may be in the hash
    top, array_count = last_slot(t, hole, top), 0
    for key in next, t do
      if type(key) == "number" and key >= 1 and key <= top and key % 1 == 0 then array_count = array_count + 1 end
    end
  end
  if array_count > 0 or count == 0 then bytes = bytes + SLOT * array_slots(t, top) end
  if count > array_count then bytes = bytes + NODE * power_of_two(count - array_count) end
  return bytes
end

-- The same of a table that nobody looked at yet.
local function measure_table(t)
  local count, array_count, top, hole, before_hole = 0, 0, 0, nil, nil
  for key in next, t do
    count = count + 1
    if array_count == count - 1 and type(key) == "number" and key > top and key < MOST_SLOTS and key % 1 == 0 then
      if not hole and key > top + 1 then hole, before_hole = top + 1, array_count end
      array_count, top = count, key
    end
  end
  return table_bytes(t, count, array_count, top, hole, before_hole)
end

local function string_bytes(text) return STRING + #text end

-- Only where it has neither upvalues nor parameters does it take a table to tell: an error would take ten times as long.
local function is_c(f)
  local name = getupvalue(f, 1)
  if name then return name == "" end
  return not getlocal(f, 1) and not getinfo(f, "L").activelines
end

local function function_bytes(f)
  local count = 0
  while getupvalue(f, count + 1) do count = count + 1 end
  if count == 0 and is_c(f) then return 0 end -- takes no memory
  return CLOSURE + (getupvalue(f, 1) == "" and SLOT or WORD) * count
end

-- What a library keeps in a userdata is its own business, files apart: they have two words, as most others.
local function userdata_bytes(u)
  if getmetatable(u) == nil then return 0 end -- a light one
  local values = 0
  if IS_54 then
    while select(2, getuservalue(u, values + 1)) do values = values + 1 end
  end
  return USERDATA + 2 * WORD + (values > 0 and 8 + SLOT * values or 0)
end

-- Lua finds a level by counting frames, so looking at all of a deep stack takes the square of its depth: only the newest
-- and the oldest frames are looked at, and those between are taken for as large as the newest on average.
local NEWEST_FRAMES, OLDEST_FRAMES, MOST_FRAMES = 1000, 16, 1 << 20
local MANY_SLOTS = 400000 -- of a frame; less than half of what a stack may have

-- Slots of the frame that called us, at this level. Lua 5.4 moves a function that takes any number of arguments behind
-- these, so that who called it has it and them among its temporary values.
local function slots_without_call(level)
  local count, ours = 0, IS_54 and 1 or 0
  while getlocal(level + 1, count + 1) do count = count + 1 end
  while IS_54 and getlocal(level, -ours) do ours = ours + 1 end
  return count - ours
end

-- True of a function that the parser may still be making: among the temporary values of a function in C. Its upvalues are
-- not there yet, and to ask for them is to read where nothing is. (`load` has five slots before it, and may read a dump of
-- any function; a program may have put another one in its place.)
local function is_unfinished(name, value, holder, slot)
  return type(value) == "function" and find(name, "^%(") and is_c(holder)
    and (slot > 5 or getinfo(value, "S").what == "main")
end

-- Stack and frames from a level on, told by what they show; `visit` gets every slot: its name if any, number and value.
local function thread_bytes(thread, first, is_main, visit)
  local level, slot, copies = first, 1, 0
  local info = getinfo(thread, level, "f") -- nil where we are all that runs
  local last = first > 0 and info and slots_without_call(first) or huge
  local ends_in_c = not info or is_c(info.func)
  while info do
    visit(nil, slot, info.func)
    local i, step = 1, 1
    local name, value = getlocal(thread, level, 1)
    while name or step == 1 do
      if name and i <= last then
        slot = slot + 1
        if not is_unfinished(name, value, info.func, i) then visit(name, slot, value) end
        i = i + step
      else
        -- behind the named ones stand the extra arguments: but for one in Lua 5.4 which the stack had no room for, and which
        -- takes them from where nothing is
        i, step = i < MANY_SLOTS and -1 or MOST_FRAMES, -1
      end
      name, value = getlocal(thread, level, i)
    end
    last = huge
    if i < -1 then -- in Lua 5.4 they were those of the frame below as well
      copies = copies + (IS_54 and getinfo(thread, level + 1, "") and i + 1 or getinfo(thread, level, "u").nparams)
    end
    slot, level = slot + 1, level + 1
    if level == first + NEWEST_FRAMES then
      local oldest, step = level, MOST_FRAMES
      while step > 0 do
        if getinfo(thread, oldest + step, "") then oldest = oldest + step end
        step = step // 2
      end
      local skipped = oldest - level - OLDEST_FRAMES
      if skipped > 0 then
        slot, copies = slot + slot * skipped // NEWEST_FRAMES, copies + copies * skipped // NEWEST_FRAMES
        level = level + skipped
      end
    end
    info = getinfo(thread, level, "f")
  end
  local used = slot + copies + 1 + (ends_in_c and C_FRAME or 2)
  local slots = FIRST_STACK
  if IS_54 then
    while slots < used do slots = slots * 2 end
    if slots > 3 * used then slots = 2 * used end
    slots = slots + EXTRA_STACK
  else
    while slots < used + EXTRA_STACK do slots = slots * 2 end
    local good = used + used // 8 + 2 * EXTRA_STACK
    if good < slots then slots = good end
  end
  return (is_main and 0 or THREAD) + SLOT * slots + FRAME * (level - first + (is_main and 2 or level > first and 1 or 0))
end

-- The first frame of the running coroutine that is the program's and not ours, as whoever asks counts them.
local function first_level(entry)
  local level, info = 2, getinfo(2, "f")
  while info and info.func ~= entry do
    level = level + 1
    info = getinfo(level, "f")
  end
  return level
end

-- ---- names ----

local SPECIAL = "[%c/\\\127-\255]" -- what may not be shown as it is

-- How the character that begins here is shown, and how many bytes it has.
local function escaped_character(text, at)
  local point = char_count(text, at, at) and codepoint(text, at)
  if not point or point < 0x20 or point >= 0x7F and point < 0xA0 or point >> 11 == 0x1B then
    return format("\\x%02X", byte(text, at)), 1
  end
  local shown = char_of(point)
  return (point < 0x80 and "\\" or "") .. shown, #shown
end

-- A text without what a terminal or a reader could mistake, cut after `limit` bytes.
local function escape(text, limit)
  if #text <= limit and (not find(text, "[^%w_]") or not find(text, SPECIAL)) then return text end
  local parts, at = {}, 1
  while at <= #text do
    local special = find(text, SPECIAL, at) or #text + 1
    local shown, taken
    if special > at then
      shown = sub(text, at, special <= limit and special - 1 or limit)
      taken = #shown
    else
      shown, taken = escaped_character(text, at)
    end
    at = at + taken
    if taken == 0 or at > limit + 1 then
      parts[#parts + 1] = "\u{2026}"
      break
    end
    parts[#parts + 1] = shown
  end
  return concat(parts)
end

local TEMPORARY = "^%([^f]" -- what Lua calls values on a stack that have no name; "(for state)" and such are names

-- What names a line: an entry by its key, also if nothing below it is told apart; else one of these.
local ENTRY, FLAT, TEXT, UPVALUE_NAME, LOCAL_NAME, PROTO_NAME = 0, 1, 2, 3, 4, 5

-- A number or a boolean in words, without a __tostring that their type may have.
local function plain_text(value)
  if type(value) == "number" then return value .. "" end
  return value and "true" or "false"
end

local function key_text(key)
  local kind = type(key)
  if kind == "string" then return escape(key, 64) end
  if kind == "number" or kind == "boolean" then return plain_text(key) end
  if kind == "userdata" and getmetatable(key) == nil then kind = "lightuserdata" end
  return "[" .. kind .. "]"
end

local function proto_text(source, line)
  return "[proto " .. escape(gsub(gsub(sub(source, 1, 64), "^[=@]", ""), "\n.*", ""), 40) .. ":" .. line .. "]"
end

local function label_text(kind, key)
  if kind <= FLAT then return key_text(key) end
  if kind == TEXT then return key end
  local word = kind == UPVALUE_NAME and "upvalue" or "local"
  if type(key) == "number" then return "[" .. (kind == LOCAL_NAME and "stack" or word) .. " " .. key .. "]" end
  return "[" .. word .. " " .. escape(key, 64) .. "]"
end

-- ---- the walk ----

-- Objects in the first piece of `seen`, at least, and bytes of the heap for each; two others hold as many as all before
-- them. Where memory is bounded pieces are small: whenever one is full, what was used is looked at.
local FIRST_PIECE, BYTES_A_PLACE = 2048, 768
local STOP = {} -- what ends a walk in the middle of an object
local SEEN_BYTES = 53 -- at most, an object in `seen`
local LONGEST_SOURCE, MANY_UPVALUES = 256, 4 -- of functions that are dumped with debug information: less than these
-- So many lines their arrays have room for before they double; then those that will not grow any more are folded, until
-- there are `KEPT` lines, but not the largest of them.
local ROOM_FOR, KEPT, LEAST_FINAL = 400, 300, 48
local FEW_FUNCTIONS = 64 -- of a chunk, so many are looked at one by one
local MIXING = 0x9E3779B97F4A7C15 -- Lua 5.3 finds an integer by its low bits, so they have to differ too
local MUCH_COPIED = 1 << 20 -- bytes of sources that were known
-- Functions whose prototypes are read last, at most; so many objects and texts were seen for each of them that what the
-- dumps take is little beside those.
local MOST_LATE, MANY_SEEN = 4096, 64
-- What a piece keeps that is given back; in the last one, what has to be there and how many places may be free.
local FEW_LEFT, MUCH_LEFT, MOST_FREE = 32, 512, 2048
local ROOT_KIDS, MANY_KIDS, MOST_OWNERS, MOST_CYCLES = 300, 64, 6000, 32
-- What holds memory: strings, and what may refer to others.
local HOLDS = { string = "text", table = "object", ["function"] = "object", thread = "object", userdata = "object" }
local KINDS = { "table", "string", "function", "proto", "upvalue", "thread", "userdata", "state", "string_table" }

-- Makes a walk whose lines go `max_depth` steps down; `bounded`: lines that turn out small are folded on the way.
-- `entry` is the function by which the program called us: what is above it on the stack is ours.
-- `holders`, if given, learns who holds each object, until `wanted` is found.
local function new_walk(max_depth, bounded, cycles, entry, may_use, holders, wanted)
  local walk, total_bytes = {}, lua_bytes() -- nil where Lua tells no count
  local in_hand
  local is_watched = may_use or holders

  -- What was seen: objects, and texts with what else has no more to show (cells, prototypes). A piece that is full refers
  -- to the next one, so reading the first reads all of them.
  local seen, capacity = {}, FIRST_PIECE
  while total_bytes and not may_use and capacity * BYTES_A_PLACE < total_bytes do capacity = capacity * 2 end
  local first_size = capacity
  local piece, room, added = seen, capacity, nil
  local texts, text_capacity = {}, capacity
  local text_piece, text_room, text_added = texts, capacity, nil
  -- The queue in it: an object's value is the next object; `start` holds the first. Lines are linked by `queue_after`.
  local start, queue_after = {}, {}
  local tables_from = {} -- how many tables stand in it from one on, where there are many
  local tail_piece, tail, tail_owner = start, 1, 0

  -- lines, by number
  local parent, own, rest, key, kind, depth, holds, more, kids_of = {}, {}, {}, {}, {}, {}, {}, {}, {}
  local used, count, limit, threshold, free = 0, 0, bounded and ROOM_FOR or huge, 0, 0
  local owner, child, parent_of_child, content = nil, nil, nil, 0
  local label_cursor, label_line
  local strayed = {} -- lines that visit what lies deeper than their entries, as if it were one
  local cycle_list, cycle_count, other_cycles = {}, 0, 0

  -- what was found
  local counts, bytes_of = {}, {}
  for _, name in next, KINDS do counts[name], bytes_of[name] = 0, 0 end
  local string_count, long_count, table_count, table_sum = 0, 0, 0, 0
  local proto_total, proto_sum, cell_count, function_count, function_sum = 0, 0, 0, 0, 0
  local trusted, agreed, patience = {}, {}, {} -- of tables by their shape: bytes, found how often, believed how often
  local chunks, chunk_sources, has_main, chunk_count, parked = {}, {}, {}, 0, {}
  -- Functions whose prototypes are read last, with what else is to be known of them: see `count_late`.
  local late, late_notes, late_count, late_read, was_put_off, no_more_late = {}, {}, 0, 0, false, false
  local is_worth_giving_back = false -- what was seen, because what comes then takes as much
  -- By what is kept of a cell: its chunk; below 0, the first function that has it and is read last. (`true`: nothing is known.)
  local cell_chunks = {}
  local cells = {} -- of the function in hand, those that were not met before

  local stopped, ticks = false, 0
  local is_whole = false -- true while a function is visited: stopped in the middle, its prototypes would be in no line
  local function seen_count() return capacity - room + text_capacity - text_room end
  local function is_used_up() return may_use and (lua_bytes() or SEEN_BYTES * seen_count()) > may_use end

  -- The piece behind a full one, and its size.
  local function piece_behind(full, capacity, added)
    if not is_whole and is_used_up() then
      stopped = true
      error(STOP, 0)
    end
    local piece = {}
    setmetatable(full, { __index = piece })
    return piece, capacity & capacity - 1 == 0 and capacity // 2 or added
  end

  local function grow()
    piece, added = piece_behind(piece, capacity, added)
    capacity, room = capacity + added, added
  end

  local function grow_texts()
    text_piece, text_added = piece_behind(text_piece, text_capacity, text_added)
    text_capacity, text_room = text_capacity + text_added, text_added
  end

  local function tally(what, bytes)
    counts[what] = counts[what] + 1
    bytes_of[what] = bytes_of[what] + bytes
    return bytes
  end

  -- Whether a long string is one that is decoded with each message: one a reference.
  local function is_address(length)
    long_count = long_count + 1
    return length <= LONGEST_ADDRESS
  end

  -- Bytes of a string that was not met before.
  local function claim_new_string(text)
    local length = #text
    if length <= SHORT or not is_address(length) then
      text_piece[text] = true
      text_room = text_room - 1
      if text_room == 0 then grow_texts() end
    end
    string_count = string_count + 1
    return STRING + length
  end

  -- The same, and 0 of one that was met.
  local function claim_string(text) return texts[text] and 0 or claim_new_string(text) end

  -- ---- lines ----

  local function add_rest(i, bytes)
    rest[i] = rest[i] + bytes
    more[i] = more[i] + 1
  end

  -- Folds a line that has none below.
  local function drop(i)
    local above = parent[i]
    add_rest(above, own[i] + rest[i])
    kids_of[above] = kids_of[above] - 1
    own[i], holds[i], strayed[i] = false, false, nil
    if label_line == i then label_line = nil end
    queue_after[i] = free
    free = i
    count = count - 1
  end

  local order = {} -- of lines by their bytes, used again and again: bytes << 24 | line, since numbers are sorted fastest
  local function sort_order(length)
    for place = #order, length + 1, -1 do order[place] = nil end
    sort(order)
  end

  -- Sums with everything below. Where lines were folded a parent may have the higher number, but none is deep.
  local function all_totals()
    local own, rest, parent, totals = own, rest, parent, {}
    for i = 1, used do totals[i] = own[i] and own[i] + rest[i] end
    for i = used, 1, -1 do
      local above = own[i] and parent[i] or 0
      if not bounded then
        if above > 0 then totals[above] = totals[above] + totals[i] end
      elseif above > 0 then
        local bytes = own[i] + rest[i]
        repeat
          totals[above] = totals[above] + bytes
          above = parent[above]
        until above == 0
      end
    end
    return totals
  end

  -- Folds the smaller ones of the lines that will not grow any more.
  local function make_room()
    local kids_of, own, rest, queue_after, parent, final_count = kids_of, own, rest, queue_after, parent, 0
    for i = 1, used do
      if kids_of[i] == 0 and not queue_after[i] and own[i] and i ~= owner and i ~= parent_of_child and parent[i] > 0 then
        final_count = final_count + 1
        order[final_count] = own[i] + rest[i] << 24 | i
      end
    end
    local surplus = count - KEPT
    if surplus > final_count - LEAST_FINAL then surplus = final_count - LEAST_FINAL end
    if surplus > 0 then
      sort_order(final_count)
      local cut = order[surplus] >> 24
      for _, packed in next, order do
        if packed >> 24 <= cut then drop(packed & 0xFFFFFF) end
      end
      if cut > threshold then threshold = cut + cut // 2 end
      local kept = {}
      for _, cycle in next, cycle_list do
        if own[cycle[1]] then kept[#kept + 1] = cycle end
      end
      cycle_list, cycle_count = kept, #kept
    end
    limit = count < ROOM_FOR - LEAST_FINAL // 2 and ROOM_FOR or count + count // 4
    no_more_late = no_more_late or limit > ROOM_FOR
  end

  local function new_line(above, line_kind, line_key, bytes, object)
    if count >= limit then make_room() end
    local i = free
    if i > 0 then
      free = queue_after[i]
    else
      used = used + 1
      i = used
    end
    count = count + 1
    if above > 0 then
      kids_of[above] = kids_of[above] + 1
      depth[i] = depth[above] + 1
    else
      depth[i] = 0
    end
    parent[i], own[i], rest[i], more[i], key[i], kind[i] = above, bytes, 0, 0, line_key, line_kind
    holds[i], kids_of[i], queue_after[i] = object or false, 0, false
    return i
  end

  local function add_leaf(above, line_kind, line_key, bytes)
    if bytes > 0 then
      if bounded and bytes <= threshold then
        add_rest(above, bytes)
      else
        new_line(above, line_kind, line_key, bytes)
      end
    end
  end

  -- ---- the queue ----

  -- An object without a line queues something: it gets one, if there is room, so that its content has a place.
  local function become_owner()
    local above = parent_of_child
    if strayed[above] or count > MOST_OWNERS and count > seen_count() // 16 then return above end
    local from, wanted = holds[above], child
    if label_line ~= above then label_line, label_cursor = above, nil end
    if label_cursor ~= nil and rawequal(rawget(from, label_cursor), wanted) then -- its key was the last
      return new_line(above, FLAT, label_cursor, 0, child)
    end
    local is_function = type(wanted) == "function" -- which no metamethod compares
    for entry_key, value in next, from, label_cursor do
      if is_function and (value == wanted or entry_key == wanted)
        or not is_function and (rawequal(value, wanted) or rawequal(entry_key, wanted)) then
        label_cursor = entry_key
        return new_line(above, FLAT, entry_key, 0, child)
      end
    end
    -- No entry: content of one that got no line. All entries came before it, so nobody looks again.
    label_cursor, strayed[above] = nil, true
    return above
  end

  -- What is visited next, and queued by that, belongs to `now`; a child of a line that may have lines below has no owner yet.
  local function begin_owner(object, now, is_lined)
    if is_lined then owner, child = nil, object else owner = now end
  end

  -- Counts what was visited since, its own bytes and those of its content: a child that is large gets a line.
  local function count_visited(now, bytes, all)
    if owner == nil and all > threshold then owner = become_owner() end
    if owner == now then
      rest[now] = rest[now] + all
    elseif owner == nil then
      rest[now], more[now] = rest[now] + all, more[now] + 1
    else
      own[owner] = own[owner] + bytes
      if all > bytes then add_rest(owner, all - bytes) end
    end
  end

  -- What is queued next belongs to another line than what was queued last. A line of which a part waits is named otherwise
  -- in the queue, and has one more below meanwhile: it is not folded.
  local other_names = 0
  local function change_owner()
    if owner == nil then owner = become_owner() end
    if tail_owner ~= owner then
      local name = owner
      if queue_after[owner] then
        other_names = other_names + 1
        name, kids_of[owner] = other_names << 24 | owner, kids_of[owner] + 1
      end
      tail_piece[tail] = name
      tail_piece, tail, tail_owner = queue_after, name, owner
    end
  end

  local function push(object)
    if tail_owner ~= owner then change_owner() end
    tail_piece[tail] = object
    tail_piece, tail = piece, object
    if holders then holders[object] = in_hand end
    piece[object] = true
    room = room - 1
    if room == 0 then grow() end
  end

  -- ---- references ----

  local function discover(object)
    local what = HOLDS[type(object)]
    if what == "text" then
      content = content + claim_new_string(object)
    elseif what then
      push(object)
    end
  end

  local function note_cycle(from, line_kind, line_key, object)
    local at = from
    while at > 0 and not rawequal(holds[at], object) do at = parent[at] end
    if at == 0 or not cycles then return end
    if bounded and cycle_count >= MOST_CYCLES then
      other_cycles = other_cycles + 1
    else
      cycle_count = cycle_count + 1
      cycle_list[cycle_count] = { from, line_kind, line_key, at }
    end
  end

  -- A reference of the line `owner`, which may have lines below; `bytes` are those of the key.
  local kids, most_kids = 0, ROOT_KIDS
  local function refer(line_kind, line_key, bytes, value)
    local what = HOLDS[type(value)]
    if what == "text" then
      add_leaf(owner, line_kind, line_key, bytes + claim_string(value))
    elseif not what then
      add_leaf(owner, line_kind, line_key, bytes)
    elseif seen[value] then
      add_leaf(owner, line_kind, line_key, bytes)
      note_cycle(owner, line_kind, line_key, value)
    elseif type(value) == "function" and not getupvalue(value, 1) and is_c(value) then -- takes no memory
      add_leaf(owner, line_kind, line_key, bytes)
      piece[value] = true
      room = room - 1
      if room == 0 then grow() end
    else
      kids = kids + 1
      if not bounded or kids <= most_kids and count < MOST_OWNERS or type(holds[owner]) ~= "table" then
        if tail_owner ~= owner then change_owner() end
        local i = new_line(owner, line_kind, line_key, bytes, value)
        tail_piece[tail] = -i
        tail_piece, tail = queue_after, i
      else
        rest[owner] = rest[owner] + bytes
      end
      push(value)
    end
  end

  -- A reference of a line, or of what is only counted.
  local function reach(lined, line_kind, line_key, bytes, value)
    if lined then return refer(line_kind, line_key, bytes, value) end
    content = content + bytes
    if not (texts[value] or seen[value]) then discover(value) end
  end

  -- ---- tables ----

  local function weakness(metatable)
    local mode = rawget(metatable, "__mode")
    if type(mode) ~= "string" then return end
    return find(mode, "k", 1, true) ~= nil, find(mode, "v", 1, true) ~= nil
  end

  local function is_plain(value)
    local what = HOLDS[type(value)]
    return not what or what == "text"
  end

  -- What a weak table keeps alive. Returns the keys that may still come to life, and something with them.
  local function visit_weak_entries(t, weak_keys, weak_values, lined)
    local waiting = {}
    for entry_key, value in next, t do
      local keeps_key, keeps_value = not weak_keys or is_plain(entry_key), not weak_values or is_plain(value)
      if weak_keys and not weak_values then
        keeps_value = is_plain(entry_key) or seen[entry_key]
        if not keeps_value and HOLDS[type(value)] then waiting[#waiting + 1] = entry_key end
        keeps_key = is_plain(entry_key)
      end
      if not keeps_value then value = nil end
      local bytes = type(entry_key) == "string" and claim_string(entry_key) or 0
      if keeps_key and not is_plain(entry_key) then reach(lined, ENTRY, entry_key, 0, entry_key) end
      reach(lined, ENTRY, entry_key, bytes, value)
    end
    return waiting
  end

  -- The same of keys that waited.
  local function visit_waiting(t, keys, lined)
    local waiting = {}
    for _, entry_key in next, keys do
      if seen[entry_key] then
        reach(lined, ENTRY, entry_key, 0, rawget(t, entry_key))
      else
        waiting[#waiting + 1] = entry_key
      end
    end
    return waiting
  end

  -- A line whose table waits for another look is not folded: it counts as one that has lines below.
  local function park(t, waiting, lined)
    if #waiting == 0 then return end
    local line = owner or parent_of_child
    parked[#parked + 1] = { table = t, keys = waiting, lined = lined, line = line }
    kids_of[line] = kids_of[line] + 1
  end

  -- True if the table was weak, and is done.
  local function visit_metatable(t, metatable, lined)
    reach(lined, TEXT, "[metatable]", 0, metatable)
    local weak_keys, weak_values = weakness(metatable)
    if not (weak_keys or weak_values) then return false end
    park(t, visit_weak_entries(t, weak_keys, weak_values, lined), lined)
    return true
  end

  -- Bytes of a table of this shape. One is like many: what was the same often enough is believed for a while, because
  -- the answer that a list has no further slot comes as an error, which takes as long as reading a thousand entries.
  local function shape_bytes(t, shape)
    local bytes = entries_bytes(t, shape % ONE_HASHED - 1, shape // ONE_HASHED)
    local times = bytes == trusted[shape] and agreed[shape] + 1 or 0
    trusted[shape], agreed[shape] = bytes, times
    patience[shape] = times > 2 and times * times or 0
    return bytes
  end

  -- Entries as lines of their own.
  local function visit_table_lined(t)
    local metatable = getmetatable(t)
    if metatable and visit_metatable(t, metatable, true) then return measure_table(t) end
    local expected, hashed, has_holes = 1, 0, false
    local seen, texts, type, HOLDS = seen, texts, type, HOLDS
    local may_be_quick, is_pushing = bounded and not holders, false
    local last_piece, last, here, left -- tail_piece, tail, piece and room while only tables are queued
    local first, first_index -- of those tables
    local is_quick = may_be_quick and depth[owner] + 1 == max_depth -- what is queued may get a line when it is visited
    for entry_key, value in next, t do
      local what = type(value)
      if is_pushing and what == "table" and entry_key == expected and not seen[value] then -- push, written out
        expected = expected + 1
        last_piece[last] = value
        last_piece = here
        last = value
        here[value] = true
        left = left - 1
        if left == 0 then
          room = 0
          grow()
          here, left = piece, room
        end
      else
        if is_pushing then
          is_pushing, tail_piece, tail, room = false, last_piece, last, left
        end
        local bytes -- of the key, if it has any
        if entry_key == expected then
          expected = expected + 1
        else
          hashed = hashed + 1
          local what = type(entry_key)
          if what == "string" then
            if not texts[entry_key] then bytes = claim_new_string(entry_key) end
          elseif what == "number" then
            has_holes = has_holes or entry_key > expected
          elseif what ~= "boolean" then
            refer(ENTRY, entry_key, 0, entry_key)
          end
        end
        if what == "string" then
          if not texts[value] then bytes = (bytes or 0) + claim_new_string(value) end
          if bytes then add_leaf(owner, ENTRY, entry_key, bytes) end
        elseif not HOLDS[what] then
          if bytes then add_leaf(owner, ENTRY, entry_key, bytes) end
        elseif is_quick and not bytes and not seen[value] then
          push(value)
          if what == "table" and hashed == 0 then
            is_pushing, last_piece, last, here, left = true, tail_piece, tail, piece, room
            first, first_index = value, expected
          end
        else
          refer(ENTRY, entry_key, bytes or 0, value)
          is_quick = is_quick or may_be_quick and kids >= most_kids
        end
      end
    end
    if is_pushing then
      tail_piece, tail, room = last_piece, last, left
      if expected > first_index + A_FEW then tables_from[first] = expected - first_index end
    end
    return has_holes and measure_table(t) or entries_bytes(t, expected - 1, hashed)
  end

  -- Numbers that many lists are made of. That they hold nothing one look tells; to ask for their type takes three times as
  -- long.
  local small = {}
  for number = 0, 255 do small[number] = true end

  -- Tables whose entries only add to a sum: what most of a heap is made of, so this is written out. Visits the ones that
  -- stand in the queue from `t` on and belong to the line `now`; a child of a line that may have lines below gets its own
  -- if it turns out large. Returns what stands behind them. Without `now`: visits `t`, adds to `content`, returns own bytes.
  local function visit_tables(t, now, is_lined)
    local seen, texts, small, type, getmetatable, SHORT, STRING = seen, texts, small, type, getmetatable, SHORT, STRING
    local strings, tables, large, bytes_of_tables, rest_of_now = 0, 0, 0, 0, 0
    local least = is_lined and threshold or ENDLESS -- of what gets a line
    local goes_on = now and not is_watched
    local many = goes_on and tables_from[t] or 0 -- those that are tables for sure
    local wanted = goes_on and "table" or ""
    local here, left = text_piece, text_room
    local same_shape, same_bytes, same_until = nil, 0, 0 -- of tables like the last: until so many were visited
    repeat
      local entries, expected, hashed, found = t, 1, 0, 0
      local bytes, has_owner -- an object that is queued belongs to `owner`
      local metatable = getmetatable(t)
      if metatable then
        if now then
          has_owner, content = true, 0
          begin_owner(t, now, is_lined)
        end
        text_room = left
        if visit_metatable(t, metatable, false) then bytes, entries, hashed = measure_table(t), NO_ENTRIES, HOLES end
        here, left = text_piece, text_room
        if now then found = content end
      end
      for entry_key, value in next, entries do
        if entry_key == expected then
          expected = expected + 1
        else
          hashed = hashed + ONE_HASHED
          if not texts[entry_key] then
            local what = type(entry_key)
            if what == "string" then
              local length = #entry_key
              strings = strings + 1
              found = found + STRING + length
              if length <= SHORT or not is_address(length) then
                here[entry_key] = true
                left = left - 1
                if left == 0 then
                  grow_texts()
                  here, left = text_piece, text_room
                end
              end
            elseif what == "number" then
              if entry_key > expected then hashed = hashed | HOLES end
            elseif HOLDS[what] and not seen[entry_key] then
              if not has_owner and now then
                has_owner = true
                begin_owner(t, now, is_lined)
              end
              push(entry_key)
            end
          end
        end
        if not small[value] then
          local what = type(value)
          if what == "string" then
            if not texts[value] then
              local length = #value
              strings = strings + 1
              found = found + STRING + length
              if length <= SHORT or not is_address(length) then
                here[value] = true
                left = left - 1
                if left == 0 then
                  grow_texts()
                  here, left = text_piece, text_room
                end
              end
            end
          elseif what ~= "number" and HOLDS[what] and not seen[value] then
            if not has_owner and now then
              has_owner = true
              begin_owner(t, now, is_lined)
            end
            push(value)
          end
        end
      end
      local shape = expected + hashed
      if shape == same_shape and tables < same_until then
        bytes = same_bytes
      elseif expected == 1 and hashed > 0 and hashed < HOLES then
        bytes = entries_bytes(t, 0, hashed // ONE_HASHED)
        same_shape, same_bytes, same_until = shape, bytes, ENDLESS
      elseif hashed < HOLES then
        local believed = patience[shape]
        if believed and believed > 0 then
          bytes = trusted[shape]
          patience[shape] = believed - A_FEW
          same_shape, same_bytes, same_until = shape, bytes, tables + A_FEW
        else
          bytes = shape_bytes(t, shape)
        end
      else
        bytes = bytes or measure_table(t)
      end
      tables = tables + 1
      bytes_of_tables = bytes_of_tables + bytes
      found = found + bytes
      if has_owner or found > least then
        large = large + 1
        if not has_owner then begin_owner(t, now, is_lined) end
        count_visited(now, bytes, found)
        if is_lined then least = threshold end
      else
        rest_of_now = rest_of_now + found
      end
      t = seen[t]
    until tables >= many and type(t) ~= wanted
    text_room, string_count = left, string_count + strings
    if not now then
      content = content + rest_of_now - bytes_of_tables
      return bytes_of_tables
    end
    table_count, table_sum = table_count + tables, table_sum + bytes_of_tables
    rest[now] = rest[now] + rest_of_now
    if is_lined then more[now] = more[now] + tables - large end
    return t
  end

  -- ---- prototypes: what `string.dump` writes, read once and not kept ----

  local code, at, chunk, is_bare, is_cut = nil, 1, 0, false, false -- the dump, the next byte, which chunk it is of
  -- of the function in hand; those of names that were not met before, where they count for the prototype
  local upvalue_count, upvalue_name_bytes = 0, 0

  local function read_number()
    local value
    if not IS_54 then
      value, at = unpack("i", code, at)
      return value
    end
    value = 0
    repeat
      local b = byte(code, at)
      value, at = value * 128 + b % 128, at + 1
    until b >= 128
    return value
  end

  -- The length of the string that begins here; -1 for none.
  local function read_length()
    if IS_54 then return read_number() - 1 end
    local length = byte(code, at)
    at = at + 1
    if length == 255 then length, at = unpack("T", code, at) end
    return length - 1
  end

  -- Bytes of the constants that were not met before. A long string is not read, it would be a copy; a chunk has it once.
  local function read_constants(constant_count, is_new)
    local texts, byte, sub, NAME_LAST, PLAIN_CONSTANTS = texts, byte, sub, NAME_LAST, PLAIN_CONSTANTS
    local code, from, found, letters = code, at, 0, 0
    for _ = 1, constant_count do
      local tag, length = byte(code, from, from + 1)
      if tag == 4 then
        local last = from + length - NAME_LAST
        local name = sub(code, from + 2, last)
        if not texts[name] then
          found = found + 1
          letters = letters + last - from - 1
          text_piece[name] = true
          text_room = text_room - 1
          if text_room == 0 then grow_texts() end
        end
        from = last + 1
      elseif PLAIN_CONSTANTS[tag] then
        from = from + PLAIN_CONSTANTS[tag]
      else
        at = from + 1
        length = read_length()
        from = at + length
        local a, b = unpack("i8", code, at), unpack("i8", code, from - 8)
        local identity = (((chunk << 40 ~ length) * 31 ~ a) * 31 ~ b) * MIXING
        identity = identity ~ identity >> 48
        if is_new and not texts[identity] then
          text_piece[identity] = true
          text_room = text_room - 1
          if text_room == 0 then grow_texts() end
          found, letters, long_count = found + 1, letters + length, long_count + 1
        end
      end
    end
    at = from
    string_count = string_count + found
    return found * STRING + letters
  end

  -- Bytes of names that were not met before; behind each stand the places between which a local variable lives.
  local function read_names(name_count, is_local)
    local texts, byte, sub, NAME_BIAS, code, from, bytes = texts, byte, sub, NAME_BIAS, code, at, 0
    local behind = is_local and not IS_54 and 9 or 1
    local places_vary = is_local and IS_54
    for _ = 1, name_count do
      local length = byte(code, from) - NAME_BIAS
      if length >= LONG_COUNT or length < 0 then -- longer than a byte says
        at = from
        length = read_length()
        from = at - 1
        if length < 0 then length = 0 end -- it has none
      end
      local name = sub(code, from + 1, from + length)
      if not texts[name] then bytes = bytes + claim_new_string(name) end
      from = from + length + behind
      if places_vary then from = find(code, "[\128-\255]", find(code, "[\128-\255]", from) + 1) + 1 end
    end
    at = from
    return bytes
  end

  -- Reads a prototype and those in it; `is_outer`: that of the function in hand. Where `line` is given it may have lines
  -- below; else all is content. What stands together is read at once, and what is known is not read.
  local function read_proto(line, is_outer)
    local line_defined, last_line, parameters, registers, code_count, constant_count, a, b, c, _
    if IS_54 then
      line_defined, last_line = read_number(), read_number()
      parameters, _, registers = byte(code, at, at + 2)
      at = at + 3
      code_count = read_number()
      at = at + 4 * code_count
      a, b = unpack("i8i8", code, at - 16)
      if code_count < 3 then a = 0 end -- what stands before the prototype depends on whose dump it is
      constant_count = read_number()
      c = 0
      if constant_count > 0 then
        c = unpack("i8", code, at)
        local tag = c & 0xFF
        local length = tag == 4 and (c >> 8 & 0xFF) - NAME_BIAS + 2 or PLAIN_CONSTANTS[tag] or 8
        if length < 8 then c = c & (1 << 8 * length) - 1 end -- what stands behind it depends on whose dump it is
      end
    else
      line_defined, last_line, parameters, _, registers, code_count, at = unpack("i4i4BBBi4", code, at)
      a, b, constant_count, c, at = unpack("i8i8i4i8", code, at + 4 * code_count - 16)
      at = at - 8
    end
    -- equal lines and sizes may be chance, the same last instructions and a first constant that begins alike are not
    local identity =
      (((chunk << 48 ~ line_defined << 20 ~ last_line ~ code_count << 30 ~ c * MIXING) * 31 ~ a) * 31 ~ b) * MIXING
    identity = identity ~ identity >> 48
    local is_new = not texts[identity]
    if is_new then
      text_piece[identity] = true
      text_room = text_room - 1
      if text_room == 0 then grow_texts() end
    elseif is_outer then
      return upvalue_name_bytes -- nor is anything in it
    end

    local own_line = line and is_new
    if own_line then
      line = new_line(line, PROTO_NAME, chunk << 32 | line_defined, 0)
      own_line = depth[line] < max_depth
      kids_of[line] = kids_of[line] + 1 -- it is in hand, and not folded
    else
      line = is_new and line
    end
    local source_bytes = is_outer and not is_bare and claim_string(chunk_sources[chunk]) or 0

    local constants = constant_count > 0 and read_constants(constant_count, is_new) or 0
    local proto_upvalues, proto_count, lines, below = upvalue_count, nil, nil, 0
    if IS_54 then
      proto_upvalues = read_number()
      at = at + 3 * proto_upvalues
      proto_count = read_number()
    else
      if not is_outer then proto_upvalues = byte(code, at) end -- at most 255
      at = at + 8 + 2 * proto_upvalues
      proto_count, lines = unpack("ii", code, at - 4)
    end
    for _ = 1, proto_count do
      at = at + 1 -- its source is that of the one around it
      below = below + read_proto(own_line and line)
    end
    if IS_54 or proto_count > 0 then lines = read_number() else at = at + 4 end
    local bytes, local_count, name_bytes = LINE * lines, nil, is_outer and upvalue_name_bytes or 0 -- of the debug information
    if not is_cut then
      at = at + bytes
      if IS_54 then
        local absolute_lines = read_number()
        bytes = bytes + 8 * absolute_lines
        for _ = 1, 2 * absolute_lines do read_number() end
      end
      local_count = read_number()
      if local_count > 0 then name_bytes = name_bytes + read_names(local_count, true) end
      if not is_outer then
        at = at + (not IS_54 and 4 or proto_upvalues > 127 and 2 or 1)
        name_bytes = name_bytes + read_names(proto_upvalues)
      end
    else -- estimated; this fits aos's own code
      at = at + (IS_54 and 3 or 8) -- of each other part that there is none
      if not is_bare then
        local_count = (42 * parameters + 47 * registers + 5 * code_count) // 100
        bytes = LINE * code_count + (IS_54 and code_count // 16 or 0)
      end
    end
    if not is_new then return below end
    bytes = bytes + PROTO + 4 * code_count + SLOT * constant_count + PROTO_UPVALUE * proto_upvalues + WORD * proto_count
      + LOCAL * (local_count or 0)
    proto_total = proto_total + 1
    proto_sum = proto_sum + bytes
    if not line then return bytes + constants + name_bytes + source_bytes + below end
    own[line] = bytes
    if own_line then
      add_leaf(line, TEXT, "[constant]", constants)
      add_leaf(line, TEXT, "[source]", source_bytes)
      add_leaf(line, TEXT, "[names]", name_bytes)
      if below > 0 then add_rest(line, below) end -- in one that was met, what was not
    else
      rest[line] = rest[line] + constants + name_bytes + source_bytes + below
    end
    kids_of[line] = kids_of[line] - 1
    return 0
  end

  -- The number of a chunk. A main function is made once a chunk, so further ones are those of other chunks.
  local function number_of_chunk(source, is_main)
    local number = chunks[source]
    if number and not (is_main and has_main[number]) then
      has_main[number] = has_main[number] or is_main
      return number
    end
    number = chunk_count + 1
    chunk_count, chunks[source], chunk_sources[number], cell_chunks[number] = number, number, source, number
    has_main[number] = is_main
    return number
  end

  local last_asked, copied, trust, believed = 0, 0, 0, 0

  -- The chunk of a function, as Lua says. From 5.4 on that copies the source. So when that was much for nothing, the last
  -- answer is believed of functions without upvalues, which no cell tells of: twice as often each time it was right.
  local function ask_chunk(f)
    if believed > 0 and upvalue_count == 0 then
      believed = believed - 1
      return last_asked
    end
    local info = getinfo(f, "S")
    local number, length = number_of_chunk(info.source, info.what == "main"), #info.source
    local is_same = IS_54 and number == last_asked and length > LONGEST_SOURCE
    if is_same then copied = copied + length end
    trust = is_same and copied > MUCH_COPIED and 2 * trust + 1 or 0
    last_asked, believed = number, trust
    return number
  end

  local are_sources_short = true

  -- Makes a dump that begins with the source, as long as sources are short; else a dump would repeat it.
  local function dump_with_source(f)
    if not are_sources_short or upvalue_count >= MANY_UPVALUES then return false end
    code, at = dump(f), HEADER
    local length = read_length()
    are_sources_short = length <= LONGEST_SOURCE
    if not are_sources_short then return false end
    is_bare = length < 0
    is_cut = is_bare
    local source = is_bare and "=?" or sub(code, at, at + length - 1)
    if is_bare then code = dump(f, true) else at = at + length end -- what is bare has names all the same, empty ones
    chunk = number_of_chunk(source, find(code, NO_LINE, at))
    return true
  end

  -- Makes a dump for a function of this chunk. Debug information is left out where the source is long and of functions with
  -- many upvalues: those are the largest, and half of them is that. False if it is of another chunk: it shares a cell.
  local function dump_of_chunk(f)
    local source = chunk_sources[chunk]
    is_bare = source == "=?"
    is_cut = is_bare or #source > LONGEST_SOURCE or upvalue_count >= MANY_UPVALUES
    code, at = dump(f, is_cut), HEADER
    local length = read_length()
    if is_cut then return true end
    at = at + length
    return length == #source
  end

  -- ---- functions ----

  local numbers, name_count, functions_of = {}, 0, {} -- of names; of chunks
  local met, varied = {}, {} -- how often a shape was met, and if with several prototypes

  local function number_of(name)
    local number = numbers[name]
    if not number then
      name_count = name_count + 1
      number, numbers[name] = name_count, name_count
    end
    return number
  end

  -- What functions of one prototype have in common: the names of their upvalues and parameters.
  local function shape_of(f)
    local shape = upvalue_count
    for i = 1, upvalue_count do shape = shape * 1000003 ~ number_of((getupvalue(f, i))) end
    local i, name = 1, getlocal(f, 1)
    while name do
      shape = shape * 1000003 ~ number_of(name) << 32
      i = i + 1
      name = getlocal(f, i)
    end
    return shape
  end

  -- Content of prototypes that were not met before, and the chunk; it is given where another function of it was met. Of
  -- many closures, those of one shape are mostly made from one prototype: most of them need no look at it.
  local function read_protos(f, known_chunk, lined)
    local of_chunk = known_chunk or 0
    local of_it = (functions_of[of_chunk] or 0) + 1
    functions_of[of_chunk] = of_it
    local shape, times
    if of_it > FEW_FUNCTIONS then
      shape = shape_of(f) ~ of_chunk << 48
      times = (met[shape] or 0) + 1
      met[shape] = times
      if times > 8 and times % 16 ~= 0 and not varied[shape] then
        return upvalue_name_bytes, known_chunk
      end
    end

    local before = proto_total
    if known_chunk or not dump_with_source(f) then
      chunk = known_chunk or ask_chunk(f)
      if not dump_of_chunk(f) then return read_protos(f, nil, lined) end
    end
    local bytes = read_proto(lined and owner, true)
    code = nil
    if shape and times > 1 and proto_total > before then varied[shape] = true end
    return bytes, chunk
  end

  local function count_function(bytes)
    function_count = function_count + 1
    function_sum = function_sum + bytes
    return bytes
  end

  local function visit_c_function(f, lined)
    local count = 0
    local name, value = getupvalue(f, 1)
    while name do
      count = count + 1
      reach(lined, UPVALUE_NAME, count, 0, value)
      name, value = getupvalue(f, count + 1)
    end
    return count_function(CLOSURE + SLOT * count)
  end

  -- A cell has its function's chunk as its value, so that functions that share it need not be asked.
  local function visit_function(f, lined)
    local name, value = getupvalue(f, 1)
    if name == "" then return visit_c_function(f, lined) end
    if not name and is_c(f) then return 0 end
    local cells, count, new_count, name_bytes, known_chunk, unknown = cells, 0, 0, 0, nil, nil
    while name do
      count = count + 1
      if not texts[name] and name ~= NO_NAME then name_bytes = name_bytes + claim_new_string(name) end
      local id, cell = upvalueid(f, count), 0
      local there = texts[id]
      if not there then
        cell = UPVALUE
        if lined then -- two upvalues may be made one
          for i = 1, new_count do
            if cells[i] == id then cell = 0 end
          end
        end
        new_count = new_count + 1
        cells[new_count] = id
      elseif cell_chunks[there] then
        known_chunk = cell_chunks[there]
      elseif there ~= true then
        unknown = there
      end
      if lined then
        refer(UPVALUE_NAME, name == NO_NAME and count or name, cell, value)
      elseif not (texts[value] or seen[value]) then
        discover(value)
      end
      name, value = getupvalue(f, count + 1)
    end
    upvalue_count, upvalue_name_bytes = count, lined and name_bytes or 0
    local found
    if lined or no_more_late then
      found, known_chunk = read_protos(f, known_chunk, lined)
      if unknown then cell_chunks[unknown] = known_chunk end
    else
      late_count, was_put_off, found = late_count + 1, true, 0
      local group = unknown or -late_count
      cell_chunks[group] = known_chunk
      late[late_count], late_notes[late_count] = f, -group << 8 | count
      known_chunk = known_chunk or group
    end
    if not lined then found = found + name_bytes end
    for i = 1, new_count do
      local id = cells[i]
      if not texts[id] then
        text_piece[id] = known_chunk or true
        text_room = text_room - 1
        if text_room == 0 then grow_texts() end
        cell_count = cell_count + 1
        if not lined then found = found + UPVALUE end
      end
    end
    content = content + found
    return count_function(CLOSURE + WORD * count)
  end

  -- ---- coroutines and userdata ----

  local function refer_slot(name, slot, value) refer(LOCAL_NAME, (name and not find(name, TEMPORARY)) and name or slot, 0, value) end
  local function discover_slot(_, _, value)
    if not (texts[value] or seen[value]) then discover(value) end
  end

  local registry, running = getregistry(), running()

  local function visit_thread(thread, lined)
    local level = rawequal(thread, running) and first_level(entry) + 1 or 0
    return tally("thread", thread_bytes(thread, level, rawequal(thread, registry[1]), lined and refer_slot or discover_slot))
  end

  local function visit_userdata(u, lined)
    local bytes = userdata_bytes(u)
    if bytes == 0 then return 0 end
    local i, value, is_there = 0, getmetatable(u), true
    while is_there do
      reach(lined, TEXT, i == 0 and "[metatable]" or "[uservalue " .. i .. "]", 0, value)
      i = i + 1
      value, is_there = getuservalue(u, i)
      if not IS_54 then is_there = i == 1 end
    end
    return tally("userdata", bytes)
  end

  -- ---- one object ----

  -- Own bytes of an object; what it refers to is queued, or is content.
  local function visit(what, object, lined)
    if what == "table" then
      table_count = table_count + 1
      local bytes = (lined and visit_table_lined or visit_tables)(object)
      table_sum = table_sum + bytes
      return bytes
    end
    if what == "function" then
      is_whole = true
      return visit_function(object, lined)
    end
    if what == "thread" then return visit_thread(object, lined) end
    if what == "userdata" then return visit_userdata(object, lined) end
    return claim_string(object)
  end

  local function has_lines_below(i) return depth[i] < max_depth and kind[i] ~= FLAT end

  -- The function in hand counts for this line, which is not folded before. `bytes`: if that is the line above it, what was
  -- counted. Noted are, in bits: bytes 18, the first function of a cell 13, upvalues 8, line 24.
  local function count_late(line, bytes)
    late_notes[late_count] = (bytes < 1 << 18 and bytes << 45 or 0) | late_notes[late_count] << 24 | line
    kids_of[line], was_put_off = kids_of[line] + 1, false
    no_more_late = no_more_late or late_count == MOST_LATE
  end

  local function visit_line(i, what, object)
    local is_lined = has_lines_below(i)
    owner, content, kids, most_kids = i, 0, 0, depth[i] == 0 and ROOT_KIDS or MANY_KIDS
    local bytes = visit(what, object, is_lined)
    own[i] = own[i] + bytes
    if content > 0 then
      rest[i] = rest[i] + content
      if is_lined then more[i] = more[i] + 1 end
    end
    if was_put_off then count_late(i, 0) end
    owner, is_whole = nil, false
  end

  -- True if the walk has to end before this object: looked at now and then.
  local function must_stop(object)
    in_hand = object
    ticks = ticks + 1
    if ticks % 64 == 0 and is_used_up() then stopped = true end
    return stopped or holders and holders[wanted]
  end

  -- What the prototypes of a function take, where they were left for later.
  local function read_late_function(f, note)
    local line, group, bytes = note & 0xFFFFFF, -(note >> 32 & 0x1FFF), note >> 45
    upvalue_count, upvalue_name_bytes, owner = note >> 24 & 0xFF, 0, line
    kids_of[line] = kids_of[line] - 1
    is_whole = true
    local found, of_chunk = read_protos(f, cell_chunks[group])
    cell_chunks[group] = cell_chunks[group] or of_chunk
    if bytes > 0 and bytes + found > threshold then
      parent_of_child, child = line, f
      local own_line = become_owner()
      if own_line ~= line then
        own[own_line] = CLOSURE + WORD * upvalue_count
        add_rest(own_line, bytes - own[own_line] + found)
        rest[line], more[line] = rest[line] - bytes, more[line] - 1
        found = 0
      end
    end
    rest[line] = rest[line] + found
    is_whole = false
  end

  -- Reads the prototypes that were left for later.
  local function read_late()
    label_line = nil
    while late_read < late_count and not (is_watched and must_stop(late[late_read + 1])) do
      late_read = late_read + 1
      read_late_function(late[late_read], late_notes[late_read])
    end
    owner, parent_of_child, label_line = nil, nil, nil
  end

  -- The same in the middle of the queue: the lines in hand are not folded.
  local function read_late_between(line, now, is_lined)
    local held = { line, now ~= line and own[now] and now or nil }
    for _, i in next, held do kids_of[i] = kids_of[i] + 1 end
    read_late()
    for _, i in next, held do kids_of[i] = kids_of[i] - 1 end
    parent_of_child = is_lined and now
  end

  -- Visits what is queued.
  local function run()
    local element, now, line, is_lined = start[1], nil, nil, false
    while element do
      local what = type(element)
      if what == "number" then
        if element < 0 then
          line = -element
          element, queue_after[line] = queue_after[line], false
        else
          local name = element
          now = name & 0xFFFFFF
          is_lined = has_lines_below(now)
          parent_of_child = is_lined and now
          element = queue_after[name]
          if name == now then
            queue_after[now] = false
          else
            queue_after[name], kids_of[now] = nil, kids_of[now] - 1
          end
        end
      else
        if is_watched and must_stop(element) then break end
        if no_more_late and late_read < late_count then read_late_between(line, now, is_lined) end
        if line then
          visit_line(line, what, element)
          line, element = nil, seen[element]
        elseif what == "table" then
          element = visit_tables(element, now, is_lined)
        else
          content = 0
          begin_owner(element, now, is_lined)
          local bytes = visit(what, element, false)
          count_visited(now, bytes, bytes + content)
          if was_put_off then count_late(owner or now, owner and 0 or bytes + content) end
          is_whole = false
          element = seen[element]
        end
        if element == true then break end
      end
    end
    start[1], tail_piece, tail, tail_owner, owner, parent_of_child = nil, start, 1, 0, nil, nil
  end

  -- Looks at parked tables again, as long as keys come to life.
  local function settle()
    local before
    repeat
      local list = parked
      before, parked, label_line = seen_count(), {}, nil
      for _, one in next, list do
        owner, content, kids, most_kids, in_hand = one.line, 0, 0, MANY_KIDS, one.table
        kids_of[owner] = kids_of[owner] - 1
        park(in_hand, visit_waiting(in_hand, one.keys, one.lined), one.lined)
        rest[owner] = rest[owner] + content
      end
      run()
    until #parked == 0 or seen_count() == before or stopped
  end

  -- Gives back most of what pieces take, from this one on. Lua makes a table smaller where it finds no place for a new key
  -- and little is left, so keys follow that all want the places of the first few. (Up to 5.3 one without a value needs a
  -- place, too.) `size` is that of this piece, `in_last` how many are in the last one.
  local function forget(from, size, in_last)
    local value, total = IS_54 or nil, size
    while from do
      local behind, before, left, key = getmetatable(from), lua_bytes(), nil, 0
      local places = behind and size or power_of_two(in_last)
      if not behind and (in_last < MUCH_LEFT or places - in_last > MOST_FREE) then return end
      for _ = 1, FEW_LEFT do left = next(from, left) end
      for other in next, from, left do from[other] = nil end
      for place = 1, FEW_LEFT do from[place] = true end
      for _ = 0, places // FEW_LEFT do
        key = key + (IS_54 and places - 1 or places) -- the same places again
        for same_place = key + 1, key + FEW_LEFT do from[same_place] = value end
        if lua_bytes() < before then break end
      end
      from = behind and behind.__index
      if from then
        size = total & total - 1 == 0 and total // 2 or size
        total = total + size
      end
    end
  end

  -- ---- what the walk is for ----

  local function until_stopped(work, ...)
    if not may_use then return work(...) end
    local ok, problem = pcall(work, ...)
    if not ok and not rawequal(problem, STOP) then error(problem, 0) end
  end

  local function walk_line(i, object)
    visit_line(i, type(object), object)
    run()
  end

  -- Walks from a root, unless another one reached it first.
  function walk.root(name, object)
    if not HOLDS[type(object)] or stopped or holders and holders[wanted] or seen[object] then return end
    local i = new_line(0, TEXT, name, 0, object)
    if type(object) ~= "string" then
      piece[object] = true
      room = room - 1
      if room == 0 then until_stopped(grow) end
    end
    in_hand = object
    if holders then holders[object] = name end
    until_stopped(walk_line, i, object)
  end

  function walk.settle()
    if not stopped then until_stopped(settle) end
    for _, one in next, parked do kids_of[one.line] = kids_of[one.line] - 1 end
    parked = {}
  end

  -- Prototypes that are left. `is_last`: nothing else is walked afterwards.
  function walk.prototypes(is_last)
    if not stopped then
      is_worth_giving_back = is_last and total_bytes and seen_count() < MANY_SEEN * (late_count - late_read)
      if is_worth_giving_back then forget(seen, first_size, (added or capacity) - room) end
      until_stopped(read_late)
    end
    for i = late_read + 1, late_count do -- nor is the rest read
      local line = late_notes[i] & 0xFFFFFF
      kids_of[line] = kids_of[line] - 1
    end
  end

  -- Makes that it counts as seen, or no more; true if it was not.
  function walk.block(object)
    local what = HOLDS[type(object)]
    if not what or seen[object] or texts[object] then return false end
    if what == "text" then
      text_piece[object] = true
      text_room = text_room - 1
      if text_room == 0 then until_stopped(grow_texts) end
    else
      piece[object] = true
      room = room - 1
      if room == 0 then until_stopped(grow) end
    end
    return true
  end
  function walk.unblock(object)
    local from = type(object) == "string" and texts or seen
    while from and rawget(from, object) == nil do
      local behind = getmetatable(from)
      from = behind and behind.__index
    end
    if from then from[object] = nil end
  end

  local function walk_type_metatables()
    local i = new_line(0, TEXT, "[type metatables]", 0)
    owner, content, kids, in_hand = i, 0, 0, "[type metatables]"
    local samples = { nil, true, 0, "", next, registry[1] }
    for place, name in next, { "nil", "boolean", "number", "string", "function", "thread" } do
      local metatable = getmetatable(samples[place])
      reach(metatable and has_lines_below(i), TEXT, name, 0, metatable)
    end
    run()
  end

  function walk.type_metatables()
    if not stopped then until_stopped(walk_type_metatables) end
  end

  function walk.runtime()
    may_use = nil -- nothing is left to be stopped
    local state = tally("state", STATE)
    for word in gmatch(FIXED, "%S+") do state = state + claim_string(word) end
    new_line(0, TEXT, "[state]", state + claim_string("not enough memory"))
    -- it grew with strings that are garbage since, if there is room for that in what Lua counts; twice as far, if that
    -- is all that is missing
    local short_count = string_count - long_count
    local slots = power_of_two(short_count * 3 // 2)
    local left = total_bytes and total_bytes - walk.bytes() - WORD * slots
    if left and left < 0 then
      slots = power_of_two(short_count)
    elseif left and slots < 2 * short_count and abs(left - WORD * slots) < total_bytes // 100 then
      slots = 2 * slots
    end
    new_line(0, TEXT, "[string table]", tally("string_table", WORD * (slots < 128 and 128 or slots)))
  end

  function walk.bytes()
    local sum = 0
    for i = 1, used do
      if own[i] then sum = sum + own[i] + rest[i] end
    end
    return sum
  end

  -- `all`: bytes of everything, if they are known.
  function walk.kinds(all)
    counts.proto, bytes_of.proto, counts.upvalue, bytes_of.upvalue = proto_total, proto_sum, cell_count, UPVALUE * cell_count
    counts["function"], bytes_of["function"] = function_count, function_sum
    counts.table, bytes_of.table = table_count, table_sum
    local strings = all or walk.bytes()
    for _, bytes in next, bytes_of do strings = strings - bytes end
    local kinds = {}
    for name, number in next, counts do kinds[name] = { count = number, bytes = floor(bytes_of[name]) } end
    kinds.string = { count = string_count, bytes = floor(strings) }
    return kinds
  end

  function walk.stopped() return stopped end

  -- ---- results ----

  -- Sorts lines of one depth by their keys, if those are whole numbers; else gives false.
  local function sort_by_number(alike)
    local packed = {}
    for place, i in next, alike do
      local number = key[i]
      if depth[i] ~= depth[alike[1]] or kind[i] > FLAT or math_type(number) ~= "integer"
        or number >= 1 << 39 or number <= -1 << 39 then
        return false
      end
      packed[place] = number << 24 | i
    end
    sort(packed)
    for place, both in next, packed do alike[place] = both & 0xFFFFFF end
    return true
  end

  -- Texts of lines, and the lines: the largest first; then what is alike, by depth and name.
  local function texts_in_order(totals)
    local function text(i)
      if kind[i] ~= TEXT then
        local name = key[i]
        key[i] = kind[i] == PROTO_NAME and proto_text(chunk_sources[name >> 32], name & 0xFFFFFFFF) or label_text(kind[i], name)
        kind[i] = TEXT
      end
      return key[i]
    end
    local length = 0
    for i = 1, used do
      if own[i] then
        length = length + 1
        order[length] = -totals[i] << 24 | i
      end
    end
    sort_order(length)
    for place, packed in next, order do order[place] = packed & 0xFFFFFF end
    local function comes_first(a, b)
      if depth[a] ~= depth[b] then return depth[a] < depth[b] end
      local x, y = key[a], key[b]
      local x_is_number = type(x) == "number" and kind[a] ~= PROTO_NAME
      local y_is_number = type(y) == "number" and kind[b] ~= PROTO_NAME
      if x_is_number ~= y_is_number then return x_is_number end
      if not x_is_number then x, y = text(a), text(b) end
      if x ~= y then return x < y end
      return a < b
    end
    local from = 1
    while from <= length do
      local to, total = from, totals[order[from]]
      while to < length and totals[order[to + 1]] == total do to = to + 1 end
      if to > from then
        local alike = move(order, from, to, 1, {})
        if not sort_by_number(alike) then sort(alike, comes_first) end
        move(alike, 1, #alike, from, order)
      end
      from = to + 1
    end
    return text
  end

  -- Folds what the options leave no line for.
  local function select_lines(children, max_lines)
    local shown, lines = {}, 0
    for i = 1, used do
      if own[i] and kids_of[i] > children then shown[i] = 0 end
    end
    local dropped = {}
    for _, i in next, next(shown) and order or {} do
      local above = parent[i]
      local place = shown[above]
      if place then shown[above] = place + 1 end
      dropped[i] = dropped[above] or place and place >= children
    end
    for place = #order, 1, -1 do
      local i = order[place]
      if dropped[i] then drop(i) elseif own[i] then lines = lines + (rest[i] > 0 and 2 or 1) end
    end
    for place = #order, 1, -1 do
      local i = order[place]
      local above = parent[i]
      if lines <= max_lines then break end
      if own[i] and above > 0 and kids_of[i] == 0 then
        lines = lines - (rest[i] > 0 and 2 or 1)
        if rest[above] == 0 and own[i] + rest[i] > 0 then lines = lines + 1 end
        drop(i)
      end
    end
  end

  -- `held`, if given, gets what each line holds, by path.
  function walk.results(children, max_lines, held)
    if is_worth_giving_back then forget(text_piece, nil, (text_added or text_capacity) - text_room) end
    local totals, sizes, sums, last_number = all_totals(), {}, {}, {}
    local text = texts_in_order(totals)
    select_lines(children, max_lines)
    local total = 0
    for _, i in next, order do
      if own[i] then
        local above = parent[i]
        local path = above > 0 and key[above] .. "/" .. text(i) or text(i)
        if sizes[path] then -- others are called so, or what an object above has no lines for
          local plain, number = path, last_number[path] or 1
          repeat
            number = number + 1
            path = plain .. "#" .. number
          until not sizes[path]
          last_number[plain] = number
        end
        key[i] = path
        if totals[i] > 0 then
          sizes[path], sums[path] = own[i], totals[i]
          if above == 0 then total = total + totals[i] end
          if held then held[path] = holds[i] end
        end
        if rest[i] > 0 then
          local name = depth[i] >= max_depth and "..." or "[" .. (more[i] > 0 and more[i] or 1) .. " more]"
          sizes[path .. "/" .. name] = rest[i]
        end
      end
    end
    local circular, copy = {}, {} -- aos shows no result in which a table stands twice
    for _, cycle in next, cycle_list do
      local from, to = cycle[1], cycle[4]
      if own[from] and own[to] then
        local path = key[from] .. "/" .. label_text(cycle[2], cycle[3])
        circular[path], copy[path] = key[to], key[to]
      end
    end
    return {
      type = "membuddy-results", totalSize = floor(total), sizes = sizes, totalSizes = sums, circular = circular,
      cycles = copy, otherCycles = other_cycles > 0 and other_cycles or nil,
    }
  end

  return walk
end

local function globals() return rawget(getregistry(), 2) end
local function global(name)
  local t = globals()
  return type(t) == "table" and rawget(t, name) or nil
end

-- Everything that lives, in the order in which a path prefers its roots.
local function walk_process(walk, is_last)
  local registry = getregistry()
  local main = registry[1]
  walk.root("_G", globals())
  local is_main_free = walk.block(main) -- a root, although the registry holds it as well
  walk.root("[registry]", registry)
  if is_main_free then walk.unblock(main) end
  walk.root("[main thread]", main)
  walk.root("[running coroutine]", (running()))
  walk.type_metatables()
  walk.settle()
  walk.prototypes(is_last)
  walk.runtime()
end

-- What has a name of its own is not part of what a target holds, unless it is the target that gives the names.
local function block_named(walk, target)
  local function block(value)
    if not rawequal(value, target) and type(value) ~= "string" then walk.block(value) end
  end
  local function block_values(t)
    if type(t) ~= "table" or rawequal(t, target) then return end
    for _, value in next, t do block(value) end
  end
  local named = global("package")
  block_values(globals())
  if not rawequal(target, globals()) then block_values(type(named) == "table" and rawget(named, "loaded")) end
  block(globals())
  block(getregistry())
  block(getregistry()[1])
end

-- Bytes that only the object keeps alive, and of everything that lives; nil where the budget does not last. Of a target
-- without what has a name of its own.
local function retained_bytes(object, entry, may_use, is_target)
  local walk = new_walk(0, true, false, entry, may_use)
  walk.block(object)
  walk_process(walk)
  local without = walk.bytes()
  walk.unblock(object)
  if is_target then block_named(walk, object) end
  walk.root("", object)
  walk.settle()
  walk.prototypes()
  if walk.stopped() then return end
  return walk.bytes() - without, walk.bytes()
end

-- ---- errors ----

local REFUSAL = {}
local function refuse(text, ...) error({ REFUSAL, "membuddy: " .. format(text, ...) }, 0) end

-- ---- the name of a target ----

local LONGEST_CHAIN, LONGEST_NAME = 16, 288

local function held_by(holder, object, entry)
  if type(holder) == "table" then
    for key, value in next, holder do
      if rawequal(value, object) or rawequal(key, object) then return key_text(key) end
    end
  elseif type(holder) == "function" then
    local i, name, value = 1, getupvalue(holder, 1)
    while name do
      if rawequal(value, object) then return label_text(UPVALUE_NAME, name ~= "" and name or i) end
      i = i + 1
      name, value = getupvalue(holder, i)
    end
  elseif type(holder) == "thread" then
    local level, unnamed = rawequal(holder, (running())) and first_level(entry) or 0, nil
    while level < NEWEST_FRAMES and getinfo(holder, level, "u") do
      local i, name, value = 1, getlocal(holder, level, 1)
      while name do
        if rawequal(value, object) then
          if not find(name, TEMPORARY) then return label_text(LOCAL_NAME, name) end
          unnamed = unnamed or i
        end
        i = i + 1
        name, value = getlocal(holder, level, i)
      end
      level = level + 1
    end
    return unnamed and label_text(LOCAL_NAME, unnamed) or "[stack]"
  end
  if rawequal(getmetatable(holder), object) then return "[metatable]" end
  return type(holder) == "userdata" and "[uservalue 1]" or "..."
end

local function shortest_path(object, entry, may_use)
  local holders, names = {}, {}
  if type(object) ~= "string" then
    walk_process(new_walk(0, true, false, entry, may_use, holders, object))
  end
  local holder = holders[object]
  while holder ~= nil and type(holder) ~= "string" and #names < LONGEST_CHAIN do
    names[#names + 1] = held_by(holder, object, entry)
    object, holder = holder, holders[holder]
  end
  if #names == 0 and holder == nil then return type(object) end
  names[#names + 1] = type(holder) == "string" and holder or "..."
  for i = 1, #names // 2 do names[i], names[#names + 1 - i] = names[#names + 1 - i], names[i] end
  return concat(names, "/")
end

-- The variable of the caller that holds the object.
local function variable_name(object, entry)
  local level = first_level(entry)
  local info = getinfo(level, "f")
  if not info then return end
  local found
  local function look(read, from)
    local i, name, value = 1, read(from, 1)
    while name do
      if name ~= "" and not find(name, "^%(") and rawequal(value, object) then found = escape(name, 64) end
      i = i + 1
      name, value = read(from, i)
    end
  end
  look(getlocal, level + 1) -- `look` is one more
  if not found then look(getupvalue, info.func) end
  return found
end

local function target_name(object, entry, may_use)
  if rawequal(object, globals()) then return "_G" end
  local name
  if type(globals()) == "table" then
    for key, value in next, globals() do
      if rawequal(value, object) then name = key_text(key) break end
    end
  end
  name = name or variable_name(object, entry) or shortest_path(object, entry, may_use)
  if #name > LONGEST_NAME then
    local cut = find(name, "/", -LONGEST_NAME + 3, true)
    name = "..." .. (cut and sub(name, cut) or "")
  end
  return name
end

-- ---- options ----

local OPTIONS = { "target", "depth", "max_depth", "min_size", "top", "children", "lines", "cycles", "no_header",
  "retained", "budget", "checks" }
local DEPTH, LIMIT, BYTES, FLAG = 'a whole number from 0, math.huge, "inf" or "infinity"',
  "a whole number from 0, or false for all", "a number of bytes from 0", "true or false"
local ACCEPTED = { depth = DEPTH, max_depth = DEPTH, min_size = BYTES, top = LIMIT, children = LIMIT, lines = LIMIT,
  cycles = FLAG, no_header = FLAG, retained = FLAG, checks = FLAG, budget = BYTES, target = "" }
local MOST_COUNTED = 2 ^ 32 - 2 -- from here on a number means all, whole or not

-- A name as an error shows it, without quotes, or what is none: a number or a boolean, or its type.
local function shown_name(name)
  local kind = type(name)
  if kind ~= "string" then return (kind == "number" or kind == "boolean") and plain_text(name) or kind end
  return #name > 64 and "a long string" or gsub(name, "%c.*", "")
end

local function shown(value)
  return type(value) == "string" and '"' .. shown_name(value) .. '"' or shown_name(value)
end

local function are_options(t)
  for name in next, t do
    if not ACCEPTED[name] then return false end
  end
  return true
end

local function read_option(accepted, value)
  if accepted == FLAG then return type(value) == "boolean", value end
  if accepted == DEPTH and (value == "inf" or value == "infinity") or accepted == LIMIT and value == false then
    return true, huge
  end
  if type(value) ~= "number" or not (value >= 0) then return false end
  return accepted == BYTES or value >= MOST_COUNTED or value == floor(value), value
end

local function read_options(t)
  local options = { depth = 3, top = 20, children = 256, min_size = 1, cycles = true }
  for name in next, t do
    if not ACCEPTED[name] then
      refuse("unknown option '%s'; accepted: %s", shown_name(name), concat(OPTIONS, ", "))
    end
  end
  for i = 2, #OPTIONS do
    local name = OPTIONS[i]
    local value = rawget(t, name)
    if value ~= nil then
      local ok, number = read_option(ACCEPTED[name], value)
      if not ok then refuse("option '%s' is %s; accepted: %s", name, shown(value), ACCEPTED[name]) end
      options[name == "max_depth" and "depth" or name] = number
    end
  end
  options.target = rawget(t, "target")
  options.lines = options.lines or (options.depth > 3 or options.children > 256) and huge or 320
  return options
end

-- ---- profile ----

local function value_name(value)
  if value == nil then return "nil" end
  if type(value) == "function" then return "a C function without upvalues" end
  if type(value) == "userdata" then return "a light userdata" end
  return "a " .. type(value)
end

local function nothing() end
local BYTES_OF = {
  table = measure_table, string = string_bytes, ["function"] = function_bytes, userdata = userdata_bytes,
  thread = function(thread) return thread_bytes(thread, 0, rawequal(thread, getregistry()[1]), nothing) end,
}
local function object_bytes(value)
  local bytes_of = BYTES_OF[type(value)]
  return bytes_of and bytes_of(value) or 0
end

local function check_target(value)
  local kind = type(value)
  if kind == "table" or kind == "string" or kind == "thread" then return end
  if (kind == "function" or kind == "userdata") and object_bytes(value) > 0 then return end
  refuse("the target is %s, which holds no memory; accepted: a table, string, function, coroutine or userdata",
    value_name(value))
end

local function walk_target(walk, target, name)
  block_named(walk, target)
  walk.root(name, target)
  walk.settle()
  walk.prototypes(true)
end

-- A collector that rests forgets what is allocated meanwhile. So that many walks in one message don't pile up, it is
-- told to work once they left behind as much as there was before.
local LEAST_OWED = 1 << 20 -- more than a single call leaves in a small process
local owed, last_bytes = 0, 0
local function pay(before)
  local now = lua_bytes()
  if not (before and now) then return end
  if before < last_bytes then owed = 0 end -- it worked meanwhile
  local others = before - owed
  owed, last_bytes = owed + now - before, now
  if owed > others and owed > LEAST_OWED then
    pcall(collectgarbage, "step", owed // 1024) -- Lua 5.3 raises what a program's finalizer does
    owed, last_bytes = 0, lua_bytes()
  end
end

local may_collect = false -- the collector rests for us alone

-- Paths with their sizes, largest first, then by name.
local function sorted_paths(t, sizes, min_size)
  local list = {}
  local function size_of(path)
    local size = rawget(sizes, path)
    if type(size) ~= "number" then size = rawget(t, path) end
    return type(size) == "number" and size or 0
  end
  for path in next, t do
    if size_of(path) >= min_size then list[#list + 1] = path end
  end
  sort(list, function(a, b)
    local x, y = size_of(a), size_of(b)
    if x ~= y then return x > y end
    return a < b
  end)
  return list, size_of
end

local function profile(options, entry, has_target, is_printed)
  local target, total = options.target, lua_bytes()
  local bounded = options.depth <= 3 and options.lines <= 320
  local may_use = options.budget and options.budget + 0.0 + (total or 0) -- no sum of whole numbers, which may be too large
  local name
  if has_target then
    check_target(target)
    name = target_name(target, entry, may_use)
  end
  local walk = new_walk(options.depth, bounded, options.cycles, entry, may_use)
  if has_target then walk_target(walk, target, name) else walk_process(walk, true) end
  local stopped = walk.stopped()
  local held = options.retained and {}
  local results = walk.results(options.children, options.lines, held or nil)
  if held then -- each line takes a walk: of a report that is printed only those that it shows
    local retained, sizes, totals = {}, results.sizes, results.totalSizes
    local list = sorted_paths(sizes, totals, is_printed and options.min_size or 0)
    for i, path in next, list do
      if is_printed and i > options.top then break end
      local bytes = totals[path] and sizes[path]
      if bytes and held[path] and not stopped then -- no leaf
        local before = lua_bytes()
        local freed = retained_bytes(held[path], entry, may_use)
        if may_collect then pay(before) end -- hundreds of lines would take the memory of hundreds of walks
        stopped, bytes = not freed, freed or bytes
      end
      if bytes then retained[path] = floor(bytes) end
    end
    results.retained = retained
  end
  local live = results.totalSize
  if has_target then
    local retained, all
    if not stopped then retained, all = retained_bytes(target, entry, may_use, true) end
    stopped, live = stopped or not retained, all or live
    results.target = name
    results.shared = retained and floor(results.totalSize > retained and results.totalSize - retained or 0)
  end
  local objects = 0
  results.kinds = walk.kinds(results.totalSize)
  for i = 1, 7 do objects = objects + results.kinds[KINDS[i]].count end
  results.explained, results.exact, results.backend = total and 100 * live / total, false, "lua"
  total = total or live
  results.objects, results.luaSize, results.garbage, results.unaccounted = objects, floor(total), 0, floor(total - live)
  results.stopped = stopped or nil
  return results
end

-- ---- print ----

local function coloured(text, name, wanted)
  if wanted == false then return text end
  local colours = global("Colors")
  local function code(which)
    local value = type(colours) == "table" and rawget(colours, which)
    return type(value) == "string" and value or ""
  end
  return code(name) .. text .. code("reset")
end

local function size_text(bytes, wanted)
  local units, unit = { "bytes", "KB", "MB", "GB" }, 1
  while unit < 4 and abs(bytes + 0.0) >= (unit > 1 and 1023.995 or 1023.5) do bytes, unit = bytes / 1024, unit + 1 end
  return coloured(format(unit == 1 and "%.0f" or "%.2f", bytes), unit == 1 and "green" or "red", wanted) .. " "
    .. coloured(units[unit], "gray", wanted)
end

local function amount(what, bytes) return coloured(what, "gray") .. size_text(bytes) end

local function path_text(path)
  local at = find(path, "/...", 1, true)
  if at ~= #path - 3 then return coloured(path, "blue") end
  return coloured(sub(path, 1, -5), "blue") .. coloured("/...", "green")
end

local function refuse_results(field, found, expected)
  refuse("these results were changed: '%s' is %s; expected %s", field, found, expected)
end

local function number_field(results, name)
  local value = rawget(results, name)
  if type(value) ~= "number" then refuse_results(name, type(value), "a number") end
  return value
end

-- Somebody else may have written it: nothing of that may reach a terminal.
local function check_path(name, what, path)
  if find(path, "[%z\1-\31\127]") or find(path, "\xC2[\x80-\x9F]") then refuse_results(name, what, "paths as profile wrote them") end
end

-- A table of paths that `profile` made, and the sum of its numbers.
local function check_paths(results, name, value_type)
  local t, sum, what = rawget(results, name), 0, "a table with control characters in a path"
  if type(t) ~= "table" then refuse_results(name, type(t), "a table") end
  for path, value in next, t do
    if type(path) ~= "string" then refuse_results(name, "a table with other keys than paths", "paths only") end
    check_path(name, what, path)
    if type(value) ~= value_type then
      refuse("these results were changed: '%s' of '%s' is a %s; expected a %s", name, shown_name(path), type(value), value_type)
    end
    if value_type == "number" then sum = sum + value else check_path(name, what, value) end
  end
  return t, sum
end

local function rest_text(count, what, bytes)
  local text = coloured(format("... and %d other %s", count, what), "gray")
  return bytes and text .. coloured(", totalling ", "gray") .. size_text(bytes) or text
end

local function add_header(lines, results)
  lines[1] = coloured("MemBuddy " .. VERSION, "blue")
  local all, garbage, unaccounted =
    number_field(results, "luaSize"), number_field(results, "garbage"), number_field(results, "unaccounted")
  lines[2] = amount("Lua memory: ", all) .. " = " .. amount("live ", all - garbage - unaccounted) .. " + "
    .. amount("garbage ", garbage) .. "; " .. amount("unaccounted: ", unaccounted)
  local explained = rawget(results, "explained")
  if type(explained) == "number" then
    lines[3] = coloured(format("Explained: %.2f percent of what Lua counts (pure Lua: sizes are computed)", explained), "gray")
  else
    lines[3] = coloured("Pure Lua, where Lua tells no count: sizes are computed", "gray")
  end
  if rawget(results, "stopped") then
    lines[#lines + 1] = coloured("Stopped early: the budget was used up, what is missing was not walked", "red")
  end
  local target = rawget(results, "target")
  if type(target) == "string" then
    check_path("target", "a path with control characters", target)
    local is_known = rawget(results, "shared") or not rawget(results, "stopped")
    lines[#lines + 1] = "Held by " .. target
      .. (is_known and amount("; others hold as well: ", number_field(results, "shared")) or "")
  end
end

local function lines_of(results, options)
  local lines = {}
  local kind = rawget(results, "type")
  if kind ~= "membuddy-results" then refuse_results("type", shown(kind), "'membuddy-results'") end
  local sizes, sum = check_paths(results, "sizes", "number")
  local totals = check_paths(results, "totalSizes", "number")
  local circular = check_paths(results, "circular", "string")
  local total = number_field(results, "totalSize")
  if sum ~= total then
    refuse("these results were changed: their sizes add up to %.0f bytes; expected 'totalSize', which is %.0f", sum, total)
  end
  local retained = rawget(results, "retained")
  if not options.no_header then add_header(lines, results) end
  lines[#lines + 1] = amount("Total size: ", total)
  lines[#lines + 1] = coloured("Sizes:", "gray")
  local list, size_of = sorted_paths(sizes, totals, options.min_size)
  local others = 0
  for i, path in next, list do
    if i <= options.top then
      local line = "    " .. path_text(path) .. ": " .. size_text(size_of(path))
      local bytes = type(retained) == "table" and rawget(retained, path)
      lines[#lines + 1] = type(bytes) == "number" and line .. ", retained " .. size_text(bytes) or line
    else
      others = others + sizes[path]
    end
  end
  if #list > options.top then lines[#lines + 1] = rest_text(#list - options.top, "references", others) end
  if options.cycles and next(circular) ~= nil then
    lines[#lines + 1] = coloured("Circular references:", "gray")
    list = sorted_paths(circular, circular, 0)
    for i = 1, #list <= options.top and #list or options.top do
      lines[#lines + 1] = "    " .. path_text(list[i]) .. ": " .. path_text(circular[list[i]])
    end
    local left = rawget(results, "otherCycles")
    left = type(left) == "number" and tointeger(left) or 0 -- what is no count counts for none
    left = (left > 0 and left or 0) + (#list > options.top and #list - options.top or 0)
    if left > 0 then lines[#lines + 1] = rest_text(left, "circular references") end
  end
  return lines
end

-- ---- the interface ----

-- Not before `pcall`: so many arguments may be given that the stack has no room for them twice.
local function resting(f, ...)
  collectgarbage("stop")
  return f(...)
end

-- What a program calls: the collector rests while `f` runs, and an error says where in the program it came from.
-- `finish`, if given, gets the result when the collector works again.
local function public(f, finish)
  local function entry(...)
    local was_running, before, could_collect = collectgarbage("isrunning"), lua_bytes(), may_collect
    may_collect = was_running
    local ok, result = pcall(resting, f, entry, ...)
    may_collect = could_collect
    if was_running then
      collectgarbage("restart")
      pay(before)
    end
    if not ok then
      if type(result) == "table" and rawequal(rawget(result, 1), REFUSAL) then error(result[2], 2) end
      error(result, 0)
    end
    if finish then return finish(result) end
    return result
  end
  return entry
end

local function is_results(t)
  return rawget(t, "type") == "membuddy-results" or type(rawget(t, "sizes")) == "table"
end

local function profile_call(entry, ...)
  local count, target, given = select("#", ...), ...
  if count == 0 then return profile(read_options({}), entry) end
  if count == 1 and type(target) == "table" and are_options(target) then
    local options = read_options(target)
    return profile(options, entry, options.target ~= nil)
  end
  if given ~= nil and type(given) ~= "table" then refuse("the options are %s; accepted: a table", value_name(given)) end
  local options = read_options(given or {})
  if options.target ~= nil then
    refuse("two targets, the first argument and option 'target'; accepted: one of them")
  end
  options.target = target
  return profile(options, entry, true)
end

local function print_call(entry, given, more)
  if given ~= nil and type(given) ~= "table" then
    refuse("the results or options are %s; accepted: a table", value_name(given))
  end
  if more ~= nil and type(more) ~= "table" then refuse("the options are %s; accepted: a table", value_name(more)) end
  local lines, options, stopped
  given, more = given or more, given and more
  if given and is_results(given) then
    lines = lines_of(given, read_options(more or {}))
  else
    if more then
      refuse("the first argument is no results of profile(); accepted: results and options, or options alone")
    end
    options = read_options(given or {})
    local results = profile(options, entry, options.target ~= nil, true)
    lines, stopped = lines_of(results, options), results.stopped
  end
  local write = global("print")
  if type(write) ~= "function" then refuse("the global 'print' is a %s value; a function is needed", type(write)) end
  return { write = write, lines = lines, options = options, stopped = stopped }
end

local membuddy = { backend = "lua", version = VERSION, exact = false }

-- What stands behind the report of a whole process: set by src/stock.lua, where the checks are loaded too.
local findings
local CHECKS_LEFT_OUT = "Checks: left out, since the budget was used up; option checks = true makes them"

local function write_report(report)
  local lines, options, write = report.lines, report.options, report.write
  if findings and options and options.checks ~= false and options.target == nil then
    local is_asked = options.checks or not report.stopped -- their walks know no budget
    for _, line in next, is_asked and findings(lines) or { CHECKS_LEFT_OUT } do lines[#lines + 1] = line end
  end
  for _, line in next, lines do write(line) end
end

membuddy.print = public(print_call, write_report)
membuddy.print_results = membuddy.print

membuddy.profile = public(profile_call)

function membuddy.format_size(...)
  local bytes, wanted = ...
  local number = tonumber(bytes)
  if not number then
    bytes = select("#", ...) == 0 and "no value" or type(bytes)
    error("bad argument #1 to 'format_size' (number expected, got " .. bytes .. ")", 2)
  end
  return size_text(number, wanted or false)
end

local function need_value(name, count)
  if count == 0 then error({ REFUSAL, "bad argument #1 to '" .. name .. "' (value expected)" }, 0) end
end

membuddy.sizeof = public(function(_, ...)
  need_value("sizeof", select("#", ...))
  return floor(object_bytes((...)))
end)

membuddy.retained = public(function(entry, ...)
  need_value("retained", select("#", ...))
  local object = ...
  check_target(object)
  return floor((retained_bytes(object, entry)))
end)

local function walk_all(entry)
  local walk = new_walk(0, true, false, entry)
  walk_process(walk, true)
  return walk
end

membuddy.kinds = public(function(entry, ...)
  if select("#", ...) == 0 then return walk_all(entry).kinds() end
  local walk, target = new_walk(0, true, false, entry), ...
  check_target(target)
  walk_target(walk, target, "")
  return walk.kinds()
end)

membuddy.account = public(function(entry)
  local total, walk = lua_bytes(), walk_all(entry)
  local kinds, live = walk.kinds(), floor(walk.bytes())
  total = total or live
  local runtime = kinds.state.bytes + kinds.string_table.bytes
  return {
    luaSize = total, unaccounted = total - live,
    parts = { live = live - runtime, garbage = 0, runtime = runtime },
  }
end)

return membuddy
