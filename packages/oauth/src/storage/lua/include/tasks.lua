-- Tasks of one queue: a hash, field → "due:end:written by:record", and a sorted set of the fields by when they are due.
local function parse(value)
  if not value then return nil end
  local due_at, ends_at, written_by, record = string.match(value, '^(%d+):(%d+):([^:]*):(.*)$')
  if not due_at or tonumber(ends_at) <= now then return nil end
  return { due_at = tonumber(due_at), ends_at = tonumber(ends_at), written_by = written_by, record = record }
end

local function find(field)
  return parse(redis.call('HGET', KEYS[2], field))
end

-- Other tasks may end later than this one, so an end is never brought forward.
local function extend(key, ends_at)
  if redis.call('PTTL', key) < (ends_at - now + 60) * 1000 then expire(key, ends_at) end
end

local function write(field, due_at, ends_at, written_by, record)
  redis.call('HSET', KEYS[2], field, string.format('%d:%d:', due_at, ends_at) .. written_by .. ':' .. record)
  redis.call('ZADD', KEYS[1], due_at, field)
  extend(KEYS[1], ends_at)
  extend(KEYS[2], ends_at)
end

local function remove(field)
  redis.call('ZREM', KEYS[1], field)
  redis.call('HDEL', KEYS[2], field)
end
