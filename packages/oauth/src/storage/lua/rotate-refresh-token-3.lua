-- Rotates a refresh token: read, check and write are one step (R104).
--
-- KEYS[1]  grant
-- KEYS[2]  outcome of this operation
-- KEYS[3]  revocations
-- ARGV[1]  deadline, milliseconds of Redis's own clock
-- ARGV[2]  now, seconds
-- ARGV[3]  hash of the presented token
-- ARGV[4]  1 when the token is proven to be ours, else 0
-- ARGV[5]  hash of the successor
-- ARGV[6]  reply, sealed under a key derived from the presented token
-- ARGV[7]  grace, seconds
-- ARGV[8]  idle end of the successor, seconds
-- ARGV[9]  end of the access token, seconds
-- ARGV[10] until when the family is on the lists of its user and client, seconds; 0 when unknown
-- ARGV[11] channel of revocations
-- ARGV[12] grant id
-- Result   {'rotated' | 'reused' | 'expired' | 'revoked' | 'unknown', '', end of the last access token} {'late'}
--          {'grace', sealed reply, …}
--          {'index', user id, client id, end of the record, absolute end}
--
-- The field unheard:<hash of the successor> stays until the caller, who has heard the reply, deletes it.
-- include: step
-- include: operation
-- include: grant
if is_late() then return { 'late' } end
local earlier, earlier_replay = earlier_outcome(KEYS[2])
if earlier then return { earlier, earlier_replay, redis.call('HGET', KEYS[1], 'accessEndsAt') or 0 } end

local grant = find_grant(KEYS[1])
if not grant or not grant.current_hash then return { 'unknown' } end
local is_current = ARGV[3] == grant.current_hash
local is_previous = ARGV[3] == grant.previous_hash
-- R97: an unproven hash must not end a session.
if not (is_current or is_previous or ARGV[4] == '1') then return { 'unknown' } end
if grant.revoked_at then return { 'revoked' } end
local has_ended = grant.idle_ends_at <= now

if is_current then
  if has_ended then return { 'expired' } end
  local idle_ends_at = capped(grant, tonumber(ARGV[8]))
  local access_ends_at = math.max(grant.access_ends_at, tonumber(ARGV[9]))
  local record_ends_at = math.max(grant.code_expires_at, access_ends_at, idle_ends_at)
  local index = needs_index(KEYS[1], grant, record_ends_at, tonumber(ARGV[10]))
  if index then return index end
  redis.call('HSET', KEYS[1], 'generation', grant.generation + 1, 'currentHash', ARGV[5], 'previousHash', ARGV[3],
    'rotatedAt', now, 'replay', ARGV[6], 'idleEndsAt', idle_ends_at, 'accessEndsAt', access_ends_at,
    'indexedUntil', math.max(grant.indexed_until, tonumber(ARGV[10])), 'unheard:' .. ARGV[5], 1)
  redis.call('HDEL', KEYS[1], 'unheard:' .. ARGV[3])
  expire(KEYS[1], record_ends_at)
  remember(KEYS[2], 'rotated')
  return { 'rotated', '', access_ends_at }
end

-- R105: only the token before the current one, for a bounded time, with the identical reply, extending nothing.
-- R164: while the process that rotated has not heard of it, its client was told to come back, and waits for Redis
-- as we do: ten minutes then.
local grace = tonumber(ARGV[7])
if grace > 0 and redis.call('HEXISTS', KEYS[1], 'unheard:' .. grant.current_hash) == 1 then
  grace = math.max(grace, 600)
end
if is_previous and grace > 0 and grant.rotated_at and now < grant.rotated_at + grace then
  local replay = redis.call('HGET', KEYS[1], 'replay')
  if replay then
    if has_ended then return { 'expired' } end
    remember(KEYS[2], 'grace', replay)
    return { 'grace', replay, grant.access_ends_at }
  end
end

-- R103: a token that was rotated away is in two hands.
revoke(KEYS[1], KEYS[3], grant, 'refresh_token_reused', ARGV[11], ARGV[12])
remember(KEYS[2], 'reused')
return { 'reused', '', grant.access_ends_at }
