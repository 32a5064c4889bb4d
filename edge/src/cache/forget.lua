-- Removes a state that turned out to be none of the origin's, if it is still the one that was seen.
-- KEYS: the region's hash. ARGV: epoch and version as they were read; empty where there were none.
make_room(KEYS[1])
local stored = redis.call('HMGET', KEYS[1], 'epoch', 'version')
if (stored[1] or '') == ARGV[1] and (stored[2] or '') == ARGV[2] then return redis.call('DEL', KEYS[1]) end
return 0
