-- A stand-in for the published pure-Lua profiler, written from the description of its method: it walks tables with
-- `pairs`, and learns the size of a value by making another of its kind and reading collectgarbage("count") before and
-- after, with two full collections before each reading.

local M = {}

local function settled_bytes()
  collectgarbage()
  collectgarbage()
  return collectgarbage("count") * 1024
end

local copies = {
  table = function(value)
    local copy = {}
    for key, field in pairs(value) do copy[key] = field end
    return copy
  end,
  string = function(value) return table.concat({value, "."}) end,
}

local function size_of(value)
  local copy_of = copies[type(value)]
  if not copy_of then return 0 end
  local before = settled_bytes()
  local copy = copy_of(value)
  local after = settled_bytes()
  return copy and after - before
end

local function walk(value, path, results, seen)
  local total = size_of(value)
  results.sizes[path] = total
  if type(value) == "table" then
    seen[value] = path
    for key, field in pairs(value) do
      local below = path .. "/" .. tostring(key)
      if seen[field] then
        results.circular[below] = seen[field]
      elseif copies[type(field)] then
        total = total + walk(field, below, results, seen)
      end
    end
  end
  results.totalSizes[path] = total
  return total
end

function M.profile(options)
  local results = {sizes = {}, totalSizes = {}, circular = {}}
  results.totalSize = walk(options.target, "target", results, {})
  return results
end

return M
