-- Puts a record on a list it can be found by, or keeps it there longer; never shorter.
--
-- KEYS[1] list: sorted set of record names by their end
-- ARGV[1] deadline, milliseconds of Redis's own clock
-- ARGV[2] now, seconds
-- ARGV[3] name of the record
-- ARGV[4] end, seconds
-- Result  {'indexed'} {'late'}
-- include: step
if is_late() then return { 'late' } end
redis.call('ZADD', KEYS[1], 'GT', ARGV[4], ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - 60)
expire_set(KEYS[1])
return { 'indexed' }
