-- Outcomes of steps, kept for two minutes: the same step sent again gets the same one (R164).
local function earlier_outcome(key)
  local known = redis.call('HMGET', key, 'outcome', 'replay')
  return known[1], known[2] or ''
end

local function remember(key, outcome, replay)
  redis.call('HSET', key, 'outcome', outcome, 'replay', replay or '')
  redis.call('EXPIRE', key, 120)
end
