-- Opens a token family. Sent again, it changes nothing: it must not make a redeemed code new.
--
-- KEYS[1]  grant
-- ARGV[1]  deadline, milliseconds of Redis's own clock
-- ARGV[2]  now, seconds
-- ARGV[3]  end of the record, seconds
-- ARGV[4…] field, value, …
-- Result   {'stored'} {'late'}
-- include: step
-- include: grant
if is_late() then return { 'late' } end
if find_grant(KEYS[1]) then return { 'stored' } end
-- What is left of one that has ended. Not always: after it, full memory would refuse nothing any more.
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('DEL', KEYS[1]) end
redis.call('HSET', KEYS[1], unpack(ARGV, 4))
expire(KEYS[1], tonumber(ARGV[3]))
return { 'stored' }
