-- Sets when a signing key leaves; an end that was set before can be brought forward, not put off.
--
-- KEYS[1] signing keys
-- ARGV[1] deadline, milliseconds of Redis's own clock
-- ARGV[2] now, seconds
-- ARGV[3] kid
-- ARGV[4] when it retires, seconds
-- Result  {'retired' | 'already' | 'unknown'} {'late'}
-- include: step
-- include: signing-keys
if is_late() then return { 'late' } end
local key = find_key(ARGV[3])
if not key then return { 'unknown' } end
local retires_at = tonumber(ARGV[4])
if key.retires_at ~= 0 and key.retires_at <= retires_at then return { 'already' } end
put_order(ARGV[3], key.sequence, retires_at)
return { 'retired' }
