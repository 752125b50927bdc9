-- Marks a user as disabled, or takes the mark away.
--
-- KEYS[1] mark
-- ARGV[1] deadline, milliseconds of Redis's own clock
-- ARGV[2] now, seconds
-- ARGV[3] end, seconds; '' takes the mark away
-- Result  {'stored'} {'late'}
-- include: step
if is_late() then return { 'late' } end
if ARGV[3] == '' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[3])
  expire(KEYS[1], tonumber(ARGV[3]))
end
return { 'stored' }
