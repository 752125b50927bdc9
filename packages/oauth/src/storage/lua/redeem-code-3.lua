-- Redeems an authorization code, once; a second redemption ends the family (RFC 6749 §4.1.2, R95, R96).
--
-- KEYS[1]  grant
-- KEYS[2]  outcome of this operation
-- KEYS[3]  revocations
-- ARGV[1]  deadline, milliseconds of Redis's own clock
-- ARGV[2]  now, seconds
-- ARGV[3]  hash of the code
-- ARGV[4]  hash of the first refresh token, '' for none
-- ARGV[5]  its idle end, seconds
-- ARGV[6]  end of the access token, seconds
-- ARGV[7]  until when the family is on the lists of its user and client, seconds; 0 when unknown
-- ARGV[8]  channel of revocations
-- ARGV[9]  grant id
-- Result   {'redeemed' | 'replayed' | 'expired' | 'revoked' | 'unknown', '', end of the last access token} {'late'}
--          {'index', user id, client id, end of the record, absolute end}
-- include: step
-- include: operation
-- include: grant
if is_late() then return { 'late' } end
local earlier = earlier_outcome(KEYS[2])
if earlier then return { earlier, '', redis.call('HGET', KEYS[1], 'accessEndsAt') or 0 } end

local grant = find_grant(KEYS[1])
-- R97: a guess with the right family id changes nothing.
if not grant or grant.code_hash ~= ARGV[3] then return { 'unknown' } end
if grant.revoked_at then return { 'revoked' } end
if grant.code_redeemed_at then
  revoke(KEYS[1], KEYS[3], grant, 'code_replayed', ARGV[8], ARGV[9])
  remember(KEYS[2], 'replayed')
  return { 'replayed', '', grant.access_ends_at }
end
if grant.code_expires_at <= now or (grant.ends_at ~= 0 and grant.ends_at <= now) then return { 'expired' } end

local has_refresh = ARGV[4] ~= ''
local idle_ends_at = has_refresh and capped(grant, tonumber(ARGV[5])) or 0
local access_ends_at = math.max(grant.access_ends_at, tonumber(ARGV[6]))
local record_ends_at = math.max(grant.code_expires_at, access_ends_at, idle_ends_at)
local index = needs_index(KEYS[1], grant, record_ends_at, tonumber(ARGV[7]))
if index then return index end

redis.call('HSET', KEYS[1], 'codeRedeemedAt', now, 'accessEndsAt', access_ends_at,
  'indexedUntil', math.max(grant.indexed_until, tonumber(ARGV[7])))
if has_refresh then
  redis.call('HSET', KEYS[1], 'generation', 0, 'currentHash', ARGV[4], 'idleEndsAt', idle_ends_at)
end
expire(KEYS[1], record_ends_at)
remember(KEYS[2], 'redeemed')
return { 'redeemed', '', access_ends_at }
