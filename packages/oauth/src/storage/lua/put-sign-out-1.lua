-- Remembers up to when what was begun in a browser is over: the latest time that was ever named.
--
-- KEYS[1] mark: "at:end"
-- ARGV[1] deadline, milliseconds of Redis's own clock
-- ARGV[2] now, seconds
-- ARGV[3] up to when, seconds
-- ARGV[4] end of the mark, seconds
-- Result  {'stored'} {'late'}
-- include: step
if is_late() then return { 'late' } end
local at, ends_at = tonumber(ARGV[3]), tonumber(ARGV[4])
local known_at, known_end = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+):(%d+)$')
if known_at and tonumber(known_end) > now then
  at, ends_at = math.max(at, tonumber(known_at)), math.max(ends_at, tonumber(known_end))
end
redis.call('SET', KEYS[1], string.format('%d:%d', at, ends_at))
expire(KEYS[1], ends_at)
return { 'stored' }
