-- Stores a pending authorization unless too many are open (R60). Sent again, it neither counts twice nor takes back
-- a step.
--
-- KEYS[1] pending authorization
-- KEYS[2] open ones: sorted set of hashed ids by end
-- ARGV[1] deadline, milliseconds of Redis's own clock
-- ARGV[2] now, seconds
-- ARGV[3] limit
-- ARGV[4] hashed id
-- ARGV[5] step
-- ARGV[6] end, seconds
-- ARGV[7] record
-- Result  {'stored' | 'full'} {'late'}
-- include: step
if is_late() then return { 'late' } end
local ends_at = tonumber(redis.call('HGET', KEYS[1], 'endsAt') or 0)
if ends_at and ends_at > now then return { 'stored' } end
if redis.call('ZCOUNT', KEYS[2], '(' .. ARGV[2], '+inf') >= tonumber(ARGV[3]) then return { 'full' } end
redis.call('HSET', KEYS[1], 'step', ARGV[5], 'endsAt', ARGV[6], 'record', ARGV[7])
expire(KEYS[1], tonumber(ARGV[6]))
redis.call('ZADD', KEYS[2], ARGV[6], ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - 60)
expire_set(KEYS[2])
return { 'stored' }
