-- MemBuddy for processes whose image does not have it: the interface of the native library in Lua alone.
--
-- It reads a heap through `next` and the debug library and computes what the objects take from how Lua 5.3 and 5.4 lay
-- them out. It makes no copy, runs no metamethod and never collects; while it works the collector rests. What Lua does
-- not show (garbage, the free slots of a hash, equal long strings that are one object) it cannot count, and it says how
-- much of Lua's own count it explained.
--
-- How an object costs 32 bytes while it is walked: `seen` holds each once, and as its value the next in the queue. The
-- queue goes breadth first, so the objects of one line stand together on every level; a number in the queue says whose
-- the next ones are. `seen` grows in pieces, because a table that doubles is there twice for a while.

local debug, coroutine, collectgarbage, package = debug, coroutine, collectgarbage, package
local type, next, rawget, rawlen, rawequal, pcall, error, tostring, tonumber, select =
  type, next, rawget, rawlen, rawequal, pcall, error, tostring, tonumber, select
local byte, sub, find, format, rep, gsub, unpack, dump =
  string.byte, string.sub, string.find, string.format, string.rep, string.gsub, string.unpack, string.dump
local concat, sort, floor, huge = table.concat, table.sort, math.floor, math.huge
local getmetatable, getregistry, getinfo, getlocal, getupvalue, getuservalue, upvalueid =
  debug.getmetatable, debug.getregistry, debug.getinfo, debug.getlocal, debug.getupvalue, debug.getuservalue,
  debug.upvalueid

-- The native library, where the image has it.
do
  local loaded = package and package.loaded
  local native = loaded and rawget(loaded, "membuddy")
  if type(native) == "table" and rawget(native, "backend") == "native" then return native end
  local open = package and package.preload and rawget(package.preload, "membuddy")
  if type(open) == "function" and getinfo(open, "S").what == "C" then
    native = open("membuddy", ":preload:")
    loaded.membuddy = native
    return native
  end
end

local VERSION = "1.0.0"

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
local FIRST_STACK, EXTRA_STACK, C_FRAME = IS_54 and 45 or 40, 5, 20
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

-- True if a table's array part has room for the index: only then may `next` start from it when nothing is there.
local function has_slot(t, index) return (pcall(next, t, index)) end

-- Slots of an array part whose last entry is `top`.
local function array_slots(t, top)
  if not has_slot(t, top + 1) then return top end
  local slots = power_of_two(top + 1)
  while has_slot(t, slots + 1) do slots = slots * 2 end
  return slots
end

-- Own bytes of a table with `count` entries, of which the first `array_count` reach up to the index `top`.
-- An array part without the index `hole`, behind `before_hole` entries, ends there.
local function table_bytes(t, count, array_count, top, hole, before_hole)
  local bytes = TABLE
  if hole and (top > 8 * array_count + 64 or not has_slot(t, hole)) then array_count, top = before_hole, hole - 1 end
  if array_count > 0 or count == 0 then bytes = bytes + SLOT * array_slots(t, top) end
  if count > array_count then bytes = bytes + NODE * power_of_two(count - array_count) end
  return bytes
end

-- The same of a table that nobody looked at yet.
local function measure_table(t)
  local count, array_count, top, hole, before_hole = 0, 0, 0, nil, nil
  for key in next, t do
    count = count + 1
    if array_count == count - 1 and type(key) == "number" and key > top and key < 2 ^ 27 and key % 1 == 0 then
      if not hole and key > top + 1 then hole, before_hole = top + 1, array_count end
      array_count, top = count, key
    end
  end
  return table_bytes(t, count, array_count, top, hole, before_hole)
end

local function string_bytes(text) return STRING + #text end

-- Closure, number of upvalues, and whether it is written in C; 0 bytes for a C function without upvalues.
local function function_bytes(f)
  local count, name = 0, getupvalue(f, 1)
  while getupvalue(f, count + 1) do count = count + 1 end
  if name == "" then return CLOSURE + SLOT * count, count, true end
  if count == 0 and not pcall(dump, f, true) then return 0, 0, true end
  return CLOSURE + WORD * count, count, false
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

-- Frames and slots in use, told by what each frame shows up to the next one.
local function thread_bytes(thread, first, main)
  local level, used = first, 1
  local info = getinfo(thread, level, "u")
  local top_is_yield = info and info.nparams == 0 and info.isvararg
  while info do
    local count = 0
    while getlocal(thread, level, count + 1) do count = count + 1 end
    used = used + 1 + count
    if info.isvararg then
      local extra = 0
      while getlocal(thread, level, -extra - 1) do extra = extra + 1 end
      used = used + extra + (extra > 0 and info.nparams or 0)
    end
    level = level + 1
    info = getinfo(thread, level, "u")
  end
  if level == first then top_is_yield = true end
  used = used + 1 + (top_is_yield and C_FRAME or 2)
  local slots = FIRST_STACK
  while slots < used + EXTRA_STACK do slots = slots * 2 end
  local good = IS_54 and (slots > 3 * used and 2 * used + EXTRA_STACK) or used + used // 8 + 2 * EXTRA_STACK
  if good and good < slots then slots = good end
  return (main and 0 or THREAD) + SLOT * slots + FRAME * (level - first + (main and 2 or level > first and 1 or 0))
end

-- ---- names ----

-- A text without what a terminal or a reader could mistake, cut after `limit` bytes.
local function escape(text, limit)
  if #text <= limit and not find(text, "[^ -.0-%[%]-~]") then return text end
  local parts, at, length = {}, 1, #text
  while at <= length do
    local first, second, third, fourth = byte(text, at, at + 3)
    local count = (first < 0x80 and first >= 0x20 and first ~= 0x7F) and 1 or 0
    local function continues(value) return value and value >= 0x80 and value < 0xC0 end
    if first >= 0xC2 and first < 0xE0 then
      count = continues(second) and (first > 0xC2 or second >= 0xA0) and 2 or 0
    elseif first >= 0xE0 and first < 0xF0 then
      count = continues(second) and continues(third) and not (first == 0xE0 and second < 0xA0)
        and not (first == 0xED and second > 0x9F) and 3 or 0
    elseif first >= 0xF0 and first < 0xF5 then
      count = continues(second) and continues(third) and continues(fourth) and not (first == 0xF0 and second < 0x90)
        and not (first == 0xF4 and second > 0x8F) and 4 or 0
    end
    local taken = count > 0 and count or 1
    if at + taken - 1 > limit then
      parts[#parts + 1] = "\226\128\166"
      break
    end
    parts[#parts + 1] = count == 0 and format("\\x%02X", first)
      or ((first == 47 or first == 92) and "\\" or "") .. sub(text, at, at + count - 1)
    at = at + taken
  end
  return concat(parts)
end

-- What names a line: an entry by its key, else one of these.
local ENTRY, TEXT, UPVALUE_NAME, LOCAL_NAME, PROTO_NAME = 0, 1, 2, 3, 4

local function key_text(key)
  local kind = type(key)
  if kind == "string" then return escape(key, 64) end
  if kind == "number" or kind == "boolean" then return tostring(key) end
  if kind == "userdata" and getmetatable(key) == nil then kind = "lightuserdata" end
  return "[" .. kind .. "]"
end

local function proto_text(source, line)
  source = gsub(gsub(source or "?", "^[=@]", ""), "\n.*", "")
  return "[proto " .. escape(source, 40) .. ":" .. floor(line) .. "]"
end

local function label_text(kind, key)
  if kind == ENTRY then return key_text(key) end
  if kind == TEXT then return key end
  if kind == PROTO_NAME then
    if type(key) == "string" then return key end
    local info = getinfo(key, "S")
    return proto_text(info.source, info.linedefined)
  end
  local word = kind == UPVALUE_NAME and "upvalue" or "local"
  if type(key) == "number" then return "[" .. (kind == LOCAL_NAME and "stack" or word) .. " " .. key .. "]" end
  return "[" .. word .. " " .. escape(key, 64) .. "]"
end

-- ---- the walk ----

local FIRST_PIECE = 4096 -- objects in a piece of `seen`; each of the others holds as many as all before it
local LONGEST_SOURCE = 256 -- of a source that `string.dump` may repeat
local ROOMY, MANY_KIDS, MOST_OWNERS, MOST_CYCLES = 640, 300, 6000, 32
local KINDS = { "table", "string", "function", "proto", "upvalue", "thread", "userdata", "state", "string_table" }

-- Makes a walk whose lines go `max_depth` steps down; `bounded`: lines that turn out small are folded on the way.
-- `entry` is the function by which the program called us: what is above it on the stack is ours.
-- `holders`, if given, learns who holds each object, until `wanted` is found.
local function new_walk(max_depth, bounded, cycles, entry, may_use, holders, wanted)
  local walk = {}
  local in_hand

  -- what was seen, and the queue in it
  local first = {}
  local pieces, piece_count, piece, room, seen_count = { first }, 1, first, FIRST_PIECE, 0
  local head, tail_piece, tail_key, head_piece = nil, nil, nil, 1
  local tail_owner

  -- lines, by number
  local parent, own, rest, key, kind, depth, holds, queue_after, more = {}, {}, {}, {}, {}, {}, {}, {}, {}
  local used, count, limit, threshold, free = 0, 0, ROOMY, 0, nil
  local line_of, flat = {}, {} -- objects that wait for a visit; lines without lines below
  local owner, child, parent_of_child, content = nil, nil, nil, 0
  local label_cursor, label_line
  local cycle_list, cycle_count, other_cycles = {}, 0, 0

  -- what was found
  local counts, bytes_of = {}, {}
  for i = 1, #KINDS do counts[KINDS[i]], bytes_of[KINDS[i]] = 0, 0 end
  local string_count, string_sum, short_count, table_count, table_sum = 0, 0, 0, 0, 0
  local trusted, patience = {}, {} -- bytes of lists by their length, and how often to believe them
  local protos, chunks, chunk_sources, chunk_count, shapes, parked = {}, {}, {}, 0, {}, {}

  local function is_seen(object)
    for i = 1, piece_count do
      local value = pieces[i][object]
      if value ~= nil then return value end
    end
  end

  local function grow()
    piece, room = {}, seen_count
    piece_count = piece_count + 1
    pieces[piece_count] = piece
  end

  local function mark(object)
    piece[object] = true
    seen_count = seen_count + 1
    room = room - 1
    if room == 0 then grow() end
  end

  local function tally(what, bytes)
    counts[what] = counts[what] + 1
    bytes_of[what] = bytes_of[what] + bytes
    return bytes
  end

  -- Bytes of a string that was not met before, else 0.
  local function claim_string(text)
    local length = #text
    if length > SHORT and length <= LONGEST_ADDRESS then -- decoded with each message: one string a reference
      string_count, string_sum = string_count + 1, string_sum + STRING + length
      return STRING + length
    end
    if piece_count > 1 and is_seen(text) or first[text] then return 0 end
    piece[text] = true
    seen_count, room = seen_count + 1, room - 1
    if room == 0 then grow() end
    string_count, string_sum = string_count + 1, string_sum + STRING + length
    if length <= SHORT then short_count = short_count + 1 end
    return STRING + length
  end

  -- ---- lines ----

  -- Sums with everything below. Where lines are folded a parent may have the higher number, but none is deep.
  local function total_of(totals)
    for i = 1, used do
      if own[i] then totals[i] = own[i] + rest[i] end
    end
    local some_are_reused = bounded and threshold > 0
    for level = some_are_reused and max_depth or 1, 1, -1 do
      for i = used, 1, -1 do
        if own[i] and parent[i] > 0 and (depth[i] == level or not some_are_reused) then
          totals[parent[i]] = totals[parent[i]] + totals[i]
        end
      end
    end
  end

  local function drop(i)
    local above = parent[i]
    rest[above] = rest[above] + own[i] + rest[i]
    more[above] = (more[above] or 0) + 1
    own[i], key[i], holds[i], flat[i], more[i] = nil, nil, nil, nil, nil
    queue_after[i] = free or 0
    free = i
    count = count - 1
  end

  local scratch_totals, scratch_parents, scratch_final = {}, {}, {}
  -- Folds lines that are final and small: the smaller part of them, as far as they have no lines below.
  local function make_room()
    local totals, is_parent, final, final_count = scratch_totals, scratch_parents, scratch_final, 0
    total_of(totals)
    for i = 0, used do is_parent[i] = false end
    for i = 1, used do
      if own[i] then is_parent[parent[i]] = true end
    end
    is_parent[owner or 0], is_parent[parent_of_child or 0] = true, true
    for i = 1, used do
      if own[i] and parent[i] > 0 and queue_after[i] == nil and not is_parent[i] then
        final_count = final_count + 1
        final[final_count] = totals[i]
      end
    end
    for i = #final, final_count + 1, -1 do final[i] = nil end
    sort(final)
    local surplus = final_count - ROOMY // 2
    local cut = final[surplus] or 0
    for i = 1, surplus > 0 and used or 0 do
      if own[i] and parent[i] > 0 and queue_after[i] == nil and not is_parent[i] and totals[i] <= cut then drop(i) end
    end
    if cut > threshold then threshold = cut end
    local kept = 0
    for base = 0, 4 * cycle_count - 4, 4 do
      if own[cycle_list[base + 1]] and own[cycle_list[base + 4]] then
        for i = 1, 4 do cycle_list[4 * kept + i] = cycle_list[base + i] end
        kept = kept + 1
      end
    end
    cycle_count = kept
    limit = count + (count > ROOMY and count // 2 or ROOMY // 2)
  end

  local function new_line(above, line_kind, line_key, bytes, object)
    if bounded and count >= limit then make_room() end
    local i = free
    if i then
      free = queue_after[i]
      if free == 0 then free = nil end
    else
      used = used + 1
      i = used
    end
    count = count + 1
    parent[i], own[i], rest[i], key[i], kind[i] = above, bytes, 0, line_key, line_kind
    depth[i] = above == 0 and 0 or depth[above] + 1
    holds[i] = object
    queue_after[i] = nil
    return i
  end

  local function add_leaf(above, line_kind, line_key, bytes)
    if bytes == 0 then return end
    if bounded and bytes <= threshold then
      rest[above] = rest[above] + bytes
      more[above] = (more[above] or 0) + 1
    else
      new_line(above, line_kind, line_key, bytes)
    end
  end

  -- ---- the queue ----

  -- An object without a line queues something: it gets one, if there is room, so that its content has a place.
  local function become_owner()
    local above = parent_of_child
    if count > MOST_OWNERS and count > seen_count // 16 then return above end
    local from, wanted = holds[above], child
    if label_line ~= above then label_line, label_cursor = above, nil end
    for entry_key, value in next, from, label_cursor do
      if rawequal(value, wanted) or rawequal(entry_key, wanted) then
        label_cursor = entry_key
        local i = new_line(above, ENTRY, entry_key, 0, child)
        flat[i] = true
        return i
      end
    end
    label_cursor = nil
    return above
  end

  local function link(element)
    if tail_key == nil then head = element else tail_piece[tail_key] = element end
  end

  local function push(object)
    if owner == nil then owner = become_owner() end
    if tail_owner ~= owner then
      link(owner)
      queue_after[owner] = true
      tail_piece, tail_key, tail_owner = queue_after, owner, owner
    end
    link(object)
    tail_piece, tail_key = piece, object
    if holders then holders[object] = in_hand end
    piece[object] = true
    seen_count = seen_count + 1
    room = room - 1
    if room == 0 then grow() end
  end

  -- ---- references ----

  local function discover(object)
    local what = type(object)
    if what == "string" then
      content = content + claim_string(object)
    elseif what == "table" or what == "function" or what == "thread" or what == "userdata" then
      if not is_seen(object) then push(object) end
    end
  end

  local function note_cycle(from, line_kind, line_key, object)
    local at = from
    while at > 0 do
      if rawequal(holds[at], object) then break end
      at = parent[at]
    end
    if at == 0 or not cycles then return end
    if bounded and cycle_count >= MOST_CYCLES then
      other_cycles = other_cycles + 1
      return
    end
    local base = cycle_count * 4
    cycle_list[base + 1], cycle_list[base + 2], cycle_list[base + 3], cycle_list[base + 4] = from, line_kind, line_key, at
    cycle_count = cycle_count + 1
  end

  -- A reference of the line `owner`, which may have lines below; `bytes` are those of the key.
  local kids = 0
  local function refer(line_kind, line_key, bytes, value)
    local what = type(value)
    if what == "string" then
      add_leaf(owner, line_kind, line_key, bytes + claim_string(value))
    elseif what == "table" or what == "function" or what == "thread" or what == "userdata" then
      if is_seen(value) then
        add_leaf(owner, line_kind, line_key, bytes)
        note_cycle(owner, line_kind, line_key, value)
        return
      end
      kids = kids + 1
      if not bounded or kids <= MANY_KIDS and count < MOST_OWNERS or type(holds[owner]) ~= "table" then
        local i = new_line(owner, line_kind, line_key, bytes, value)
        queue_after[i] = false -- waits for its visit
        line_of[value] = i
      elseif bytes > 0 then
        rest[owner] = rest[owner] + bytes
      end
      push(value)
    else
      add_leaf(owner, line_kind, line_key, bytes)
    end
  end

  -- ---- tables ----

  local function weakness(metatable)
    local mode = rawget(metatable, "__mode")
    if type(mode) ~= "string" then return end
    return find(mode, "k", 1, true) ~= nil, find(mode, "v", 1, true) ~= nil
  end

  local function is_plain(value)
    local what = type(value)
    return what ~= "table" and what ~= "function" and what ~= "thread" and what ~= "userdata"
  end

  -- One look at what a weak table keeps alive. True if a key may still come to life.
  local function visit_weak_entries(t, weak_keys, weak_values, lined)
    local pending = false
    for entry_key, value in next, t do
      local keeps_key, keeps_value = not weak_keys or is_plain(entry_key), not weak_values or is_plain(value)
      if weak_keys and not weak_values then
        keeps_value = is_plain(entry_key) or is_seen(entry_key)
        if not keeps_value and not is_plain(value) then pending = true end
        keeps_key = is_plain(entry_key)
      end
      if not keeps_key then entry_key = nil end
      if not keeps_value then value = nil end
      if lined then
        local bytes = type(entry_key) == "string" and claim_string(entry_key) or 0
        if entry_key ~= nil and not is_plain(entry_key) then refer(ENTRY, entry_key, 0, entry_key) end
        refer(ENTRY, entry_key, bytes, value)
      else
        discover(entry_key)
        discover(value)
      end
    end
    return pending
  end

  local function visit_weak(t, weak_keys, weak_values, lined)
    if visit_weak_entries(t, weak_keys, weak_values, lined) then
      parked[#parked + 1] = t
      parked[#parked + 1] = owner or parent_of_child
    end
    return measure_table(t)
  end

  -- Entries as lines of their own.
  local function visit_table_lined(t)
    local metatable = getmetatable(t)
    if metatable then
      refer(TEXT, "[metatable]", 0, metatable)
      local weak_keys, weak_values = weakness(metatable)
      if weak_keys or weak_values then return visit_weak(t, weak_keys, weak_values, true) end
    end
    local entries, array_count, top, hole, before_hole = 0, 0, 0, nil, nil
    for entry_key, value in next, t do
      entries = entries + 1
      local what, bytes = nil, 0
      if entry_key == entries and array_count == entries - 1 then
        array_count, top = entries, entries
      else
        what = type(entry_key)
        if what == "string" then
          if not first[entry_key] then bytes = claim_string(entry_key) end
        elseif what == "number" then
          if array_count == entries - 1 and entry_key > top and entry_key < 2 ^ 27 and entry_key % 1 == 0 then
            if not hole and entry_key > top + 1 then hole, before_hole = top + 1, array_count end
            array_count, top = entries, entry_key
          end
        elseif what ~= "boolean" then
          refer(ENTRY, entry_key, 0, entry_key)
        end
      end
      what = type(value)
      if what == "string" then
        if not first[value] then bytes = bytes + claim_string(value) end
        if bytes > 0 then add_leaf(owner, ENTRY, entry_key, bytes) end
      elseif what == "number" or what == "boolean" then
        if bytes > 0 then add_leaf(owner, ENTRY, entry_key, bytes) end
      elseif kids > MANY_KIDS and bounded and bytes == 0 and not first[value] and not is_seen(value) then
        push(value) -- may get a line when it is visited
      else
        refer(ENTRY, entry_key, bytes, value)
      end
    end
    return table_bytes(t, entries, array_count, top, hole, before_hole)
  end

  -- Entries that only add to a sum: what most of a heap is made of.
  local function visit_table(t)
    local metatable = getmetatable(t)
    if metatable then
      discover(metatable)
      local weak_keys, weak_values = weakness(metatable)
      if weak_keys or weak_values then return visit_weak(t, weak_keys, weak_values, false) end
    end
    local entries, array_count, top, hole, before_hole = 0, 0, 0, nil, nil
    for entry_key, value in next, t do
      entries = entries + 1
      if entry_key == entries and array_count == entries - 1 then
        array_count, top = entries, entries
      elseif not first[entry_key] then
        local what = type(entry_key)
        if what == "string" then
          content = content + claim_string(entry_key)
        elseif what == "number" then
          if array_count == entries - 1 and entry_key > top and entry_key < 2 ^ 27 and entry_key % 1 == 0 then
            if not hole and entry_key > top + 1 then hole, before_hole = top + 1, array_count end
            array_count, top = entries, entry_key
          end
        elseif what ~= "boolean" then
          discover(entry_key)
        end
      end
      if not first[value] then
        local what = type(value)
        if what == "string" then
          content = content + claim_string(value)
        elseif what == "table" then
          if piece_count == 1 or not is_seen(value) then push(value) end
        elseif what ~= "number" and what ~= "boolean" then
          discover(value)
        end
      end
    end
    if array_count == top and (entries == array_count or entries == 0) then -- a list, or nothing: one of many alike
      local bytes, left = trusted[top], patience[top] or -16
      if left > 0 then
        patience[top] = left - 1
        return bytes
      end
      local asked = table_bytes(t, entries, array_count, top)
      if asked ~= bytes then left = -16 end
      trusted[top] = asked
      patience[top] = left == -1 and 31 or left == 0 and 31 or left + 1
      return asked
    end
    return table_bytes(t, entries, array_count, top, hole, before_hole)
  end

  -- ---- prototypes: what `string.dump` writes, read once and not kept ----

  local code, at, chunk, is_cut = nil, 1, 0, false -- the dump, the next byte, which chunk it is of

  local function read_number()
    if not IS_54 then
      local value
      value, at = unpack("<i4", code, at)
      return value
    end
    local value = 0
    repeat
      local b = byte(code, at)
      value, at = value * 128 + b % 128, at + 1
    until b >= 128
    return value
  end

  -- The length of the string that begins here; -1 for none.
  local function read_length()
    if IS_54 then return read_number() - 1 end
    local b = byte(code, at)
    at = at + 1
    if b < 255 then return b - 1 end
    b, at = unpack("<T", code, at)
    return b - 1
  end

  -- Bytes of the string that begins here, unless it was met before. A long one is not read: it would be a copy.
  local function read_string(counts_here, by_content)
    local length = read_length()
    if length < 0 then return 0 end
    local from = at
    at = at + length
    if not counts_here then return 0 end
    if length <= SHORT or by_content then return claim_string(sub(code, from, at - 1)) end
    string_count, string_sum = string_count + 1, string_sum + STRING + length
    return STRING + length
  end

  -- Reads a prototype and those in it. Where `line` is given it may have lines below; else all is content.
  local function read_proto(line, source)
    local started = at
    local source_length = read_length()
    local source_from = at
    if source_length > 0 then at = at + source_length end
    local line_defined = read_number()
    local last_line = read_number()
    local parameters = byte(code, at)
    at = at + 3
    local code_count = read_number()
    local code_from, code_end = at, at + 4 * code_count
    local identity = chunk ~ line_defined * 0x9E3779B97F4A7C15 ~ last_line * 0x51ED270B27220A95 ~ code_count * 0x2545F4914F6CDD1D
    local middle = code_from + code_count // 2 * 4
    identity = identity * 31 ~ unpack("<i8", code, code_from)
    if code_count > 2 then
      identity = (identity * 31 ~ unpack("<i8", code, middle)) * 31 ~ unpack("<i8", code, code_end - 8)
    end
    local is_new = not protos[identity]
    protos[identity] = true
    at = code_end

    local constants, names, below = 0, 0, 0
    local own_line = line and is_new
    if own_line then
      line = new_line(line, PROTO_NAME, proto_text(source, line_defined), 0)
      if depth[line] >= max_depth then own_line = false end
    else
      line = is_new and line or nil
    end
    local source_bytes = 0
    if source_length > 0 and is_new then
      source_bytes = claim_string(sub(code, source_from, source_from + source_length - 1))
    end

    local constant_count = read_number()
    for _ = 1, constant_count do
      local tag = byte(code, at)
      at = at + 1
      if tag == 4 or tag == 0x14 then
        constants = constants + read_string(is_new)
      elseif tag == 3 or tag == 0x13 then
        at = at + 8
      elseif tag == 1 and not IS_54 then
        at = at + 1
      end
    end
    local upvalue_count = read_number()
    at = at + upvalue_count * (IS_54 and 3 or 2)
    local proto_count = read_number()
    for _ = 1, proto_count do below = below + read_proto(own_line and line, source) end
    local lines, absolute_lines = read_number(), 0
    at = at + lines * (IS_54 and 1 or 4)
    if IS_54 then
      absolute_lines = read_number()
      for _ = 1, 2 * absolute_lines do read_number() end
    end
    local local_count = read_number()
    for _ = 1, local_count do
      names = names + read_string(is_new)
      if IS_54 then
        read_number()
        read_number()
      else
        at = at + 8
      end
    end
    for _ = 1, read_number() do names = names + read_string(is_new) end
    if is_cut then -- without its debug information
      lines, local_count, absolute_lines = code_count, parameters + code_count // 16, code_count // 128
    end
    if not is_new then return 0 end
    local bytes = tally("proto", PROTO + 4 * code_count + SLOT * constant_count + PROTO_UPVALUE * upvalue_count
      + WORD * proto_count + (IS_54 and lines + 8 * absolute_lines or 4 * lines) + LOCAL * local_count)
    if not line then return bytes + constants + names + source_bytes + below end
    own[line] = bytes
    if own_line then
      add_leaf(line, TEXT, "[constant]", constants)
      add_leaf(line, TEXT, "[source]", source_bytes)
      add_leaf(line, TEXT, "[names]", names)
    else
      rest[line] = constants + names + source_bytes + below
    end
    return 0
  end

  -- Closures of one shape are mostly made from one prototype: then most of them need no look at it.
  local function is_routine(f, upvalue_count)
    local shape = shapes
    for i = 1, upvalue_count do
      local name = getupvalue(f, i)
      local next_shape = shape[name]
      if not next_shape then next_shape = {} shape[name] = next_shape end
      shape = next_shape
    end
    local i, name = 1, getlocal(f, 1)
    local next_shape = shape[name or 0]
    while name do
      if not next_shape then next_shape = {} shape[name] = next_shape end
      shape = next_shape
      i = i + 1
      name = getlocal(f, i)
      next_shape = name and shape[name]
    end
    local met = (shape[1] or 0) + 1
    shape[1] = met
    local is_uniform = (shape[2] or 0) <= 1
    return is_uniform and met > 8 and met % 16 ~= 0, shape
  end

  -- The number of a function's chunk. A main function is made once a chunk, so equal ones are different chunks.
  local function chunk_of(f)
    local info = getinfo(f, "S")
    local number = info.what ~= "main" and chunks[info.source]
    if number then return number end
    chunk_count = chunk_count + 1
    chunks[info.source], chunk_sources[chunk_count] = chunk_count, info.source
    return chunk_count
  end

  -- Returns the chunk too; it is given where another function of it was met.
  local function read_protos(f, upvalue_count, known_chunk, lined)
    local routine, shape = is_routine(f, upvalue_count)
    if routine then return 0, known_chunk end
    local before = counts.proto
    chunk = known_chunk or chunk_of(f)
    local source = chunk_sources[chunk]
    is_cut = #source > LONGEST_SOURCE -- a dump would repeat the source
    local bytes = is_cut and claim_string(source) or 0
    code = dump(f, is_cut)
    at = IS_54 and 33 or 35 -- behind the header
    bytes = bytes + read_proto(lined and owner, source)
    code = nil
    if counts.proto > before then shape[2] = (shape[2] or 0) + 1 end
    return bytes, chunk
  end

  -- A cell has its function's chunk as its value, so that functions that share it need not be asked.
  local function claim_cell(id, known_chunk)
    if is_seen(id) then return 0 end
    piece[id] = known_chunk or true
    seen_count = seen_count + 1
    room = room - 1
    if room == 0 then grow() end
    return tally("upvalue", UPVALUE)
  end

  local function visit_function(f, lined)
    local bytes, upvalue_count, is_c = function_bytes(f)
    if bytes == 0 then return 0 end
    local known_chunk
    if not is_c then
      for i = 1, upvalue_count do
        local known = is_seen(upvalueid(f, i))
        if known and known ~= true then
          known_chunk = known
          break
        end
      end
      local proto_content
      proto_content, known_chunk = read_protos(f, upvalue_count, known_chunk, lined)
      content = content + proto_content
    end
    for i = 1, upvalue_count do
      local name, value = getupvalue(f, i)
      local cell = is_c and 0 or claim_cell(upvalueid(f, i), known_chunk)
      if lined then
        if name == "" or find(name, "^%(") then name = i end
        refer(UPVALUE_NAME, name, cell, value)
      else
        content = content + cell
        discover(value)
      end
    end
    return tally("function", bytes)
  end

  -- ---- coroutines and userdata ----

  -- The first frame of a thread that is the program's and not ours.
  local function first_level(thread)
    local level, info = 0, getinfo(thread, 0, "f")
    while info and info.func ~= entry do
      level = level + 1
      info = getinfo(thread, level, "f")
    end
    return info and level + 1 or 0
  end

  local function visit_slot(lined, name, slot, value)
    if lined then
      refer(LOCAL_NAME, (name and not find(name, "^%(")) and name or slot, 0, value)
    else
      discover(value)
    end
  end

  local registry = getregistry()

  local function visit_thread(thread, lined)
    local level, slot = first_level(thread), 1
    local bytes = thread_bytes(thread, level, rawequal(thread, registry[1]))
    if level > 0 then level = level - 1 end -- `first_level` was on the stack as well
    local info = getinfo(thread, level, "f")
    while info do
      visit_slot(lined, nil, slot, info.func)
      local i, name, value = 1, getlocal(thread, level, 1)
      while name do
        visit_slot(lined, name, slot + i, value)
        i = i + 1
        name, value = getlocal(thread, level, i)
      end
      local extra = -1
      name, value = getlocal(thread, level, extra)
      while name do
        visit_slot(lined, nil, slot + i, value)
        extra, i = extra - 1, i + 1
        name, value = getlocal(thread, level, extra)
      end
      slot, level = slot + i, level + 1
      info = getinfo(thread, level, "f")
    end
    return tally("thread", bytes)
  end

  local function visit_userdata(u, lined)
    local bytes = userdata_bytes(u)
    if bytes == 0 then return 0 end
    local metatable = getmetatable(u)
    if lined then refer(TEXT, "[metatable]", 0, metatable) else discover(metatable) end
    local i, value, more_values = 1, getuservalue(u, 1)
    repeat
      if lined then refer(TEXT, "[uservalue " .. i .. "]", 0, value) else discover(value) end
      i = i + 1
      value, more_values = nil, false
      if IS_54 then value, more_values = getuservalue(u, i) end
    until not more_values
    return tally("userdata", bytes)
  end

  -- ---- one object ----

  -- Own bytes of an object; what it refers to is queued, or is content.
  local function visit(object, lined)
    local what = type(object)
    if what == "table" then
      local bytes
      if lined then bytes = visit_table_lined(object) else bytes = visit_table(object) end
      table_count, table_sum = table_count + 1, table_sum + bytes
      return bytes
    end
    if what == "function" then return visit_function(object, lined) end
    if what == "thread" then return visit_thread(object, lined) end
    if what == "userdata" then return visit_userdata(object, lined) end
    return claim_string(object)
  end

  local function has_lines_below(i) return depth[i] < max_depth and not flat[i] end

  local function visit_line(i, object)
    local before = owner
    owner, content, kids = i, 0, 0
    local bytes = visit(object, has_lines_below(i))
    own[i] = own[i] + bytes
    rest[i] = rest[i] + content
    if content > 0 and has_lines_below(i) then more[i] = (more[i] or 0) + 1 end
    owner = before
  end

  -- A child of the line `above` that has none of its own yet.
  local function visit_child(above, object)
    owner, child, parent_of_child, content = nil, object, above, 0
    local bytes = visit(object, false)
    if owner == nil and bytes + content > threshold then owner = become_owner() end
    local i = owner or above
    if i ~= above then
      own[i] = own[i] + bytes
      rest[i] = rest[i] + content
      if content > 0 then more[i] = (more[i] or 0) + 1 end
    else
      rest[above] = rest[above] + bytes + content
      more[above] = (more[above] or 0) + 1
    end
    parent_of_child = nil
  end

  local stopped = false
  local function is_over_budget()
    if may_use and collectgarbage("count") * 1024 > may_use then stopped = true end
    return stopped
  end

  local function run()
    local now, is_lined
    local ticks = 0
    while head ~= nil do
      local element = head
      local following = queue_after[element]
      if following ~= nil then -- whose the next ones are
        queue_after[element] = nil
        head, now = following, element
        is_lined = has_lines_below(now)
      else
        following = pieces[head_piece][element]
        while following == nil do
          head_piece = head_piece + 1
          following = pieces[head_piece][element]
        end
        if following == true then
          head, tail_key, tail_owner = nil, nil, now
        else
          head = following
        end
        ticks = ticks + 1
        if ticks == 256 then
          ticks = 0
          if is_over_budget() or wanted and holders[wanted] then return end
        end
        in_hand = element
        if not is_lined then
          owner, content = now, 0
          local bytes = visit(element)
          rest[now] = rest[now] + bytes + content
        else
          local i = line_of[element]
          if i then
            line_of[element] = nil
            queue_after[i] = nil
            visit_line(i, element)
          else
            visit_child(now, element)
          end
        end
      end
    end
    tail_owner = nil
  end

  -- Looks at parked tables again, as long as keys come to life.
  local function settle()
    local progress = true
    while progress and not stopped do
      local list, before = parked, seen_count
      parked = {}
      for i = 1, #list, 2 do
        local t = list[i]
        owner, content = list[i + 1], 0
        if own[owner] then
          local weak_keys, weak_values = weakness(getmetatable(t))
          if visit_weak_entries(t, weak_keys, weak_values, false) then
            parked[#parked + 1] = t
            parked[#parked + 1] = list[i + 1]
          end
          rest[owner] = rest[owner] + content
        end
      end
      run()
      progress = #parked > 0 and seen_count > before
    end
    parked = {}
  end

  -- ---- what the walk is for ----

  -- Walks from a root, unless another one reached it first.
  function walk.root(name, object)
    if object == nil or stopped or (type(object) ~= "string" and is_seen(object)) then return end
    local i = new_line(0, TEXT, name, 0, object)
    tail_key, tail_owner, head = nil, nil, nil
    if type(object) ~= "string" then mark(object) end
    in_hand = object
    if holders then holders[object] = name end
    visit_line(i, object)
    run()
  end

  function walk.settle() settle() end
  function walk.block(object)
    if is_plain(object) or is_seen(object) then return false end
    first[object] = true
    return true
  end
  function walk.unblock(object) first[object] = nil end

  function walk.type_metatables()
    local i = new_line(0, TEXT, "[type metatables]", 0)
    tail_key, tail_owner, head = nil, nil, nil
    owner, content, kids = i, 0, 0
    local samples = { { "nil" }, { "boolean", true }, { "number", 0 }, { "string", "" }, { "function", print },
      { "thread", registry[1] } }
    for _, sample in next, samples do
      local metatable = getmetatable(sample[2])
      if metatable then
        if has_lines_below(i) then refer(TEXT, sample[1], 0, metatable) else discover(metatable) end
      end
    end
    run()
  end

  function walk.runtime()
    local state = tally("state", STATE)
    for word in string.gmatch(FIXED .. " ", "(%S*) ") do state = state + claim_string(word) end
    state = state + claim_string("not enough memory")
    new_line(0, TEXT, "[state]", state)
    local slots = power_of_two(short_count < 128 and 128 or short_count)
    new_line(0, TEXT, "[string table]", tally("string_table", WORD * slots))
  end

  function walk.bytes()
    local sum = string_sum + table_sum
    for _, bytes in next, bytes_of do sum = sum + bytes end
    return sum
  end

  function walk.kinds()
    local kinds = {}
    for name, number in next, counts do
      kinds[name] = { count = floor(number), bytes = floor(bytes_of[name]) }
    end
    kinds.string = { count = floor(string_count), bytes = floor(string_sum) }
    kinds.table = { count = floor(table_count), bytes = floor(table_sum) }
    return kinds
  end

  function walk.stopped() return stopped end

  -- ---- results ----

  local function texts_in_order(totals)
    local texts, order = {}, {}
    local function text(i)
      if not texts[i] then texts[i] = label_text(kind[i], key[i]) end
      return texts[i]
    end
    -- as numbers, which Lua sorts fastest: largest first; then what is alike, by depth and name
    for i = 1, used do
      if own[i] then order[#order + 1] = -floor(totals[i]) << 24 | i end
    end
    sort(order)
    for at = 1, #order do order[at] = order[at] & 0xFFFFFF end
    local function comes_first(a, b)
      if depth[a] ~= depth[b] then return depth[a] < depth[b] end
      local x, y = key[a], key[b]
      if type(x) == "number" and type(y) == "number" then
        if x ~= y then return x < y end
      elseif text(a) ~= text(b) then
        return text(a) < text(b)
      end
      return a < b
    end
    local from = 1
    while from <= #order do
      local to, alike = from, { order[from] }
      while order[to + 1] and totals[order[to + 1]] == totals[order[from]] do
        to = to + 1
        alike[#alike + 1] = order[to]
      end
      if to > from then
        sort(alike, comes_first)
        for at = from, to do order[at] = alike[at - from + 1] end
      end
      from = to + 1
    end
    return text, order
  end

  local function line_count(i) return (rest[i] > 0 and 2 or 1) end

  -- Folds what the options leave no line for.
  local function select_lines(order, children, max_lines)
    local shown, dropped, lines = {}, {}, 0
    for _, i in next, order do
      local above = parent[i]
      if above > 0 then
        dropped[i] = dropped[above] or (shown[above] or 0) >= children
        if not dropped[i] then shown[above] = (shown[above] or 0) + 1 end
      end
    end
    for at = #order, 1, -1 do
      if dropped[order[at]] then drop(order[at]) end
    end
    for _, i in next, order do
      if own[i] then lines = lines + line_count(i) end
    end
    local kids_of = {}
    for _, i in next, order do
      if own[i] then kids_of[parent[i]] = (kids_of[parent[i]] or 0) + 1 end
    end
    for at = #order, 1, -1 do
      local i = order[at]
      if lines <= max_lines then break end
      if own[i] and parent[i] > 0 and (kids_of[i] or 0) == 0 then
        local above = parent[i]
        lines = lines - line_count(i) - line_count(above)
        drop(i)
        kids_of[above] = kids_of[above] - 1
        lines = lines + line_count(above)
      end
    end
  end

  function walk.results(children, max_lines, retained_of)
    local totals, paths, sizes, sums, retained, last_number = {}, {}, {}, {}, {}, {}
    total_of(totals)
    local text, order = texts_in_order(totals)
    select_lines(order, children, max_lines)
    local function unique(path)
      if sizes[path] == nil then return path end
      local number = last_number[path] or 1
      local numbered
      repeat
        number = number + 1
        numbered = path .. "#" .. number
      until sizes[numbered] == nil
      last_number[path] = number
      return numbered
    end
    local total = 0
    for _, i in next, order do
      if own[i] then
        local above = parent[i]
        local path = unique((above > 0 and paths[above] .. "/" or "") .. text(i))
        paths[i] = path
        if totals[i] > 0 then
          sizes[path], sums[path] = floor(own[i]), floor(totals[i])
          if above == 0 then total = total + totals[i] end
          if retained_of then retained[path] = retained_of(holds[i], own[i], totals[i]) end
        end
        if rest[i] > 0 then
          local name = depth[i] >= max_depth and "..." or "[" .. floor(more[i] or 1) .. " more]"
          sizes[unique(path .. "/" .. name)] = floor(rest[i])
        end
      end
    end
    local circular = {}
    for i = 0, cycle_count - 1 do
      local from, line_kind, line_key, to = cycle_list[4 * i + 1], cycle_list[4 * i + 2], cycle_list[4 * i + 3], cycle_list[4 * i + 4]
      if paths[from] and paths[to] then circular[paths[from] .. "/" .. label_text(line_kind, line_key)] = paths[to] end
    end
    return {
      type = "membuddy-results", totalSize = floor(total), sizes = sizes, totalSizes = sums, circular = circular,
      cycles = circular, retained = retained_of and retained, otherCycles = other_cycles > 0 and other_cycles or nil,
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
local function walk_process(walk)
  local registry = getregistry()
  local main = registry[1]
  walk.root("_G", globals())
  local is_main_free = walk.block(main) -- a root, although the registry holds it as well
  walk.root("[registry]", registry)
  if is_main_free then walk.unblock(main) end
  walk.root("[main thread]", main)
  walk.root("[running coroutine]", (coroutine.running()))
  walk.type_metatables()
  walk.settle()
  walk.runtime()
end

-- What has a name of its own is not part of what a target holds.
local function block_named(walk, target)
  local function block(value)
    if not rawequal(value, target) and type(value) ~= "string" then walk.block(value) end
  end
  local function block_values(t)
    if type(t) ~= "table" then return end
    for _, value in next, t do block(value) end
  end
  local named = global("package")
  block_values(globals())
  block_values(type(named) == "table" and rawget(named, "loaded"))
  block(globals())
  block(getregistry())
  block(getregistry()[1])
end

-- Bytes that only the object keeps alive, and of everything that lives.
local function retained_bytes(object, entry)
  local walk = new_walk(0, true, false, entry)
  walk.block(object)
  walk_process(walk)
  local without = walk.bytes()
  walk.unblock(object)
  walk.root("", object)
  walk.settle()
  return walk.bytes() - without, walk.bytes()
end

-- ---- errors ----

local REFUSAL = {}
local function refuse(text, ...) error({ REFUSAL, "membuddy: " .. format(text, ...) }, 0) end

-- ---- the name of a target ----

local LONGEST_CHAIN, LONGEST_NAME = 16, 288

local function held_by(holder, object)
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
    local level = 0
    while getinfo(holder, level, "u") do
      local i, name, value = 1, getlocal(holder, level, 1)
      while name do
        if rawequal(value, object) then return label_text(LOCAL_NAME, find(name, "^%(") and i or name) end
        i = i + 1
        name, value = getlocal(holder, level, i)
      end
      level = level + 1
    end
    return "[stack]"
  end
  if rawequal(getmetatable(holder), object) then return "[metatable]" end
  return "[uservalue 1]"
end

local function shortest_path(object, entry)
  local holders, names = {}, {}
  if type(object) ~= "string" then
    walk_process(new_walk(0, true, false, entry, nil, holders, object))
  end
  local holder = holders[object]
  while holder ~= nil and type(holder) ~= "string" and #names < LONGEST_CHAIN do
    names[#names + 1] = held_by(holder, object)
    object, holder = holder, holders[holder]
  end
  if #names == 0 and holder == nil then return type(object) end
  names[#names + 1] = type(holder) == "string" and holder or "..."
  for i = 1, #names // 2 do names[i], names[#names + 1 - i] = names[#names + 1 - i], names[i] end
  return concat(names, "/")
end

-- The variable of the caller that holds the object.
local function variable_name(object, entry)
  local level, info = 1, getinfo(1, "f")
  while info and info.func ~= entry do
    level = level + 1
    info = getinfo(level, "f")
  end
  level = level + 1
  info = info and getinfo(level, "f")
  if not info then return end
  local found
  local function look(read, from)
    local i, name, value = 1, read(from, 1)
    while name do
      if name ~= "" and not find(name, "^%(") and rawequal(value, object) then found = name end
      i = i + 1
      name, value = read(from, i)
    end
  end
  local i, name, value = 1, getlocal(level, 1)
  while name do
    if not find(name, "^%(") and rawequal(value, object) then found = name end
    i = i + 1
    name, value = getlocal(level, i)
  end
  if not found then look(getupvalue, info.func) end
  return found
end

local function target_name(object, entry)
  if rawequal(object, globals()) then return "_G" end
  local name
  if type(globals()) == "table" then
    for key, value in next, globals() do
      if rawequal(value, object) then name = name or key_text(key) end
    end
  end
  name = name or variable_name(object, entry) or shortest_path(object, entry)
  if #name > LONGEST_NAME then
    name = "..." .. (find(name, "/", -LONGEST_NAME + 3, true) and sub(name, (find(name, "/", -LONGEST_NAME + 3, true))) or "")
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

local function shown(value)
  local kind = type(value)
  if kind == "boolean" or kind == "number" then return tostring(value) end
  if kind ~= "string" then return kind end
  return #value > 64 and "a long string" or gsub(value, "%c.*", "")
end

local function are_options(t)
  for name in next, t do
    if type(name) ~= "string" or not ACCEPTED[name] then return false end
  end
  return true
end

local function read_option(accepted, value)
  if accepted == FLAG then return type(value) == "boolean", value end
  if accepted == DEPTH and (value == "inf" or value == "infinity") or accepted == LIMIT and value == false then
    return true, huge
  end
  if type(value) ~= "number" or not (value >= 0) then return false end
  return accepted == BYTES or value == huge or value == floor(value), value
end

local function read_options(t)
  local options = { depth = 3, top = 20, children = 256, min_size = 1, cycles = true }
  for name in next, t do
    if type(name) ~= "string" or not ACCEPTED[name] then
      refuse("unknown option '%s'; accepted: %s", shown(type(name) == "string" and name or type(name)), concat(OPTIONS, ", "))
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

local function object_bytes(value)
  local kind = type(value)
  if kind == "table" then return measure_table(value) end
  if kind == "string" then return string_bytes(value) end
  if kind == "function" then return (function_bytes(value)) end
  if kind == "thread" then return thread_bytes(value, 0, rawequal(value, getregistry()[1])) end
  if kind == "userdata" then return userdata_bytes(value) end
  return 0
end

local function check_target(value)
  local kind = type(value)
  if kind == "table" or kind == "string" or kind == "thread" then return end
  if (kind == "function" or kind == "userdata") and object_bytes(value) > 0 then return end
  refuse("the target is %s, which holds no memory; accepted: a table, string, function, coroutine or userdata",
    value_name(value))
end

local function lua_bytes() return floor((collectgarbage("count") or 0) * 1024 + 0.5) end

local function profile(options, entry, has_target)
  local target, total = options.target, lua_bytes()
  local bounded = options.depth <= 3 and options.lines <= 320
  local may_use = options.budget and total + options.budget
  local name
  if has_target then
    check_target(target)
    name = target_name(target, entry)
  end
  local walk = new_walk(options.depth, bounded, options.cycles, entry, may_use)
  if has_target then
    block_named(walk, target)
    walk.root(name, target)
    walk.settle()
  else
    walk_process(walk)
  end
  local results = walk.results(options.children, options.lines, options.retained and function(held, own_bytes)
    return held ~= nil and floor((retained_bytes(held, entry))) or floor(own_bytes)
  end)
  local live = results.totalSize
  if has_target then
    local retained
    retained, live = retained_bytes(target, entry)
    results.target, results.shared = name, floor(results.totalSize > retained and results.totalSize - retained or 0)
  end
  local objects = 0
  results.kinds = walk.kinds()
  for i = 1, 7 do objects = objects + results.kinds[KINDS[i]].count end
  results.objects, results.luaSize, results.garbage, results.unaccounted = objects, total, 0, floor(total - live)
  results.explained, results.exact, results.backend = total > 0 and 100 * live / total or 0, false, "lua"
  results.stopped = walk.stopped() or nil
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
  while unit < 4 and bytes >= (unit > 1 and 1023.995 or 1023.5) do bytes, unit = bytes / 1024, unit + 1 end
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

-- A table of paths that `profile` made, and the sum of its numbers.
local function check_paths(results, name, value_type)
  local t, sum = rawget(results, name), 0
  if type(t) ~= "table" then refuse_results(name, type(t), "a table") end
  for path, value in next, t do
    if type(path) ~= "string" then refuse_results(name, "a table with other keys than paths", "paths only") end
    if find(path, "[%z\1-\31\127]") then
      refuse_results(name, "a table with control characters in a path", "paths as profile wrote them")
    end
    if type(value) ~= value_type then
      refuse("these results were changed: '%s' of '%s' is a %s; expected a %s", name, shown(path), type(value), value_type)
    end
    if value_type == "number" then sum = sum + value end
  end
  return t, sum
end

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
  end
  if rawget(results, "stopped") then
    lines[#lines + 1] = coloured("Stopped early: the budget was used up, what is missing was not walked", "red")
  end
  local target = rawget(results, "target")
  if type(target) == "string" then
    lines[#lines + 1] = "Held by " .. target .. amount("; others hold as well: ", number_field(results, "shared"))
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
    left = (type(left) == "number" and left or 0) + (#list > options.top and #list - options.top or 0)
    if left > 0 then lines[#lines + 1] = rest_text(left, "circular references") end
  end
  return lines
end

-- ---- the interface ----

-- What a program calls: the collector rests meanwhile, and an error says where in the program it came from.
local function public(f)
  local function entry(...)
    local was_running = collectgarbage("isrunning")
    collectgarbage("stop")
    local ok, result = pcall(f, entry, ...)
    if was_running then collectgarbage("restart") end
    if ok then return result end
    if type(result) == "table" and rawequal(result[1], REFUSAL) then error(result[2], 2) end
    error(result, 0)
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
  local lines, options
  if given and is_results(given) then
    lines = lines_of(given, read_options(more or {}))
  else
    options = read_options(given or {})
    lines = lines_of(profile(options, entry, options.target ~= nil), options)
  end
  local write = global("print")
  if type(write) ~= "function" then refuse("the global 'print' is a %s value; a function is needed", type(write)) end
  return { write = write, lines = lines, options = options }
end

local membuddy = { backend = "lua", version = VERSION, exact = false }

-- What stands behind the report of a whole process, where the checks are loaded too.
local findings
function membuddy.set_findings(lines) findings = lines end

local function add_findings(lines, options)
  if not findings or options.checks == false or options.target ~= nil then return end
  for _, line in next, findings() do lines[#lines + 1] = line end
end

function membuddy.print(...)
  local was_running = collectgarbage("isrunning")
  collectgarbage("stop")
  local ok, result = pcall(print_call, membuddy.print, ...)
  if was_running then collectgarbage("restart") end
  if ok then
    if result.options then add_findings(result.lines, result.options) end
    local write = result.write
    for _, line in next, result.lines do write(line) end
    return
  end
  if type(result) == "table" and rawequal(result[1], REFUSAL) then error(result[2], 2) end
  error(result, 0)
end
membuddy.print_results = membuddy.print

membuddy.profile = public(profile_call)

function membuddy.format_size(bytes, wanted)
  local number = tonumber(bytes)
  if not number then
    error("bad argument #1 to 'format_size' (number expected, got " .. (bytes == nil and "no value" or type(bytes)) .. ")", 2)
  end
  return size_text(number, wanted or false)
end

membuddy.sizeof = public(function(_, ...)
  if select("#", ...) == 0 then error("bad argument #1 to 'sizeof' (value expected)", 0) end
  return floor(object_bytes((...)))
end)

membuddy.retained = public(function(entry, ...)
  if select("#", ...) == 0 then error("bad argument #1 to 'retained' (value expected)", 0) end
  local object = ...
  check_target(object)
  return floor((retained_bytes(object, entry)))
end)

local function walk_all(entry)
  local walk = new_walk(0, true, false, entry)
  walk_process(walk)
  return walk
end

membuddy.kinds = public(function(entry) return walk_all(entry).kinds() end)

membuddy.account = public(function(entry)
  local total = lua_bytes()
  local walk = walk_all(entry)
  local kinds, live = walk.kinds(), floor(walk.bytes())
  local runtime = kinds.state.bytes + kinds.string_table.bytes
  return {
    luaSize = total, unaccounted = total - live,
    parts = { live = live - runtime, garbage = 0, runtime = runtime },
  }
end)

return membuddy
