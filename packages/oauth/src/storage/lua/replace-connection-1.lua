-- Writes only over the generation the caller started from. The same write sent again counts once (R164).
--
-- KEYS[1] connections of the user
-- ARGV[1] deadline, milliseconds of Redis's own clock
-- ARGV[2] now, seconds
-- ARGV[3] which connection
-- ARGV[4] end, seconds
-- ARGV[5] record
-- ARGV[6] generation it must be at
-- Result  {'replaced' | 'stale'} {'late'}
-- include: step
-- include: connections
if is_late() then return { 'late' } end
local expected = tonumber(ARGV[6])
local generation, record = parse(redis.call('HGET', KEYS[1], ARGV[3]))
if not generation or record == '' then return { 'stale' } end
if generation == expected then
  write(ARGV[3], generation + 1, ARGV[4], ARGV[5])
  return { 'replaced' }
end
if generation == expected + 1 and record == ARGV[5] then return { 'replaced' } end
return { 'stale' }
