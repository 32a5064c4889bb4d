-- Whatever else somebody has put under one of our keys is removed: the commands on hashes would fail on it for ever.
local function make_room(key)
  local kind = redis.call('TYPE', key).ok
  if kind ~= 'hash' and kind ~= 'none' then redis.call('DEL', key) end
end
