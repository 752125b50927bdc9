-- Replaces the sealed private key, unless it is no longer the one the caller opened.
--
-- KEYS[1] signing keys
-- ARGV[1] deadline, milliseconds of Redis's own clock
-- ARGV[2] now, seconds
-- ARGV[3] kid
-- ARGV[4] sealed private key
-- ARGV[5] sealed private key it must be
-- Result  {'resealed' | 'stale'} {'late'}
-- include: step
-- include: signing-keys
if is_late() then return { 'late' } end
if not find_key(ARGV[3]) then return { 'stale' } end
local sealed = redis.call('HGET', KEYS[1], 'sealed:' .. ARGV[3])
if sealed == ARGV[4] then return { 'resealed' } end
if sealed ~= ARGV[5] then return { 'stale' } end
redis.call('HSET', KEYS[1], 'sealed:' .. ARGV[3], ARGV[4])
return { 'resealed' }
