-- Marks an id as used, once (R163); the claim sent again succeeds again (R164).
--
-- KEYS[1] mark
-- ARGV[1] deadline, milliseconds of Redis's own clock
-- ARGV[2] now, seconds
-- ARGV[3] operation id
-- ARGV[4] end, seconds
-- Result  {'claimed' | 'used'} {'late'}
-- include: step
if is_late() then return { 'late' } end
local known = redis.call('GET', KEYS[1])
if known then
  local ends_at, operation = string.match(known, '^(%d+):(.*)$')
  -- An unreadable mark is still a mark: whoever can spoil it must not get a second use out of it.
  if not ends_at or tonumber(ends_at) > now then
    if operation == ARGV[3] then return { 'claimed' } end
    return { 'used' }
  end
end
redis.call('SET', KEYS[1], ARGV[4] .. ':' .. ARGV[3])
expire(KEYS[1], tonumber(ARGV[4]))
return { 'claimed' }
