-- Claims a lease unless another owner holds it; the claim sent again succeeds again (R164).
--
-- KEYS[1] lease: "end:1 when the one before was not released:owner"
-- ARGV[1] deadline, milliseconds of Redis's own clock
-- ARGV[2] now, seconds
-- ARGV[3] owner
-- ARGV[4] end, seconds
-- ARGV[5] 1 takes over from an owner that did not release it
-- ARGV[6] how long it is remembered that it was not released, seconds
-- Result  {'claimed', 1 when it was taken over} {'held', end} {'abandoned'} {'late'}
-- include: step
if is_late() then return { 'late' } end
local ends_at, was_taken_over, owner = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+):([01]):(.*)$')
if ends_at and tonumber(ends_at) + tonumber(ARGV[6]) <= now then ends_at = nil end
if ends_at and owner == ARGV[3] then return { 'claimed', tonumber(was_taken_over) } end
if ends_at and tonumber(ends_at) > now then return { 'held', tonumber(ends_at) } end
if ends_at and ARGV[5] == '0' then return { 'abandoned' } end
local taken_over = ends_at and 1 or 0
redis.call('SET', KEYS[1], ARGV[4] .. ':' .. taken_over .. ':' .. ARGV[3])
expire(KEYS[1], tonumber(ARGV[4]) + tonumber(ARGV[6]))
return { 'claimed', taken_over }
