-- Keeps that a session follows something, or that it does no more. The same sent again counts once (R164).
--
-- KEYS[1] what the session follows: hash, field -> "end:sealed"
-- ARGV[1] deadline, milliseconds of Redis's own clock
-- ARGV[2] now, seconds
-- ARGV[3] field
-- ARGV[4] what it follows, sealed; empty: no more
-- ARGV[5] end of the session, seconds
-- ARGV[6] how many there may be
-- Result  {'stored'} {'full'} {'late'}
-- include: step
if is_late() then return { 'late' } end
if ARGV[4] == '' then
  redis.call('HDEL', KEYS[1], ARGV[3])
  return { 'stored' }
end
if redis.call('HEXISTS', KEYS[1], ARGV[3]) == 0 and #redis.call('HKEYS', KEYS[1]) >= tonumber(ARGV[6]) then
  return { 'full' }
end
redis.call('HSET', KEYS[1], ARGV[3], ARGV[5] .. ':' .. ARGV[4])
expire(KEYS[1], tonumber(ARGV[5]))
return { 'stored' }
