-- Sets when a signing key leaves; an end that was set before can be brought forward, not put off.
--
-- KEYS[1] signing keys
-- ARGV[1] deadline, milliseconds of Redis's own clock
-- ARGV[2] now, seconds
-- ARGV[3] kid
-- ARGV[4] when it retires, seconds
-- ARGV[5] operation id
-- Result  {'retired' | 'already' | 'unknown'} {'late'}
-- include: step
-- include: signing-keys
if is_late() then return { 'late' } end
local key = find_key(ARGV[3])
if not key then return { 'unknown' } end
local retires_at = tonumber(ARGV[4])
if key.retires_at ~= 0 and key.retires_at <= retires_at then
  -- R164: the same step, sent again because its reply was lost.
  local is_own = redis.call('HGET', KEYS[1], 'retired:' .. ARGV[3]) == ARGV[5]
  return { is_own and 'retired' or 'already' }
end
put_order(ARGV[3], key.sequence, retires_at)
redis.call('HSET', KEYS[1], 'retired:' .. ARGV[3], ARGV[5])
return { 'retired' }
