-- The gatekeeper's book. One script, so that looking and writing are one step for every process and machine.
--
-- A *scope* is what shares limits: the whole account, or one operation class with rates of its own. It has
--   state    hash: closed_until, pace, pacing marks, round trips seen lately
--   flying   calls under way, scored by the instant they entered
--   promised reservations not yet taken up, scored by the instant they were promised
-- and for every rate a set of answered calls, scored by the instant they stop counting.
--
-- KEYS  per scope: state, flying, promised, then one set per window that has a period
-- ARGV  verb, now ('' = Redis TIME), id, span, since, lease, then per scope: number of windows and for each of them
--       permits, period, spacing. All times are whole microseconds.

local SECOND = 1e6
local GRACE = 2 * SECOND         -- so did a reservation this much past its instant
local SHORT = 60 * SECOND        -- longer windows (a day's quota) survive a flushed Redis by luck only
local DRIFT = 1.0005             -- two machines' clocks may run apart by 500 ppm while one is being slewed
local EPOCH = 60 * SECOND        -- the least round trip is taken over this minute and the one before
local TRUSTED = 10               -- round trips seen before any credit is given
local EVEN = 10 * SECOND         -- at full pace calls are spread out within windows up to this
local RECOVERY = 0.05 / (5 * SECOND)
local SLOWER, SLOWEST = 0.7, 0.05
local BRIEF = 500                -- no sleep is worth less than this
local REFUSED, PROMISED, ENTERED = 0, 1, 2

local verb, now, id = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local span, since = tonumber(ARGV[4]), tonumber(ARGV[5])
local LEASE = tonumber(ARGV[6])   -- a call not heard of for so long belonged to a process that died
if not now then
  local time = redis.call('TIME')
  now = time[1] * SECOND + time[2]
end

local function whole(number) return string.format('%.0f', number) end

-- What is known of round trips in this scope: how many, their sum, the least.
local function recall_round_trips(scope)
  local state, epoch = scope.state, math.floor(now / EPOCH)
  local age = epoch - (state.epoch or epoch)
  local recent = {count = state.count or 0, sum = state.sum or 0, least = state.least or math.huge}
  local older = {count = state.count_before or 0, sum = state.sum_before or 0, least = state.least_before or math.huge}
  local nothing = {count = 0, sum = 0, least = math.huge}
  if age == 1 then recent, older = nothing, recent elseif age ~= 0 then recent, older = nothing, nothing end
  scope.epoch, scope.recent, scope.older = epoch, recent, older
end

local function least_round_trip(scope)
  local least = math.min(scope.recent.least, scope.older.least)
  return least < math.huge and least or 0
end

local function mean_round_trip(scope)
  local count = scope.recent.count + scope.older.count
  return count > 0 and (scope.recent.sum + scope.older.sum) / count or 0
end

-- How much before `answered + period` a slot may be used again: the least a round trip takes. The margin is what
-- the least of `count` round trips may still be above the true least. None where the vendor complained lately.
local function credit(scope)
  local count, least = scope.recent.count + scope.older.count, least_round_trip(scope)
  if scope.pace < 1 or count < TRUSTED then return 0 end
  return math.max(0, 0.9 * least - 5 * (mean_round_trip(scope) - least) / count)
end

local function hold(scope, window) return math.max(0, window.period * DRIFT - credit(scope)) end

local function read_scopes()
  local scopes, key, arg = {}, 1, 7
  while ARGV[arg] do
    local scope = {keys = {KEYS[key], KEYS[key + 1], KEYS[key + 2]}, state = {}, windows = {}, longest = 0}
    key = key + 3
    local fields = redis.call('HGETALL', scope.keys[1])
    for i = 1, #fields, 2 do scope.state[fields[i]] = tonumber(fields[i + 1]) end
    scope.closed_until = scope.state.closed_until or 0
    scope.pace = math.min(1, (scope.state.pace or 1) + RECOVERY * math.max(0, now - (scope.state.paced_at or now)))
    recall_round_trips(scope)
    for _ = 1, tonumber(ARGV[arg]) do
      local window = {permits = tonumber(ARGV[arg + 1]), period = tonumber(ARGV[arg + 2])}
      window.spacing = tonumber(ARGV[arg + 3]) / scope.pace
      if window.period > 0 then
        window.key, key = KEYS[key], key + 1
        scope.keys[#scope.keys + 1] = window.key
        scope.longest = math.max(scope.longest, window.period)
      else
        window.permits = math.max(1, math.floor(window.permits * scope.pace))
      end
      -- At full pace lost time may be caught up; after a complaint every call keeps its distance.
      local evenly = window.period > 0 and window.period <= EVEN
      window.tolerance = scope.pace < 1 and 0 or (evenly and window.period / 4 or math.huge)
      window.mark = 'mark:' .. whole(window.period)
      scope.windows[#scope.windows + 1] = window
      arg = arg + 3
    end
    arg = arg + 1
    scopes[#scopes + 1] = scope
  end
  return scopes
end

local scopes = read_scopes()

local function keep(scope)
  local spare = scope.longest + 4 * LEASE + math.max(0, scope.closed_until - now)
  for _, key in ipairs(scope.keys) do redis.call('PEXPIRE', key, whole(spare / 1000)) end
end

local function tidy(scope)
  local flying, promised = scope.keys[2], scope.keys[3]
  for _, dead in ipairs(redis.call('ZRANGEBYSCORE', flying, '-inf', whole(now - LEASE))) do
    local entered = redis.call('ZSCORE', flying, dead)
    for _, window in ipairs(scope.windows) do
      if window.key then redis.call('ZADD', window.key, whole(entered + LEASE + window.period * DRIFT), dead) end
    end
    redis.call('ZREM', flying, dead)
  end
  redis.call('ZREMRANGEBYSCORE', promised, '-inf', whole(now - GRACE))
  scope.flying = redis.call('ZCARD', flying)
  for _, window in ipairs(scope.windows) do
    window.answered = 0
    if window.key then
      redis.call('ZREMRANGEBYSCORE', window.key, '-inf', whole(now))
      window.answered = redis.call('ZCARD', window.key)
    end
  end
end

-- A process that used the account before this book was begun: Redis was flushed, and the vendor still remembers.
local function notice_lost_book()
  local scope = scopes[1]
  if not scope.state.begun then
    scope.state.begun = now
    redis.call('HSET', scope.keys[1], 'begun', whole(now))
  end
  local unsure = SECOND / 100 + since / 1000  -- `since` was taken on another clock
  if since < 0 or scope.state.begun <= now - since + unsure then return end
  for _, each in ipairs(scopes) do
    for _, window in ipairs(each.windows) do
      if window.period <= SHORT and since < window.period then
        scope.closed_until = math.max(scope.closed_until, scope.state.begun + window.period * DRIFT)
      end
    end
  end
  redis.call('HSET', scope.keys[1], 'closed_until', whole(scope.closed_until))
end

-- How often to look whether a call under way has been answered.
local function soon(scope) return math.max(1000, mean_round_trip(scope) / 16) end

-- The instants at which the first `count` of a window's places come free: answered calls exactly, calls under way
-- and promised ones at the earliest they can, so that nobody sleeps past a free place; asking again corrects it.
local function frees(scope, window, promised, count)
  local free, held, trip = {}, hold(scope, window), least_round_trip(scope)
  local function add(key, shift, at_least)
    if #free >= count then return end
    local rows = redis.call('ZRANGE', key, 0, count - #free - 1, 'WITHSCORES')
    for i = 2, #rows, 2 do free[#free + 1] = math.max(rows[i] + shift, at_least) end
  end
  if window.key then add(window.key, 0, 0) end
  add(scope.keys[2], trip + held, now + held + (held > 0 and 0 or soon(scope)))
  for i = 1, math.min(#promised, count - #free) do free[#free + 1] = promised[i] + trip + held + 1 end
  return free
end

-- The first instant, not before `from`, at which this window has room for one more behind those promised earlier.
local function first_room(scope, window, promised, from)
  local taken = scope.flying + window.answered
  local free = frees(scope, window, promised, taken + #promised - window.permits + 1)
  local due, freed, at = 0, 0, from
  -- Under a cap those who are about to look again go first, or whoever just left would always be the next to enter.
  local early = window.period > 0 and 0 or soon(scope)
  while true do
    while promised[due + 1] and promised[due + 1] <= at + early do due = due + 1 end
    while free[freed + 1] and free[freed + 1] <= at do freed = freed + 1 end
    local paced = 0
    if window.spacing > 0 then
      paced = (scope.state[window.mark] or 0) + due * window.spacing - window.tolerance
    end
    local full = taken + due - freed >= window.permits
    if not full and paced <= at then return at end
    at = math.max(full and free[freed + 1] or at, paced)
  end
end

local function first_slot(promised)
  local slot, before = now, nil
  for _, scope in ipairs(scopes) do slot = math.max(slot, scope.closed_until) end
  repeat
    before = slot
    for i, scope in ipairs(scopes) do
      for _, window in ipairs(scope.windows) do slot = first_room(scope, window, promised[i] or {}, slot) end
    end
  until slot == before
  return slot
end

local function promised_to_others()
  local promised = {}
  for i, scope in ipairs(scopes) do
    promised[i] = {}
    local rows = redis.call('ZRANGE', scope.keys[3], 0, -1, 'WITHSCORES')
    for row = 1, #rows, 2 do
      if rows[row] ~= id then promised[i][#promised[i] + 1] = tonumber(rows[row + 1]) end
    end
  end
  return promised
end

local function enter(scope)
  redis.call('ZREM', scope.keys[3], id)
  redis.call('ZADD', scope.keys[2], whole(now), id)
  for _, window in ipairs(scope.windows) do
    if window.spacing > 0 then
      local ahead = window.tolerance < math.huge and window.tolerance or 0
      local mark = math.min(math.max(scope.state[window.mark] or 0, now), now + ahead) + window.spacing
      redis.call('HSET', scope.keys[1], window.mark, whole(mark))
    end
  end
  keep(scope)
end

local verbs = {}

-- {ENTERED, 0}, {PROMISED, wait}: sleep and ask again, or {REFUSED, wait}: longer than `span`, nothing is kept.
function verbs.ask()
  if redis.call('ZSCORE', scopes[1].keys[2], id) then return {ENTERED, 0} end
  for _, scope in ipairs(scopes) do tidy(scope) end
  notice_lost_book()
  -- Whoever holds a promise takes any place that is free; a newcomer leaves those to the promises that are due.
  local holder = redis.call('ZSCORE', scopes[1].keys[3], id)
  local slot = holder and first_slot({}) or math.huge
  if slot > now then slot = first_slot(promised_to_others()) end
  if slot <= now then
    for _, scope in ipairs(scopes) do enter(scope) end
    return {ENTERED, 0}
  end
  local wait = math.ceil(math.max(slot - now, BRIEF))
  for _, scope in ipairs(scopes) do
    if wait > span then
      redis.call('ZREM', scope.keys[3], id)
    else
      redis.call('ZADD', scope.keys[3], whole(slot), id)
      keep(scope)
    end
  end
  return {wait > span and REFUSED or PROMISED, wait}
end

function verbs.leave()
  for _, scope in ipairs(scopes) do
    local entered, recent, older = redis.call('ZSCORE', scope.keys[2], id), scope.recent, scope.older
    if entered then
      local trip = math.max(0, now - entered)
      recent.count, recent.sum, recent.least = recent.count + 1, recent.sum + trip, math.min(recent.least, trip)
      redis.call('ZREM', scope.keys[2], id)
      redis.call('HSET', scope.keys[1], 'epoch', whole(scope.epoch),
        'count', whole(recent.count), 'sum', whole(recent.sum), 'least', whole(recent.least),
        'count_before', whole(older.count), 'sum_before', whole(older.sum),
        'least_before', older.least < math.huge and whole(older.least) or 'none')
    end
    for _, window in ipairs(scope.windows) do
      local held = entered and hold(scope, window) or window.period * DRIFT
      if window.key then redis.call('ZADD', window.key, whole(now + held), id) end
    end
    keep(scope)
  end
  return {}
end

-- Throttled: the last scope closes for `span`. What was sent before an earlier closing does not count again.
function verbs.close()
  local scope = scopes[#scopes]
  local slow = now >= scope.closed_until and now >= (scope.state.slowed_at or 0) + SECOND
  scope.closed_until = math.max(scope.closed_until, now + span)
  if slow then
    scope.pace = math.max(SLOWEST, scope.pace * SLOWER)
    redis.call('HSET', scope.keys[1], 'slowed_at', whole(now))
    redis.call('HDEL', scope.keys[1], 'epoch', 'count', 'sum', 'least', 'count_before', 'sum_before', 'least_before')
  end
  redis.call('HSET', scope.keys[1], 'closed_until', whole(scope.closed_until),
    'pace', string.format('%.6f', scope.pace), 'paced_at', whole(scope.closed_until))
  keep(scope)
  return {}
end

-- {in flight, used and allowed of the tightest window (-1: no limit), closed for, pace in millionths}
function verbs.usage()
  local used, allowed, closed_for, pace = 0, -1, 0, 1
  for _, scope in ipairs(scopes) do
    tidy(scope)
    closed_for, pace = math.max(closed_for, scope.closed_until - now), math.min(pace, scope.pace)
    for _, window in ipairs(scope.windows) do
      local taken = scope.flying + window.answered
      if window.permits < 1e9 and (allowed < 0 or taken * allowed > used * window.permits) then
        used, allowed = taken, window.permits
      end
    end
  end
  return {scopes[1].flying, used, allowed, math.ceil(closed_for), math.floor(pace * 1e6 + 0.5)}
end

return verbs[verb]()
