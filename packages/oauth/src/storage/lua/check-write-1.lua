-- Shows that a step could be written and a revocation announced now. An empty message means nothing.
--
-- KEYS[1] a key for this
-- ARGV[1] deadline, milliseconds of Redis's own clock
-- ARGV[2] now, seconds
-- ARGV[3] channel of revocations
-- Result  {'ready'} {'late'}
-- include: step
if is_late() then return { 'late' } end
redis.call('SET', KEYS[1], '1')
expire(KEYS[1], now)
redis.call('PUBLISH', ARGV[3], '')
return { 'ready' }
