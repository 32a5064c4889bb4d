-- Keeps the signed trust bundle with the highest serial. Readers judge it by its signature, not by this number; so does
-- whoever is told that a later one stands there, and insists if it is none.
-- KEYS: the bundle's hash. ARGV: serial, signatures one after another, bytes, "insist" or nothing.
-- Answers "kept", or "other" for a bundle with a later serial.
make_room(KEYS[1])
local stored = redis.call('HMGET', KEYS[1], 'serial', 'signatures', 'bytes')
if stored[2] == ARGV[2] and stored[3] == ARGV[3] then return 'kept' end
local serial = tonumber(stored[1] or '')
if serial and serial > tonumber(ARGV[1]) and ARGV[4] ~= 'insist' then return 'other' end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'serial', ARGV[1], 'signatures', ARGV[2], 'bytes', ARGV[3])
return 'kept'
