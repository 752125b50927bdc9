-- Gives a lease back, if it is still the caller's: compare and delete.
--
-- KEYS[1] lease
-- ARGV[1] deadline, milliseconds of Redis's own clock
-- ARGV[2] now, seconds
-- ARGV[3] owner
-- Result  {'released'} {'late'}
-- include: step
if is_late() then return { 'late' } end
if string.match(redis.call('GET', KEYS[1]) or '', '^%d+:[01]:(.*)$') == ARGV[3] then redis.call('DEL', KEYS[1]) end
return { 'released' }
