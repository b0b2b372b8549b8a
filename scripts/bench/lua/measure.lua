-- What the bench measures with, inside the process. Times are os.clock's, which the bench's host answers with its own.

local membuddy = package.loaded.membuddy
local clock = os.clock
local sample_bytes = 480 -- short enough for Lua to build it without a buffer of its own
local free_bytes_wanted = 65536
local free_bytes_at_most = 98304

local function timed_ms(work)
  local begin = clock()
  work()
  return (clock() - begin) * 1000
end

-- The collector rests between, so that only the collections asked for take place.
local function at_rest(work)
  collectgarbage()
  collectgarbage("stop")
  local result = work()
  collectgarbage("restart")
  return result
end

-- Times the works in turn, `rounds` times, each time on a heap without garbage: a list of milliseconds for each.
local function race(rounds, works)
  return at_rest(function()
    local times = {}
    for name in pairs(works) do times[name] = {} end
    for round = 1, rounds do
      for name, work in pairs(works) do
        collectgarbage()
        times[name][round] = timed_ms(work)
      end
    end
    return times
  end)
end

-- Uses up free memory until the largest free chunk is hardly more than the 64 KB that a report may count on.
local ballast
local function leave_little_free()
  if membuddy.account().largestFree < free_bytes_wanted then
    local grown = string.rep("g", 4 * free_bytes_wanted)
    grown = nil
    collectgarbage()
  end
  for _ = 1, 100 do
    local free_bytes = membuddy.account().largestFree
    if free_bytes <= free_bytes_at_most then return end
    local count = math.max((free_bytes - free_bytes_at_most) // (2 * sample_bytes), 8)
    for _ = 1, count do ballast = {ballast, string.rep("b", sample_bytes)} end
  end
  error("free memory stays in one piece of " .. membuddy.account().largestFree .. " bytes, whatever is used up")
end

-- Pages by which a report makes linear memory grow, and how much was free before it.
local function growth(report)
  collectgarbage()
  leave_little_free()
  local before = membuddy.account()
  report()
  return {pages = membuddy.account().pages - before.pages, largestFree = before.largestFree}
end

local function lua_bytes()
  collectgarbage()
  collectgarbage()
  return collectgarbage("count") * 1024
end

-- Bytes of Lua memory that a report leaves, once the process has made one before. Both are counted from one place: in
-- Lua 5.3 a collection shrinks the stack to what is in use there.
local function left_bytes(report)
  local bytes = {0, 0}
  for i = 1, 2 do
    report()
    bytes[i] = lua_bytes()
  end
  return bytes[2] - bytes[1]
end

-- What a report prints, without what aos keeps of it.
local function print_nowhere(options)
  local print_of_process = print
  print = function() end
  membuddy.print(options)
  print = print_of_process
end

Bench = {timed_ms = timed_ms, at_rest = at_rest, race = race, growth = growth, lua_bytes = lua_bytes,
  left_bytes = left_bytes, print_nowhere = print_nowhere}
