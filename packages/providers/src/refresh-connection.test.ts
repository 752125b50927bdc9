import { ConnectionRequiredError, ProviderUnavailableError } from '@sallyport/mcp-server'
import { createMemoryStore, StoreUnavailableError } from '@sallyport/oauth'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { gate } from './gate.fixture.ts'
import {
  type Answer,
  type FakeUpstream,
  type SeenRequest,
  startFakeUpstream,
} from './testing/fake-upstream.ts'
import {
  createHarness,
  createTestClock,
  type Harness,
  providerAt,
  type TestClock,
  user,
} from './testing/harness.ts'

const calendar = 'https://www.googleapis.com/auth/calendar.readonly'

let clock: TestClock
let upstream: FakeUpstream
let store: ReturnType<typeof createMemoryStore>
let one: Harness

/** Another process on the same store. */
const process = (changes: Partial<Harness['host']> = {}) =>
  createHarness(providerAt.google(upstream.origin), { upstream, clock, host: { store, ...changes } })
let sleptMs = 0
/** What it sleeps passes on the clock of all, and takes no time. */
const sleepless = () =>
  process({
    async sleep(ms) {
      clock.now += Math.floor((sleptMs + ms) / 1000) - Math.floor(sleptMs / 1000)
      sleptMs += ms
    },
  })
/** Its writes of connections fail meanwhile. */
const unluckyWhile = (isDown: () => boolean) =>
  process({
    store: {
      ...store,
      replaceConnection: step =>
        isDown() ? Promise.reject(new StoreUnavailableError('down')) : store.replaceConnection(step),
    },
  })

beforeEach(async () => {
  sleptMs = 0
  clock = createTestClock()
  upstream = await startFakeUpstream(clock)
  store = createMemoryStore()
  one = process()
  await one.connect({ scopes: [calendar], reply: { scope: `openid profile ${calendar}` } })
})
afterEach(() => upstream.close())

const token = async (harness: Harness) => (await harness.connected.token(user, [calendar])).value
const status = (harness = one) => harness.connected.status(user, [calendar])
const stored = async () => (await store.listConnections({ userId: user, now: clock() }))[0]
const refreshes = () =>
  upstream.seen('/token').flatMap(({ form }) => (form.get('grant_type') === 'refresh_token' ? [form] : []))
const errorOf = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    error => error,
  )
const types = (harness: Harness) => harness.events.map(({ type }) => type)

/** An upstream whose refresh tokens work once: the second use of one ends the whole grant. */
function rotating() {
  let current = 1
  let isOver = false
  const answer = ({ form }: SeenRequest): Answer => {
    if (isOver || form.get('refresh_token') !== `refresh-${current}`) {
      isOver = true
      return { status: 400, body: { error: 'invalid_grant' } }
    }
    current++
    return {
      body: { access_token: `access-${current}`, refresh_token: `refresh-${current}`, expires_in: 3600 },
    }
  }
  upstream.script('/token', answer)
  return { answer, isOver: () => isOver }
}

describe('R180: processes on one store', () => {
  it('make one refresh together, however many callers each has, and each gets the new token', async () => {
    rotating()
    const processes = [one, process(), process()]
    for (const round of [2, 3, 4]) {
      clock.now += 4000
      const calls = processes.flatMap(each => Array.from({ length: 50 }, () => token(each)))
      expect(new Set(await Promise.all(calls))).toEqual(new Set([`access-${round}`]))
      expect(refreshes()).toHaveLength(round - 1)
    }
  })

  it('whoever finds a refresh under way serves the token that still works, and does not wait', async () => {
    const { answer } = rotating()
    clock.now += 3400
    upstream.script('/token', async request => {
      expect(await token(sleepless())).toBe('access-1')
      expect(sleptMs).toBe(0)
      return answer(request)
    })
    expect(await token(one)).toBe('access-2')
    expect(refreshes()).toHaveLength(1)
  })

  it('a process that dies with the lease is succeeded when the lease ends', async () => {
    const { answer } = rotating()
    clock.now += 4000
    upstream.script('/token', 'never')
    const dead = token(one)
    await expect.poll(() => refreshes().length).toBe(1)
    upstream.script('/token', answer)
    const begun = clock.now
    expect(await token(sleepless())).toBe('access-2')
    expect(clock.now - begun).toBe(30)
    void dead.catch(() => {})
  })

  it('a process that wakes up past its lease does not use the refresh token any more', async () => {
    rotating()
    const frost = gate()
    let reads = 0
    const frozen = process({
      store: {
        ...store,
        async findConnection(step) {
          // First for the flight, then under the lease; the caller looked at all accounts.
          if (++reads === 2) await frost.pass()
          return store.findConnection(step)
        },
      },
    })
    clock.now += 4000
    const late = token(frozen)
    await frost.reached
    clock.now += 30
    expect(await token(one)).toBe('access-2')
    frost.open()
    expect(await late).toBe('access-2')
    expect(refreshes()).toHaveLength(1)
  })

  it('nor when it read the connection before it was frozen', async () => {
    const { isOver } = rotating()
    const frost = gate()
    let reads = 0
    const frozen = process({
      store: {
        ...store,
        async findCircuit(step) {
          const found = await store.findCircuit(step)
          // The last thing it looks at before it sends.
          if (++reads === 2) await frost.pass()
          return found
        },
      },
    })
    clock.now += 4000
    const late = token(frozen)
    await frost.reached
    clock.now += 30
    expect(await token(one)).toBe('access-2')
    frost.open()
    expect(await late).toBe('access-2')
    expect([refreshes().length, isOver()]).toEqual([1, false])
  })

  it('a reply that comes to a frozen process overwrites no newer generation', async () => {
    const frost = gate()
    const frozen = process({
      store: {
        ...store,
        async replaceConnection(step) {
          await frost.pass()
          return store.replaceConnection(step)
        },
      },
    })
    clock.now += 4000
    upstream.script('/token', { body: { access_token: 'late', refresh_token: 'late', expires_in: 3600 } })
    const late = token(frozen)
    await frost.reached
    clock.now += 30
    upstream.script('/token', { body: { access_token: 'newer', refresh_token: 'newer', expires_in: 3600 } })
    expect(await token(one)).toBe('newer')
    frost.open()
    expect(await late).toBe('newer')
    expect(await token(one)).toBe('newer')
    expect((await stored())?.generation).toBe(2)
  })

  it('R181: a frozen process whose reply is the only good one is given the time the old token has', async () => {
    const { answer, isOver } = rotating()
    const frost = gate()
    clock.now += 3400
    upstream.script('/token', async request => {
      const reply = answer(request)
      await frost.pass()
      return reply
    })
    const late = token(one)
    await frost.reached
    // Long past the lease, the others do not try a refresh token that may have been used.
    clock.now += 100
    expect(await token(process())).toBe('access-1')
    frost.open()
    expect(await late).toBe('access-2')
    expect(await token(process())).toBe('access-2')
    expect([refreshes().length, isOver()]).toEqual([1, false])
  })

  it('R181: a reply lost with its process ends as "connect again", and connecting again is all it takes', async () => {
    const { answer } = rotating()
    clock.now += 4000
    upstream.script('/token', request => {
      answer(request)
      // The process is gone before this arrives.
      return new Promise<Answer>(() => {})
    })
    void token(one).catch(() => {})
    await expect.poll(() => refreshes().length).toBe(1)
    upstream.script('/token', answer)
    const other = sleepless()
    expect(await errorOf(token(other))).toBeInstanceOf(ConnectionRequiredError)
    expect(await stored()).toMatchObject({ state: 'dead', endReason: 'lost' })
    expect(await status()).toMatchObject({ state: 'needs_consent', nextAttemptAt: undefined })
    expect(other.events).toContainEqual({
      type: 'connection_changed',
      userId: user,
      provider: 'google',
      account: (await stored())?.account,
      condition: 'needs_consent',
    })
    await other.connect({ scopes: [calendar], reply: { access_token: 'again', scope: calendar } })
    expect(await token(other)).toBe('again')
    expect(await status()).toMatchObject({ state: 'active' })
  })

  it('R181: while a reply waits for the store, no other process uses its refresh token', async () => {
    rotating()
    let isDown = false
    const unlucky = unluckyWhile(() => isDown)
    clock.now += 3400
    isDown = true
    expect(await errorOf(token(unlucky))).toBeInstanceOf(StoreUnavailableError)
    clock.now += 60
    expect(await token(one)).toBe('access-1')
    isDown = false
    expect(await token(unlucky)).toBe('access-2')
    clock.now += 3500
    expect(await token(one)).toBe('access-3')
    expect(refreshes()).toHaveLength(2)
  })

  it('R180: a reply that waits for the store does not come back over what the user connected meanwhile', async () => {
    let isDown = true
    const unlucky = unluckyWhile(() => isDown)
    clock.now += 4000
    upstream.script('/token', { body: { access_token: 'late', refresh_token: 'late', expires_in: 3600 } })
    expect(await errorOf(token(unlucky))).toBeInstanceOf(StoreUnavailableError)
    isDown = false
    const reply = { access_token: 'again', refresh_token: 'again', scope: calendar }
    await one.connect({ scopes: [calendar], reply })
    clock.now += 3500
    upstream.script('/token', { body: { access_token: 'newest', expires_in: 3600 } })
    expect(await token(unlucky)).toBe('newest')
    expect(refreshes().map(form => form.get('refresh_token'))).toEqual(['refresh-1', 'again'])
  })

  it('callers do not wait for ever', async () => {
    clock.now += 4000
    store.claimLease = async () => ({ outcome: 'held', endsAt: clock() + 30 })
    const other = sleepless()
    const begun = clock.now
    expect(await errorOf(token(other))).toBeInstanceOf(ProviderUnavailableError)
    expect(clock.now - begun).toBe(35)
    expect(refreshes()).toHaveLength(0)
  })

  it('R182: what one process learned of a provider in trouble holds for the others', async () => {
    clock.now += 4000
    upstream.script('/token', { status: 429, headers: { 'retry-after': '120' } })
    expect(await errorOf(token(one))).toMatchObject({ retryAfterSeconds: 120 })
    expect(await errorOf(token(process()))).toMatchObject({ retryAfterSeconds: 120 })
    expect(refreshes()).toHaveLength(1)
  })
})

describe('a refresh without a caller', () => {
  const keepFresh = (harness: Harness, aheadSeconds: number) =>
    harness.connected.keepFresh(user, aheadSeconds)

  it('renews a token before it is stale, once for all processes', async () => {
    rotating()
    clock.now += 3000
    expect(await keepFresh(one, 200)).toMatchObject({ state: 'active' })
    expect(refreshes()).toHaveLength(0)
    const processes = [one, process(), process()]
    await Promise.all(processes.map(each => keepFresh(each, 600)))
    expect(refreshes()).toHaveLength(1)
    expect(await token(one)).toBe('access-2')
  })

  it('says how the connection does instead of throwing', async () => {
    expect(await process().connected.keepFresh('nobody', 600)).toBeUndefined()
    clock.now += 4000
    upstream.script('/token', { status: 503 })
    expect(await keepFresh(one, 0)).toMatchObject({ state: 'degraded', lastErrorClass: 'transient' })
    clock.now += 60
    upstream.script('/token', { status: 400, body: { error: 'invalid_grant' } })
    expect(await keepFresh(one, 0)).toMatchObject({ state: 'revoked' })
  })
})

describe('how a connection does', () => {
  it('is told to tools: from working to failing, and back', async () => {
    expect(await status()).toEqual({
      state: 'active',
      scopes: ['openid', 'profile', calendar],
      missingScopes: [],
      lastSuccessAt: clock.now,
      lastErrorClass: undefined,
      lastErrorAt: undefined,
      nextAttemptAt: undefined,
      consentEndsAt: undefined,
    })
    const connectedAt = clock.now
    clock.now += 3400
    upstream.script('/token', { status: 503 })
    expect(await token(one)).toBe('access-1')
    expect(await status()).toMatchObject({
      state: 'degraded',
      lastSuccessAt: connectedAt,
      lastErrorClass: 'transient',
      lastErrorAt: clock.now,
      nextAttemptAt: clock.now + 1,
    })
    clock.now += 1
    upstream.script('/token', { body: { access_token: 'access-2', expires_in: 3600 } })
    expect(await token(one)).toBe('access-2')
    expect(await status()).toMatchObject({
      state: 'active',
      lastSuccessAt: clock.now,
      lastErrorAt: undefined,
    })
    const about = { userId: user, provider: 'google', account: (await stored())?.account }
    expect(one.events.filter(({ type }) => type === 'connection_changed')).toEqual([
      {
        ...about,
        type: 'connection_changed',
        condition: 'degraded',
        errorClass: 'transient',
        nextAttemptAt: clock.now,
      },
      { ...about, type: 'connection_changed', condition: 'active' },
    ])
  })

  it.each([
    ['invalid_client', 'misconfigured'],
    ['invalid_grant', 'revoked'],
    ['interaction_required', 'needs_consent'],
    ['something_new', 'degraded'],
  ])('after %s it is %s', async (error, state) => {
    clock.now += 4000
    upstream.script('/token', { status: 400, body: { error } })
    await errorOf(token(one))
    expect(await status()).toMatchObject({ state })
    expect(one.events.at(-1)?.type === 'connection_ended').toBe(
      state === 'revoked' || state === 'needs_consent',
    )
  })

  it('a scope that a tool misses is remembered until it is granted, and told to that tool', async () => {
    const needed = [calendar, 'mail']
    expect(await errorOf(one.connected.token(user, needed))).toMatchObject({ reason: 'missing_scope' })
    expect(await stored()).toMatchObject({ missingScopes: ['mail'], generation: 2 })
    expect(await errorOf(one.connected.token(user, needed))).toMatchObject({ reason: 'missing_scope' })
    expect((await stored())?.generation, 'written once').toBe(2)
    expect(await one.connected.status(user, needed)).toMatchObject({
      state: 'needs_consent',
      missingScopes: ['mail'],
    })
    expect(await status(), 'another tool does not need it').toMatchObject({
      state: 'active',
      missingScopes: [],
    })

    clock.now += 4000
    upstream.script('/token', { body: { access_token: 'access-2', expires_in: 3600 } })
    await token(one)
    expect(await stored()).toMatchObject({ missingScopes: ['mail'] })
    await one.connect({ scopes: needed, reply: { scope: needed.join(' ') } })
    expect(await stored()).not.toHaveProperty('missingScopes')
  })

  it('without a connection, or with one whose secret is gone, the user is needed', async () => {
    expect(await one.connected.status('nobody', [calendar])).toMatchObject({
      state: 'needs_consent',
      missingScopes: [calendar],
    })
    const { generation: _, ...record } = (await stored())!
    await store.putConnection({ record: { ...record, sealed: 's1.foreign' }, now: clock() })
    expect(await status()).toMatchObject({ state: 'needs_consent' })
  })

  it('one that only the user can renew is expiring in its last week, and then ended', async () => {
    await one.connect({
      scopes: [calendar],
      reply: { scope: calendar, refresh_token_expires_in: 30 * 86_400 },
    })
    const connectedAt = clock.now
    expect(await status()).toMatchObject({ state: 'active', consentEndsAt: connectedAt + 30 * 86_400 })
    clock.now += 23 * 86_400
    expect(await status()).toMatchObject({ state: 'expiring' })
    clock.now += 7 * 86_400
    expect(await status()).toMatchObject({ state: 'needs_consent' })
    expect(await errorOf(token(one))).toMatchObject({ reason: 'dead' })
    expect(await stored()).toMatchObject({ endReason: 'expired' })
  })

  it('while a provider is left alone, whoever needs it is degraded and knows until when', async () => {
    const others = ['user-2', 'user-3', 'user-4', 'user-5', 'user-6']
    for (const userId of others) await one.connect({ userId, scopes: [calendar] })
    clock.now += 4000
    upstream.script('/token', { status: 500 })
    for (const userId of others) await errorOf(one.connected.token(userId, []))
    expect(types(one)).toContain('circuit_opened')
    expect(await status()).toMatchObject({ state: 'degraded', nextAttemptAt: clock.now + 1 })
    const before = refreshes().length
    expect(await errorOf(token(one))).toMatchObject({ retryAfterSeconds: 1 })
    expect(refreshes()).toHaveLength(before)
  })
})
