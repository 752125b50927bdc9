-- Writes only over the generation the caller started from. The same write sent again counts once (R164).
--
-- KEYS[1] circuit: "generation:end:record"
-- ARGV[1] deadline, milliseconds of Redis's own clock
-- ARGV[2] now, seconds
-- ARGV[3] end, seconds
-- ARGV[4] record
-- ARGV[5] generation it must be at, 0 for none
-- Result  {'replaced' | 'stale'} {'late'}
-- include: step
if is_late() then return { 'late' } end
local expected = tonumber(ARGV[5])
local generation, ends_at, record = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+):(%d+):(.*)$')
generation = generation and tonumber(ends_at) > now and tonumber(generation) or 0
if generation == expected then
  redis.call('SET', KEYS[1], string.format('%d', generation + 1) .. ':' .. ARGV[3] .. ':' .. ARGV[4])
  expire(KEYS[1], tonumber(ARGV[3]))
  return { 'replaced' }
end
if generation == expected + 1 and record == ARGV[4] then return { 'replaced' } end
return { 'stale' }
