-- What a process does all day, without the profiler: tables filled and emptied, text built and taken apart, messages
-- matched against handlers. One call is one round of it.

local json = require("json")
local utils = require(".handlers-utils")

local function fill_tables()
  local balances = {}
  for i = 1, 4000 do balances["address-" .. i] = i end
  local sum = 0
  for _, quantity in pairs(balances) do sum = sum + quantity end
  local list = {}
  for i = 1, 8000 do list[i] = sum % i end
  table.sort(list)
  return #list
end

local function take_text_apart()
  local words = {}
  for i = 1, 400 do words[i] = string.format("%d:%s", i, ("word"):rep(i % 7)) end
  local text = table.concat(words, " ")
  local length = 0
  for word in text:gmatch("%S+") do length = length + #word:upper() end
  return length + #text:gsub("word", "drow")
end

local handlers = {}
for i = 1, 60 do
  handlers[i] = {pattern = utils.hasMatchingTag("Action", "Action-" .. i), handle = function(message) return message.Id end}
end

local function match_messages()
  local matched = 0
  for i = 1, 300 do
    local message = {Id = i, Tags = {Action = "Action-" .. i % 70}, Data = ""}
    for _, handler in ipairs(handlers) do
      if handler.pattern(message) ~= 0 then matched = matched + handler.handle(message) end
    end
  end
  return matched
end


function Workload()
  fill_tables()
  take_text_apart()
  match_messages()
end
