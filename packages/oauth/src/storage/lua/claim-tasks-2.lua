-- Claims tasks that are due, longest due first; the claim sent again gets the same ones (R164).
--
-- KEYS[1] tasks of the queue by when they are due
-- KEYS[2] tasks of the queue
-- ARGV[1] deadline, milliseconds of Redis's own clock
-- ARGV[2] now, seconds
-- ARGV[3] owner
-- ARGV[4] until when nobody else gets them, seconds
-- ARGV[5] how many at most
-- Result  {'claimed', "due:end:written by:record" of each} {'late'}
-- include: step
-- include: tasks
if is_late() then return { 'late' } end
local until_at = tonumber(ARGV[4])
local result = { 'claimed' }
for _, field in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], until_at, until_at)) do
  local task = find(field)
  if task and task.written_by == ARGV[3] then table.insert(result, redis.call('HGET', KEYS[2], field)) end
end
if #result > 1 then return result end
for _, field in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, tonumber(ARGV[5]))) do
  local task = find(field)
  if task then
    write(field, until_at, task.ends_at, ARGV[3], task.record)
    table.insert(result, redis.call('HGET', KEYS[2], field))
  else
    -- Ended before anybody got to it.
    remove(field)
  end
end
return result
