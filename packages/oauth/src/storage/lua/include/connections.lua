-- Connections of one user: one hash, field → "generation:end:record". A deleted one keeps its generation for a while,
-- with no record, so that no generation is used twice (R180).
local function parse(value)
  if not value then return nil end
  local generation, ends_at, record = string.match(value, '^(%d+):(%d+):(.*)$')
  if not generation or tonumber(ends_at) <= now then return nil end
  return tonumber(generation), record
end

local function write(field, generation, ends_at, record)
  redis.call('HSET', KEYS[1], field, string.format('%d', generation) .. ':' .. ends_at .. ':' .. record)
  -- Drops what has ended; the hash lives as long as the last of them.
  local all = redis.call('HGETALL', KEYS[1])
  local last = 0
  for i = 1, #all, 2 do
    local ends = tonumber(string.match(all[i + 1], '^%d+:(%d+):'))
    if not ends or ends <= now - 60 then redis.call('HDEL', KEYS[1], all[i])
    else last = math.max(last, ends) end
  end
  if last > 0 then expire(KEYS[1], last) end
end
