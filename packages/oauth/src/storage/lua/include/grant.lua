local function optional_number(value)
  if not value then return nil end
  return tonumber(value)
end

-- What may change in a grant, and what rules look at; nil when there is none, it has ended, or it is not ours (R172).
local function find_grant(key)
  local f = redis.call('HMGET', key, 'codeHash', 'codeExpiresAt', 'codeFailures', 'codeRedeemedAt', 'accessEndsAt',
    'endsAt', 'generation', 'currentHash', 'previousHash', 'rotatedAt', 'idleEndsAt', 'revokedAt', 'indexedUntil')
  local grant = {
    code_hash = f[1],
    code_expires_at = optional_number(f[2]),
    code_failures = optional_number(f[3]),
    code_redeemed_at = optional_number(f[4]),
    access_ends_at = optional_number(f[5]),
    ends_at = optional_number(f[6]),
    generation = optional_number(f[7]),
    current_hash = f[8],
    previous_hash = f[9],
    rotated_at = optional_number(f[10]),
    idle_ends_at = optional_number(f[11]),
    revoked_at = optional_number(f[12]),
    indexed_until = optional_number(f[13]),
  }
  if not (grant.code_hash and grant.code_expires_at and grant.code_failures and grant.access_ends_at
    and grant.ends_at and grant.indexed_until) then
    return nil
  end
  if grant.current_hash and not (grant.generation and grant.idle_ends_at) then return nil end
  if math.max(grant.code_expires_at, grant.access_ends_at, grant.idle_ends_at or 0) <= now then return nil end
  return grant
end

-- R110: no step moves a refresh token past the absolute end of its family.
local function capped(grant, idle_ends_at)
  if grant.ends_at == 0 then return idle_ends_at end
  return math.min(idle_ends_at, grant.ends_at)
end

-- Whoever lists families by user or client must find this one for as long as it lives. The lists lie in other hash
-- slots, so they are extended first: this answer asks for it, and nothing has changed yet.
local function needs_index(key, grant, record_ends_at, indexed_until)
  if record_ends_at <= math.max(grant.indexed_until, indexed_until) then return nil end
  local owner = redis.call('HMGET', key, 'userId', 'clientId')
  return { 'index', owner[1] or '', owner[2] or '', record_ends_at, grant.ends_at }
end

-- Ends the family and tells who follows: record, list of revocations and message are one step.
local function revoke(key, feed_key, grant, reason, channel, id)
  -- First, because it needs no memory: Redis then lets the rest of the script pass when its memory is full (R168).
  redis.call('ZREMRANGEBYSCORE', feed_key, '-inf', now - 60)
  redis.call('HSET', key, 'revokedAt', now, 'revokedBy', reason)
  if grant.access_ends_at > now then
    redis.call('ZADD', feed_key, grant.access_ends_at, id)
    expire_set(feed_key)
  end
  redis.call('PUBLISH', channel, string.format('%d', grant.access_ends_at) .. ' ' .. id)
end
