-- Counts a wrong verifier for a code that could still be redeemed; at the limit the code ends (R102).
--
-- KEYS[1] grant
-- KEYS[2] outcome of this operation
-- ARGV[1] deadline, milliseconds of Redis's own clock
-- ARGV[2] now, seconds
-- ARGV[3] hash of the code
-- ARGV[4] limit
-- Result  {'counted' | 'ignored'} {'late'}
-- include: step
-- include: operation
-- include: grant
if is_late() then return { 'late' } end
local earlier = earlier_outcome(KEYS[2])
if earlier then return { earlier } end

local grant = find_grant(KEYS[1])
-- R97: once redeemed, a wrong verifier must not touch the family that came of it.
if not grant or grant.code_hash ~= ARGV[3] or grant.code_redeemed_at or grant.revoked_at then
  return { 'ignored' }
end
local failures = grant.code_failures + 1
local expires_at = grant.code_expires_at
if failures >= tonumber(ARGV[4]) then expires_at = math.min(expires_at, now) end
redis.call('HSET', KEYS[1], 'codeFailures', failures, 'codeExpiresAt', expires_at)
remember(KEYS[2], 'counted')
return { 'counted' }
