-- Adds a signing key, unless another one has become the newest meanwhile.
--
-- KEYS[1] signing keys
-- ARGV[1] deadline, milliseconds of Redis's own clock
-- ARGV[2] now, seconds
-- ARGV[3] kid
-- ARGV[4] when it retires, seconds; 0 while nothing has replaced it
-- ARGV[5] sealed private key
-- ARGV[6] record
-- ARGV[7] kid of the newest key the caller knows of, '' for none
-- ARGV[8] life of the hash when nobody uses it, seconds
-- Result  {'stored' | 'stale'} {'late'}
-- include: step
-- include: signing-keys
if is_late() then return { 'late' } end
local newest, last, ended = '', 0, {}
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  local kid = string.match(field, '^order:(.*)$')
  if kid then
    local key = find_key(kid)
    if not key then
      ended[#ended + 1] = kid
    elseif key.sequence > last then
      newest, last = kid, key.sequence
    end
  end
end
if newest == ARGV[3] then return { 'stored' } end
if newest ~= ARGV[7] then return { 'stale' } end
local own = find_key(ARGV[3])
put_order(ARGV[3], own and own.sequence or last + 1, tonumber(ARGV[4]))
redis.call('HSET', KEYS[1], 'sealed:' .. ARGV[3], ARGV[5], 'record:' .. ARGV[3], ARGV[6])
redis.call('EXPIRE', KEYS[1], ARGV[8])
for _, kid in ipairs(ended) do
  if kid ~= ARGV[3] then
    redis.call('HDEL', KEYS[1], 'order:' .. kid, 'sealed:' .. kid, 'record:' .. kid, 'retired:' .. kid)
  end
end
return { 'stored' }
