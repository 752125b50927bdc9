-- Writes a connection the user has just made, over whatever was there. The same write sent again counts once (R164).
--
-- KEYS[1] connections of the user
-- ARGV[1] deadline, milliseconds of Redis's own clock
-- ARGV[2] now, seconds
-- ARGV[3] which connection
-- ARGV[4] end, seconds
-- ARGV[5] record
-- Result  {'stored', generation} {'late'}
-- include: step
-- include: connections
if is_late() then return { 'late' } end
local generation, record = parse(redis.call('HGET', KEYS[1], ARGV[3]))
if generation and record == ARGV[5] then return { 'stored', generation } end
generation = (generation or 0) + 1
write(ARGV[3], generation, ARGV[4], ARGV[5])
return { 'stored', generation }
