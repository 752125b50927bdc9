-- Writes a task, over the one that is there only when asked to. The same write sent again counts once (R164).
--
-- KEYS[1] tasks of the queue by when they are due
-- KEYS[2] tasks of the queue
-- ARGV[1] deadline, milliseconds of Redis's own clock
-- ARGV[2] now, seconds
-- ARGV[3] which task
-- ARGV[4] when it is due, seconds
-- ARGV[5] end, seconds
-- ARGV[6] what names the write
-- ARGV[7] record
-- ARGV[8] 1 replaces
-- Result  {'stored' | 'exists'} {'late'}
-- include: step
-- include: tasks
if is_late() then return { 'late' } end
local before = find(ARGV[3])
if before and before.written_by == ARGV[6] then return { 'stored' } end
if before and ARGV[8] == '0' then return { 'exists' } end
write(ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6], ARGV[7])
return { 'stored' }
