-- Takes one step of a sign-in, once (R163): to the next record, or to the end.
--
-- KEYS[1] pending authorization
-- KEYS[2] open ones: sorted set of hashed ids by end
-- KEYS[3] outcome of this operation
-- ARGV[1] deadline, milliseconds of Redis's own clock
-- ARGV[2] now, seconds
-- ARGV[3] step it must be at
-- ARGV[4] hashed id
-- ARGV[5] next step, '' when the sign-in is over
-- ARGV[6] end of the next record, seconds
-- ARGV[7] next record
-- Result  {'taken' | 'stale' | 'unknown'} {'late'}
-- include: step
-- include: operation
if is_late() then return { 'late' } end
local earlier = earlier_outcome(KEYS[3])
if earlier then return { earlier } end
local known = redis.call('HMGET', KEYS[1], 'step', 'endsAt')
local ends_at = tonumber(known[2] or 0)
if not ends_at or ends_at <= now then return { 'unknown' } end
if known[1] ~= ARGV[3] then return { 'stale' } end
remember(KEYS[3], 'taken')
if ARGV[5] == '' then
  redis.call('DEL', KEYS[1])
  redis.call('ZREM', KEYS[2], ARGV[4])
else
  redis.call('HSET', KEYS[1], 'step', ARGV[5], 'endsAt', ARGV[6], 'record', ARGV[7])
  expire(KEYS[1], tonumber(ARGV[6]))
  redis.call('ZADD', KEYS[2], ARGV[6], ARGV[4])
  expire_set(KEYS[2])
end
return { 'taken' }
