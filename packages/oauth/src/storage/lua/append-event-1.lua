-- Keeps an event of a stream, and of the stream no more than the last few. The same event sent again counts once (R164).
--
-- KEYS[1] events of the stream: sorted set of "position:end:sealed" by position
-- ARGV[1] deadline, milliseconds of Redis's own clock
-- ARGV[2] now, seconds
-- ARGV[3] position
-- ARGV[4] end, seconds
-- ARGV[5] event, sealed
-- ARGV[6] how many are kept
-- Result  {'kept'} {'late'}
-- include: step
if is_late() then return { 'late' } end
local position = tonumber(ARGV[3])
if redis.call('ZCOUNT', KEYS[1], position, position) == 0 then
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', position - tonumber(ARGV[6]))
  redis.call('ZADD', KEYS[1], position, ARGV[3] .. ':' .. ARGV[4] .. ':' .. ARGV[5])
end
expire(KEYS[1], tonumber(ARGV[4]))
return { 'kept' }
