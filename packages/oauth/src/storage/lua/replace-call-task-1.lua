-- Writes a task only over the generation the writer started from. The same write sent again counts once (R164). A task
-- keeps the end it was made with.
--
-- KEYS[1] task: "generation:end:sealed"
-- ARGV[1] deadline, milliseconds of Redis's own clock
-- ARGV[2] now, seconds
-- ARGV[3] task, sealed
-- ARGV[4] generation it must be at
-- Result  {'replaced' | 'stale'} {'late'}
-- include: step
if is_late() then return { 'late' } end
local expected = tonumber(ARGV[4])
local generation, ends_at, sealed = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+):(%d+):(.*)$')
if not generation or tonumber(ends_at) <= now then return { 'stale' } end
generation = tonumber(generation)
if generation == expected then
  redis.call('SET', KEYS[1], string.format('%d', generation + 1) .. ':' .. ends_at .. ':' .. ARGV[3])
  expire(KEYS[1], tonumber(ends_at))
  return { 'replaced' }
end
if generation == expected + 1 and sealed == ARGV[3] then return { 'replaced' } end
return { 'stale' }
