local now = tonumber(ARGV[2])

-- A step that Redis gets to after its caller was told that it failed must not happen any more (R165).
local function is_late()
  local time = redis.call('TIME')
  return time[1] * 1000 + time[2] / 1000 > tonumber(ARGV[1])
end

-- Ends a key a minute after its record, counted from now: absent is what `now` says, the rest is tidying (R170).
local function expire(key, ends_at)
  redis.call('EXPIRE', key, string.format('%d', math.min(math.max(ends_at - now, 0), 315360000) + 60))
end

-- The same for a sorted set whose scores are ends.
local function expire_set(key)
  local last = redis.call('ZREVRANGE', key, 0, 0, 'WITHSCORES')
  if last[2] then expire(key, tonumber(last[2])) end
end
