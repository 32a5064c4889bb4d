-- Writes what changed after a version of an epoch, if the hash is at that version or later; else says what is needed.
-- KEYS: the region's hash. ARGV: epoch, from, to, floor, seal, committed, contact, what is set aside (empty: nothing),
-- then field and value of each entry.
-- Answers {verdict, number of fields}: "applied", "held" (this very version), "newer" (a later one), "replace".
local key, epoch, from, to, aside = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[8]
make_room(key)
local stored = redis.call('HMGET', key, 'epoch', 'version', 'contact', 'seal', 'aside')
local version, contact, lacking = tonumber(stored[2]), tonumber(stored[3]), stored[5] or ''

if not stored[1] or not version or not contact then return {'replace', 0} end
if stored[1] ~= epoch then
  return {later(stored[1], epoch) and 'newer' or 'replace', 0}
end
if version > to then return {'newer', 0} end
if version < from or (version == to and stored[4] ~= ARGV[5]) then return {'replace', 0} end
-- An edge that could not apply something wrote what stands there. One that could writes all of it; one that lacks
-- something else leaves it, and does not build on it.
if lacking ~= '' and lacking ~= aside and (aside == '' or version < to) then return {'replace', 0} end

if tonumber(ARGV[7]) > contact then redis.call('HSET', key, 'contact', ARGV[7]) end
if version == to then return {'held', redis.call('HLEN', key)} end
redis.call('HSET', key, 'version', ARGV[3], 'floor', ARGV[4], 'seal', ARGV[5], 'committed', ARGV[6], 'aside', aside)
for i = 9, #ARGV, 2 do redis.call('HSET', key, ARGV[i], ARGV[i + 1]) end
return {'applied', redis.call('HLEN', key)}
