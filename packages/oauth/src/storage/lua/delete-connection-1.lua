-- Deletes a connection; its generation is remembered for longer than any refresh is under way (R180).
--
-- KEYS[1] connections of the user
-- ARGV[1] deadline, milliseconds of Redis's own clock
-- ARGV[2] now, seconds
-- ARGV[3] which connection
-- ARGV[4] until when its generation is remembered, seconds
-- Result  {'deleted'} {'late'}
-- include: step
-- include: connections
if is_late() then return { 'late' } end
local generation, record = parse(redis.call('HGET', KEYS[1], ARGV[3]))
if generation and record ~= '' then write(ARGV[3], generation, ARGV[4], '') end
return { 'deleted' }
