-- Writes a region's whole state, unless what is there is newer.
-- KEYS: the region's hash. ARGV: epoch, version, floor, seal, committed, contact, what is set aside (empty: nothing), then
-- field and value of each entry.
-- Answers {verdict, number of fields}: "applied" or "newer".
local key, epoch, to = KEYS[1], ARGV[1], tonumber(ARGV[2])
make_room(key)
local stored = redis.call('HMGET', key, 'epoch', 'version')
local version = tonumber(stored[2])

if stored[1] and version then
  if stored[1] == epoch and version > to then return {'newer', 0} end
  if later(stored[1], epoch) then return {'newer', 0} end
end

redis.call('DEL', key)
redis.call('HSET', key, 'epoch', epoch, 'version', ARGV[2], 'floor', ARGV[3], 'seal', ARGV[4],
  'committed', ARGV[5], 'contact', ARGV[6], 'aside', ARGV[7])
for i = 8, #ARGV, 2 do redis.call('HSET', key, ARGV[i], ARGV[i + 1]) end
return {'applied', redis.call('HLEN', key)}
