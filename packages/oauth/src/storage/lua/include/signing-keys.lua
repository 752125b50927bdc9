-- Signing keys of a tenant: one hash, with these fields for each kid: order → "sequence:retires at", the sealed
-- private key, the rest as one record, and the operation that retired it.
local function find_key(kid)
  local order = redis.call('HGET', KEYS[1], 'order:' .. kid)
  if not order then return nil end
  local sequence, retires_at = string.match(order, '^(%d+):(%d+)$')
  if not sequence then return nil end
  retires_at = tonumber(retires_at)
  if retires_at ~= 0 and retires_at <= now then return nil end
  return { sequence = tonumber(sequence), retires_at = retires_at }
end

local function put_order(kid, sequence, retires_at)
  redis.call('HSET', KEYS[1], 'order:' .. kid, string.format('%d:%d', sequence, retires_at))
end
