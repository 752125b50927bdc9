-- Writes or deletes a task, unless somebody else has written it. The same write sent again counts once (R164).
--
-- KEYS[1] tasks of the queue by when they are due
-- KEYS[2] tasks of the queue
-- ARGV[1] deadline, milliseconds of Redis's own clock
-- ARGV[2] now, seconds
-- ARGV[3] which task
-- ARGV[4] what names the write it must be at
-- ARGV[5] what names this one; empty: the task is deleted, and there is nothing after it
-- ARGV[6] when it is due, seconds
-- ARGV[7] end, seconds
-- ARGV[8] record
-- Result  {'replaced' | 'stale'} {'late'}
-- include: step
-- include: tasks
if is_late() then return { 'late' } end
local before = find(ARGV[3])
if not before then return { ARGV[5] == '' and 'replaced' or 'stale' } end
if before.written_by == ARGV[5] then return { 'replaced' } end
if before.written_by ~= ARGV[4] then return { 'stale' } end
if ARGV[5] == '' then remove(ARGV[3])
else write(ARGV[3], tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[5], ARGV[8]) end
return { 'replaced' }
