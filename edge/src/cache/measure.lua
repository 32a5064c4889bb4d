-- How large a hash is, before it is fetched: anybody may have put anything there. Writes nothing, so that a Redis that
-- takes no writes answers too.
-- KEYS: the hash. Answers {type, bytes of names and values}.
local kind = redis.call('TYPE', KEYS[1]).ok
local size = 0
if kind == 'hash' then
  for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
    size = size + #field + redis.call('HSTRLEN', KEYS[1], field)
  end
end
return {kind, size}
