-- Keeps the signed trust bundle with the highest serial. Readers judge it by its signature, not by this number.
-- KEYS: the bundle's hash. ARGV: serial, signature, bytes.
local stored = tonumber(redis.call('HGET', KEYS[1], 'serial') or '')
if stored and stored >= tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'serial', ARGV[1], 'signature', ARGV[2], 'bytes', ARGV[3])
return 1
