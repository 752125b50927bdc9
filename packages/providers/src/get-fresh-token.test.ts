import { inspect } from 'node:util'
import { ConnectionRequiredError, ProviderUnavailableError, ToolError } from '@sallyport/mcp-server'
import { createSealer, createSecretRing, StoreUnavailableError, systemRandom } from '@sallyport/oauth'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Answer, type FakeUpstream, startFakeUpstream } from './testing/fake-upstream.ts'
import {
  createHarness,
  createTestClock,
  discoveryDocument,
  type Harness,
  providerAt,
  secrets,
  type TestClock,
  user,
} from './testing/harness.ts'

const calendar = 'https://www.googleapis.com/auth/calendar.readonly'

let clock: TestClock
let upstream: FakeUpstream
let harness: Harness

beforeEach(async () => {
  clock = createTestClock()
  upstream = await startFakeUpstream(clock)
  harness = createHarness(providerAt.google(upstream.origin), { upstream, clock })
})
afterEach(() => upstream.close())

const token = (scopes: string[] = [calendar], userId = user) => harness.connected.token(userId, scopes)
const connectCalendar = (reply: Record<string, unknown> = {}) =>
  harness.connect({ scopes: [calendar], reply: { scope: `openid profile ${calendar}`, ...reply } })
/** Refresh requests the upstream saw, after the one exchange of `connectCalendar`. */
const refreshes = () =>
  upstream.seen('/token').filter(({ form }) => form.get('grant_type') === 'refresh_token')
const refreshed = (n: number, members: Record<string, unknown> = {}): Answer => ({
  body: { access_token: `access-${n}`, token_type: 'Bearer', expires_in: 3600, ...members },
})
const refusal = (error: string, more: Record<string, unknown> = {}, status = 400): Answer => ({
  status,
  body: { error, error_description: 'upstream words', ...more },
})
const stored = async () => (await harness.store.listConnections({ userId: user, now: clock() }))[0]
/** What every event about the connection says. */
const about = async () => ({ userId: user, provider: 'google', account: (await stored())?.account })
const errorOf = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    error => error,
  )

describe('a tool gets a token that works', () => {
  it('a fresh token is served without a word to the provider', async () => {
    await connectCalendar()
    clock.now += 3600 - 301
    expect((await token()).value).toBe('access-1')
    expect(refreshes()).toHaveLength(0)
  })

  it('R180: 50 parallel calls with an ended token make one refresh request, and all get the new token', async () => {
    await connectCalendar()
    clock.now += 4000
    upstream.script('/token', refreshed(2), refreshed(3))
    const tokens = await Promise.all(Array.from({ length: 50 }, () => token()))
    expect(tokens.map(({ value }) => value)).toEqual(Array(50).fill('access-2'))
    expect(refreshes()).toHaveLength(1)
    expect(refreshes()[0]?.form.get('refresh_token')).toBe('refresh-1')
  })

  it('R181: the old refresh token goes on when a reply brings none', async () => {
    await connectCalendar()
    for (const n of [2, 3]) {
      clock.now += 4000
      upstream.script('/token', refreshed(n))
      expect((await token()).value).toBe(`access-${n}`)
    }
    expect(refreshes().map(({ form }) => form.get('refresh_token'))).toEqual(['refresh-1', 'refresh-1'])
  })

  it('R181: a rotated refresh token is used next', async () => {
    await connectCalendar()
    clock.now += 4000
    upstream.script('/token', refreshed(2, { refresh_token: 'refresh-2' }))
    await token()
    clock.now += 4000
    await token()
    expect(refreshes().map(({ form }) => form.get('refresh_token'))).toEqual(['refresh-1', 'refresh-2'])
  })

  it('R181: the new token is stored before a tool gets it, and a rotated one survives a store that fails at that moment', async () => {
    let isDown = false
    const { store } = harness
    harness = createHarness(providerAt.google(upstream.origin), {
      upstream,
      clock,
      host: {
        store: {
          ...store,
          replaceConnection: step =>
            isDown ? Promise.reject(new StoreUnavailableError('down')) : store.replaceConnection(step),
        },
      },
    })
    await connectCalendar()
    clock.now += 4000
    upstream.script('/token', refreshed(2, { refresh_token: 'refresh-2' }), refusal('invalid_grant'))
    isDown = true
    expect(await errorOf(token())).toBeInstanceOf(StoreUnavailableError)
    isDown = false
    expect((await token()).value).toBe('access-2')
    expect(refreshes()).toHaveLength(1)
  })

  it('R164: a lost answer of the store does not lose the refresh', async () => {
    const { store } = harness
    let lost = 0
    harness = createHarness(providerAt.google(upstream.origin), {
      upstream,
      clock,
      host: {
        store: {
          ...store,
          async replaceConnection(step) {
            const outcome = await store.replaceConnection(step)
            if (lost++ === 0) throw new StoreUnavailableError('the answer was lost')
            return outcome
          },
        },
      },
    })
    await connectCalendar()
    clock.now += 4000
    upstream.script('/token', refreshed(2))
    expect((await token()).value).toBe('access-2')
    expect(harness.events.filter(({ type }) => type === 'connection_refreshed')).toHaveLength(1)
  })

  it('R180: a connection made during a refresh wins over the refresh', async () => {
    await connectCalendar()
    clock.now += 4000
    const reconnect = {
      scopes: [calendar],
      reply: {
        access_token: 'access-new',
        refresh_token: 'refresh-new',
        scope: `openid profile ${calendar}`,
      },
    }
    upstream.script('/token', async () => {
      await harness.connect(reconnect)
      return refreshed(2)
    })
    expect((await token()).value).toBe('access-new')
    expect((await token()).value).toBe('access-new')
  })

  it('R180: a refresh does not bring back a connection the user ended meanwhile', async () => {
    await connectCalendar()
    clock.now += 4000
    upstream.script('/token', async () => {
      await harness.store.deleteConnection({ ...(await stored())!, now: clock() })
      return refreshed(2)
    })
    expect(await errorOf(token())).toMatchObject({ name: 'ConnectionRequiredError', reason: 'not_connected' })
    expect(await stored()).toBeUndefined()
  })

  it('R180: a rotated refresh token is not lost when another process seals the connection again meanwhile', async () => {
    await connectCalendar()
    clock.now += 4000
    upstream.script('/token', async () => {
      const { generation, ...record } = (await stored())!
      await harness.store.replaceConnection({
        record: { ...record, writtenBy: 'another' },
        generation,
        now: clock(),
      })
      return refreshed(2, { refresh_token: 'refresh-2' })
    })
    expect((await token()).value).toBe('access-2')
    clock.now += 4000
    upstream.script('/token', refreshed(3))
    await token()
    expect(refreshes().at(-1)?.form.get('refresh_token')).toBe('refresh-2')
  })

  it('R178: tokens sealed by an older secret are sealed again by the newest', async () => {
    await connectCalendar()
    const ring = createSecretRing(['a third secret, newer than both others', ...secrets])
    const rotated = createHarness(providerAt.google(upstream.origin), {
      upstream,
      clock,
      host: { store: harness.store, sealer: createSealer(ring, systemRandom) },
    })
    const before = await stored()
    expect((await rotated.connected.token(user, [calendar])).value).toBe('access-1')
    const after = await stored()
    expect(after?.sealed.split('.')[1]).toBe(ring.keyIds[0])
    expect(after).toMatchObject({ expiresAt: before?.expiresAt, accessEndsAt: before?.accessEndsAt })
    expect((await rotated.connected.token(user, [calendar])).value).toBe('access-1')
    expect((await stored())?.generation).toBe(after?.generation)
  })
})

describe('what a refusal of the provider costs the user', () => {
  it.each([
    ['dead', refusal('invalid_grant'), 'dead'],
    [
      'session control of a Workspace',
      refusal('invalid_grant', { error_subtype: 'invalid_rapt' }),
      'consent',
    ],
    ['policy of an administrator', refusal('admin_policy_enforced'), 'dead'],
  ])('R182: %s ends the connection, the provider is not asked again', async (_, answer, errorClass) => {
    await connectCalendar()
    clock.now += 4000
    upstream.script('/token', answer)
    for (let call = 0; call < 3; call++) {
      const error = await errorOf(token())
      expect(error).toBeInstanceOf(ConnectionRequiredError)
      expect(error).toMatchObject({ reason: 'dead', scopes: [calendar], provider: 'google' })
      clock.now += 100
    }
    expect(refreshes()).toHaveLength(1)
    expect(await stored()).toMatchObject({ state: 'dead' })
    expect(harness.events).toContainEqual({
      ...(await about()),
      type: 'connection_refresh_failed',
      errorClass,
    })
    expect(harness.events).toContainEqual({ ...(await about()), type: 'connection_ended' })
  })

  it('R180: a dead refresh token does not end the connection when another process has refreshed it meanwhile', async () => {
    await connectCalendar()
    const other = createHarness(providerAt.google(upstream.origin), {
      upstream,
      clock,
      host: { store: harness.store },
    })
    clock.now += 4000
    upstream.script('/token', async ({ form }) => {
      if (form.get('refresh_token') !== 'refresh-1') return refusal('invalid_grant')
      upstream.script('/token', refreshed(2, { refresh_token: 'refresh-2' }))
      // The answer takes so long that the other one no longer waits for it.
      clock.now += 31
      await other.connected.token(user, [calendar])
      return refusal('invalid_grant')
    })
    expect((await token()).value).toBe('access-2')
    expect(await stored()).toMatchObject({ state: 'active' })
  })

  it.each<[string, Answer, string]>([
    ['500', { status: 500, body: 'oops' }, 'transient'],
    ['429', { status: 429 }, 'rate_limited'],
    ['a wrong client secret', refusal('invalid_client', {}, 401), 'misconfigured'],
    ['a deleted client', refusal('deleted_client', {}, 401), 'misconfigured'],
    ['an unknown error', refusal('something_new'), 'unknown'],
    ['HTML with status 200', { body: '<html>maintenance</html>' }, 'unknown'],
    ['a token of another type', { body: { access_token: 'x', token_type: 'mac' } }, 'unknown'],
    ['a token that fits no header', { body: { access_token: 'line\nbreak' } }, 'unknown'],
    ['a redirect', { status: 302, headers: { location: '/elsewhere' } }, 'misconfigured'],
    ['an endless answer', { body: 'x'.repeat(70_000) }, 'transient'],
  ])(
    'R182: %s keeps the connection: the token is served while it lives, then later',
    async (_, answer, errorClass) => {
      await connectCalendar()
      upstream.script('/token', answer)
      clock.now += 3400
      expect((await token()).value).toBe('access-1')
      clock.now += 300
      const error = await errorOf(token())
      expect(error).toBeInstanceOf(ProviderUnavailableError)
      expect(error.retryAfterSeconds).toBeGreaterThan(0)
      expect(inspect(error)).not.toMatch(/upstream words|oops|maintenance|refresh-1|something_new/)
      expect(harness.events.filter(({ type }) => type === 'connection_refresh_failed')).toEqual(
        Array(2).fill({ ...(await about()), type: 'connection_refresh_failed', errorClass }),
      )
      expect(upstream.seen('/elsewhere')).toHaveLength(0)
      upstream.script('/token', refreshed(2))
      clock.now += 60
      expect((await token()).value).toBe('access-2')
    },
  )

  it('R182: no retry storm: the provider is left alone as long as it asks, then longer each time', async () => {
    await connectCalendar()
    clock.now += 4000
    upstream.script('/token', { status: 429, headers: { 'retry-after': '120' } }, { status: 503 })
    expect(await errorOf(token())).toMatchObject({ retryAfterSeconds: 120 })
    clock.now += 119
    expect(await errorOf(token())).toMatchObject({ retryAfterSeconds: 1 })
    expect(refreshes()).toHaveLength(1)
    clock.now += 1
    expect(await errorOf(token())).toMatchObject({ retryAfterSeconds: 2 })
    expect(refreshes()).toHaveLength(2)
    clock.now += 2
    expect(await errorOf(token())).toMatchObject({ retryAfterSeconds: 4 })
  })

  it('R182: Retry-After as a date is understood, one of days is cut to an hour', async () => {
    await connectCalendar()
    clock.now += 4000
    const date = new Date((clock() + 30) * 1000).toUTCString()
    upstream.script(
      '/token',
      { status: 503, headers: { 'retry-after': date } },
      { status: 503, headers: { 'retry-after': '999999' } },
    )
    expect(await errorOf(token())).toMatchObject({ retryAfterSeconds: 30 })
    clock.now += 30
    expect(await errorOf(token())).toMatchObject({ retryAfterSeconds: 3600 })
  })

  it('R182: a provider that cannot be reached is unavailable, not the end of the connection', async () => {
    await connectCalendar()
    clock.now += 4000
    await upstream.close()
    expect(await errorOf(token())).toBeInstanceOf(ProviderUnavailableError)
    expect(await stored()).toMatchObject({ state: 'active' })
    upstream = await startFakeUpstream(clock)
  })
})

describe('when the user must act', () => {
  it('a user without a connection is told to connect', async () => {
    expect(await errorOf(token())).toMatchObject({ reason: 'not_connected', scopes: [calendar] })
  })

  it('R179: a user gets no token of another user, not even from a record under the wrong name', async () => {
    await connectCalendar()
    expect(await errorOf(token([calendar], 'user-2'))).toMatchObject({ reason: 'not_connected' })
    const { generation: _, ...record } = (await stored())!
    await harness.store.putConnection({ record: { ...record, userId: 'user-2' }, now: clock() })
    expect(await errorOf(token([calendar], 'user-2'))).toMatchObject({ reason: 'dead' })
    const mine = await stored()
    harness.host.store.listConnections = async () => [mine!]
    harness.host.store.findConnection = async () => mine
    expect(await errorOf(token([calendar], 'user-2'))).toMatchObject({ reason: 'not_connected' })
    const named = harness.connected.token('user-2', [calendar], mine!.account)
    expect(await errorOf(named)).toBeInstanceOf(ToolError)
  })

  it('R185: a scope that was not granted is reported, with all scopes the tool needs', async () => {
    await connectCalendar({ scope: 'openid profile' })
    const error = await errorOf(token(['openid', calendar]))
    expect(error).toMatchObject({ reason: 'missing_scope', scopes: ['openid', calendar] })
    expect(await stored()).toMatchObject({ scopes: ['openid', 'profile'] })
    expect((await token(['profile'])).value).toBe('access-1')
  })

  it('R185: scopes lost at a refresh are noticed before the tool runs', async () => {
    await connectCalendar()
    clock.now += 4000
    upstream.script('/token', refreshed(2, { scope: 'openid profile' }))
    expect(await errorOf(token())).toMatchObject({ reason: 'missing_scope' })
  })

  it('scopes that Google answers as URIs are the ones a tool asks for by name', async () => {
    await connectCalendar({
      scope:
        'openid https://www.googleapis.com/auth/userinfo.email https://www.googleapis.com/auth/userinfo.profile',
    })
    expect((await token(['email', 'profile'])).value).toBe('access-1')
    expect((await token(['https://www.googleapis.com/auth/userinfo.email'])).value).toBe('access-1')
  })

  it('an ended token without a refresh token asks for a new connection', async () => {
    await connectCalendar({ refresh_token: undefined })
    clock.now += 3599
    expect((await token()).value).toBe('access-1')
    clock.now += 1
    expect(await errorOf(token())).toMatchObject({ reason: 'dead' })
    expect(refreshes()).toHaveLength(0)
  })

  it('R186: a refresh token is not used past its own end', async () => {
    await connectCalendar({ refresh_token_expires_in: 7200 })
    upstream.script('/token', refreshed(2))
    clock.now += 4000
    expect((await token()).value).toBe('access-2')
    clock.now += 4000
    expect(await errorOf(token())).toMatchObject({ reason: 'dead' })
    expect(refreshes()).toHaveLength(1)
  })

  it('tokens whose secret has left the ring ask for a new connection', async () => {
    await connectCalendar()
    const ring = createSecretRing(['a secret that never sealed anything before'])
    const other = createHarness(providerAt.google(upstream.origin), {
      upstream,
      clock,
      host: { store: harness.store, sealer: createSealer(ring, systemRandom) },
    })
    expect(await errorOf(other.connected.token(user, [calendar]))).toMatchObject({ reason: 'dead' })
    expect(await other.connected.isConnected(user, [calendar])).toBe(false)
  })
})

describe('whether a user is connected', () => {
  it('yes with a refresh token and the scopes, no without one of them', async () => {
    expect(await harness.connected.isConnected(user, [])).toBe(false)
    await connectCalendar()
    expect(await harness.connected.isConnected(user, [calendar, 'profile'])).toBe(true)
    expect(await harness.connected.isConnected(user, [calendar, 'email'])).toBe(false)
    clock.now += 86_400
    expect(await harness.connected.isConnected(user, [calendar])).toBe(true)
    upstream.script('/token', refusal('invalid_grant'))
    await errorOf(token())
    expect(await harness.connected.isConnected(user, [calendar])).toBe(false)
  })
})

describe('providers that do not name an end', () => {
  it('a token without expires_in is served until the connection ends', async () => {
    upstream.script('/.well-known/openid-configuration', { body: discoveryDocument(upstream.origin) })
    harness = createHarness(providerAt.oidc(upstream.origin), { upstream, clock })
    await harness.connect({ scopes: ['files'], reply: { expires_in: undefined, refresh_token: undefined } })
    clock.now += 59 * 86_400
    expect(await token(['files'])).toMatchObject({ value: 'access-1', expiresAt: 0 })
    clock.now += 86_400
    expect(await errorOf(token(['files']))).toMatchObject({ reason: 'not_connected' })
  })
})

it('no token, code or secret lies in the store in clear', async () => {
  await connectCalendar()
  const record = JSON.stringify(await stored())
  expect(record).not.toMatch(/access-1|refresh-1|subject-1/)
})
