-- Writes a new task of a caller, unless the caller has as many as it may. The same write sent again counts once (R164).
--
-- KEYS[1] tasks of the caller by their end
-- KEYS[2] task: "generation:end:sealed"
-- ARGV[1] deadline, milliseconds of Redis's own clock
-- ARGV[2] now, seconds
-- ARGV[3] which task
-- ARGV[4] end, seconds
-- ARGV[5] task, sealed
-- ARGV[6] how many the caller may have
-- Result  {'stored' | 'full'} {'late'}
-- include: step
if is_late() then return { 'late' } end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local ends_at = string.match(redis.call('GET', KEYS[2]) or '', '^%d+:(%d+):')
if ends_at and tonumber(ends_at) > now then return { 'stored' } end
if redis.call('ZCOUNT', KEYS[1], '-inf', '+inf') >= tonumber(ARGV[6]) then return { 'full' } end
redis.call('SET', KEYS[2], '1:' .. ARGV[4] .. ':' .. ARGV[5])
redis.call('ZADD', KEYS[1], tonumber(ARGV[4]), ARGV[3])
expire(KEYS[2], tonumber(ARGV[4]))
expire_set(KEYS[1])
return { 'stored' }
