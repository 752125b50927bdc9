-- Marks a client as deleted.
--
-- KEYS[1] mark
-- ARGV[1] deadline, milliseconds of Redis's own clock
-- ARGV[2] now, seconds
-- ARGV[3] end, seconds
-- Result  {'stored'} {'late'}
-- include: step
if is_late() then return { 'late' } end
redis.call('SET', KEYS[1], ARGV[3])
expire(KEYS[1], tonumber(ARGV[3]))
return { 'stored' }
