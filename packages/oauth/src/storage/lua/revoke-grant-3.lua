-- Ends a token family.
--
-- KEYS[1] grant
-- KEYS[2] outcome of this operation
-- KEYS[3] revocations
-- ARGV[1] deadline, milliseconds of Redis's own clock
-- ARGV[2] now, seconds
-- ARGV[3] reason
-- ARGV[4] channel of revocations
-- ARGV[5] grant id
-- Result  {'revoked' | 'already' | 'unknown', '', end of the last access token} {'late'}
-- include: step
-- include: operation
-- include: grant
if is_late() then return { 'late' } end
local earlier = earlier_outcome(KEYS[2])
if earlier then return { earlier, '', redis.call('HGET', KEYS[1], 'accessEndsAt') or 0 } end

local grant = find_grant(KEYS[1])
if not grant then return { 'unknown' } end
if grant.revoked_at then return { 'already' } end
revoke(KEYS[1], KEYS[3], grant, ARGV[3], ARGV[4], ARGV[5])
remember(KEYS[2], 'revoked')
return { 'revoked', '', grant.access_ends_at }
