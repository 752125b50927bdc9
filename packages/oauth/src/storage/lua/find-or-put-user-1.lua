-- The user id of an identity: the first caller's wins and stays.
--
-- KEYS[1] user
-- ARGV[1] deadline, milliseconds of Redis's own clock
-- ARGV[2] now, seconds
-- ARGV[3] user id for a new identity
-- ARGV[4] new end, seconds
-- Result  {'found', user id} {'late'}
-- include: step
if is_late() then return { 'late' } end
local known = redis.call('HMGET', KEYS[1], 'userId', 'endsAt')
local user_id = ARGV[3]
if known[1] and (tonumber(known[2] or 0) or 0) > now then user_id = known[1] end
redis.call('HSET', KEYS[1], 'userId', user_id, 'endsAt', ARGV[4])
expire(KEYS[1], tonumber(ARGV[4]))
return { 'found', user_id }
