-- Puts a token family on the list of a user or a client, or keeps it there longer; never shorter.
--
-- KEYS[1] list: sorted set of grant ids by the end of their record
-- ARGV[1] deadline, milliseconds of Redis's own clock
-- ARGV[2] now, seconds
-- ARGV[3] grant id
-- ARGV[4] end, seconds
-- Result  {'indexed'} {'late'}
-- include: step
if is_late() then return { 'late' } end
redis.call('ZADD', KEYS[1], 'GT', ARGV[4], ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - 60)
expire_set(KEYS[1])
return { 'indexed' }
