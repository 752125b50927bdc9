import { describe, expect, it } from 'vitest'
import { createFixture, publicClient } from '../authorization-server.fixture.ts'
import { StoreUnavailableError } from '../errors.ts'
import type { AuthorizationServerOptions } from '../options.ts'
import {
  type SecurityEvent,
  SecurityEventError,
  type SecurityEventProblem,
  type SecurityEventToken,
} from '../security-events.ts'
import { hashIdentity } from '../storage/find-user.ts'
import type { Store } from '../storage/store.ts'

const issuer = 'https://accounts.example'
const account = { issuer, subject: 'ada' }
const sessionsRevoked: SecurityEvent = { name: 'sessions_revoked', account, ends: ['sessions'] }
const tokensRevoked: SecurityEvent = { name: 'tokens_revoked', account, ends: ['sessions', 'connections'] }
const path = '/oauth/events/cloud'
const type = { 'Content-Type': 'application/secevent+jwt' }

/** A server that a provider pushes to; what is sent is read as `tokens` says, and counted. */
function setUp(
  options: Partial<AuthorizationServerOptions> = {},
  wrapStore?: Parameters<typeof createFixture>[1],
) {
  const tokens = new Map<string, Partial<SecurityEventToken> | SecurityEventProblem | Error>()
  const ended: [name: string, before: number][] = []
  const read: string[] = []
  const state = { connections: 0 as number | Error }
  const receiver = {
    maxAgeSeconds: 86_400,
    async read(value: string): Promise<SecurityEventToken> {
      read.push(value)
      const token = tokens.get(value) ?? 'invalid_request'
      if (token instanceof Error) throw token
      if (typeof token === 'string') throw new SecurityEventError(token, { cause: 'canary-reason' })
      return { id: value, issuedAt: fixture.time.now, events: [], ...token }
    },
    async endConnections({ name }: SecurityEvent, before: number) {
      if (state.connections instanceof Error) throw state.connections
      ended.push([name, before])
      return state.connections
    },
  }
  const fixture = createFixture({ securityEvents: new Map([['cloud', receiver]]), ...options }, wrapStore)
  const push = (value: string, headers: Record<string, string> = type) => fixture.post(path, value, headers)
  return {
    ...fixture,
    tokens,
    ended,
    read,
    state,
    push,
    /** Who signed in with the account there. */
    identify: (userId: string) =>
      fixture.store.findOrPutUser({
        identityHash: hashIdentity([issuer, 'ada']),
        userId,
        expiresAt: fixture.time.now + 86_400,
        now: fixture.time.now,
      }),
    received: () => fixture.events.filter(event => event.type === 'security_event_received'),
  }
}

describe('a security event token that is taken', () => {
  it('R139: ends all sessions of who signed in with the account, and of nobody else', async () => {
    const test = setUp()
    await test.identify('user-1')
    const sessions = [await test.session(publicClient), await test.session(publicClient)]
    const other = await test.session(publicClient, { userId: 'user-2' })
    test.tokens.set('set', { events: [sessionsRevoked] })
    const response = await test.push('set')
    expect([response.status, await response.text()]).toEqual([202, ''])
    for (const { access, refresh } of sessions) {
      expect(await test.isLive(access)).toBe(false)
      expect(await (await test.refresh(publicClient, refresh)).json()).toMatchObject({
        error: 'invalid_grant',
      })
    }
    expect(await test.isLive(other.access)).toBe(true)
    expect((await test.refresh(publicClient, other.refresh)).status).toBe(200)
    expect(test.events.filter(({ type }) => type === 'family_revoked')).toEqual(
      expect.arrayContaining(
        sessions.map(({ grantId }) => ({ type: 'family_revoked', grantId, by: 'provider' })),
      ),
    )
    expect(test.received()).toEqual([
      {
        type: 'security_event_received',
        provider: 'cloud',
        kind: 'sessions_revoked',
        sessions: 2,
        connections: 0,
      },
    ])
    expect(test.ended).toEqual([])
  })

  it('ends connections too where it says so, and tells how many', async () => {
    const test = setUp()
    test.state.connections = 3
    test.tokens.set('set', { events: [tokensRevoked] })
    await test.push('set')
    expect(test.ended).toEqual([['tokens_revoked', test.time.now + 60]])
    expect(test.received()).toMatchObject([{ kind: 'tokens_revoked', sessions: 0, connections: 3 }])
  })

  it('ends no session that began after the event, and those that began before although it came late', async () => {
    const test = setUp()
    await test.identify('user-1')
    const issuedAt = test.time.now
    const old = await test.session(publicClient)
    test.time.now += 61
    const later = await test.session(publicClient)
    test.time.now += 500
    test.tokens.set('set', { issuedAt, events: [sessionsRevoked] })
    await test.push('set')
    expect([await test.isLive(old.access), await test.isLive(later.access)]).toEqual([false, true])
    // What they have open in browsers is over up to the same time.
    const { store, time } = test
    expect(await store.findSignOut({ userId: 'user-1', now: time.now })).toBe(issuedAt + 60)
    expect(await store.findSignOut({ userId: 'user-2', now: time.now })).toBeUndefined()
  })

  it('R163: that comes again is taken, and nothing is done twice', async () => {
    const test = setUp()
    await test.identify('user-1')
    const { now: issuedAt } = test.time
    test.tokens.set('set', { id: 'jti', issuedAt, events: [tokensRevoked] })
    test.tokens.set('signed again', { id: 'jti', issuedAt, events: [tokensRevoked] })
    expect((await test.push('set')).status).toBe(202)
    const { access } = await test.session(publicClient)
    expect((await test.push('set')).status).toBe(202)
    expect((await test.push('signed again')).status).toBe(202)
    expect(await test.isLive(access)).toBe(true)
    // To the end of its time.
    test.time.now += 86_400
    expect((await test.push('set')).status).toBe(202)
    expect(test.ended).toHaveLength(1)
    expect(test.received()).toHaveLength(1)
  })

  it('R163: of 20 that come at once, one is told', async () => {
    const test = setUp()
    test.tokens.set('set', { events: [tokensRevoked] })
    const answers = await Promise.all(Array.from({ length: 20 }, () => test.push('set')))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]))
    expect(test.received()).toHaveLength(1)
  })

  it('with several events does each, and tells a test with the mark of whoever asked for it', async () => {
    const test = setUp()
    const verification: SecurityEvent = { name: 'verification', marker: 'first-try', ends: [] }
    const disabled: SecurityEvent = {
      name: 'account_disabled',
      reason: 'bulk-account',
      account,
      ends: [],
    }
    test.tokens.set('set', { events: [verification, disabled] })
    await test.push('set')
    expect(test.received()).toMatchObject([
      { kind: 'verification', marker: 'first-try' },
      { kind: 'account_disabled', reason: 'bulk-account', sessions: 0, connections: 0 },
    ])
  })

  it.each(['application/secevent+jwt', 'application/jwt', 'Application/SecEvent+JWT; charset=utf-8'])(
    'may come as %s',
    async contentType => {
      const test = setUp()
      test.tokens.set('set', {})
      expect((await test.push('set\n', { 'Content-Type': contentType })).status).toBe(202)
      expect(test.read).toEqual(['set'])
    },
  )
})

describe('a security event token that is not taken', () => {
  it.each([
    'invalid_request',
    'invalid_key',
    'invalid_issuer',
    'invalid_audience',
    'authentication_failed',
  ] as const)('R189: %s: the sender learns the code of RFC 8935 and a sentence, no more', async problem => {
    const test = setUp()
    test.tokens.set('set', problem)
    const response = await test.push('set')
    expect(response.status).toBe(400)
    expect(response.headers.get('content-type')).toBe('application/json')
    expect(response.headers.get('content-language')).toBe('en')
    expect(response.headers.get('cache-control')).toBe('no-store')
    const body = (await response.json()) as object
    expect(body).toEqual({ err: problem, description: expect.stringMatching(/^[A-Z].+\.$/) })
    expect(JSON.stringify(body)).not.toContain('canary')
    expect(test.events).toEqual([{ type: 'security_event_refused', provider: 'cloud', errorClass: problem }])
  })

  it.each([
    ['a form', 'application/x-www-form-urlencoded'],
    ['JSON', 'application/json'],
    ['text', 'text/plain'],
    ['two types at once', 'application/secevent+jwt, text/plain'],
  ])('that comes as %s is not even looked at', async (_, contentType) => {
    const test = setUp()
    test.tokens.set('set', {})
    const response = await test.push('set', { 'Content-Type': contentType })
    expect([response.status, await response.json()]).toMatchObject([400, { err: 'invalid_request' }])
    expect(test.read).toEqual([])
  })

  it('R196: that is larger than any is not even looked at', async () => {
    const test = setUp()
    const response = await test.push('x'.repeat(16_385))
    expect([response.status, await response.json()]).toMatchObject([400, { err: 'invalid_request' }])
    expect(test.read).toEqual([])
    await test.push('x'.repeat(16_384))
    expect(test.read).toHaveLength(1)
  })

  it.each([
    ['older than its id is remembered', -86_401, 400],
    ['as old as may be', -86_400, 202],
    ['from a clock that is a little ahead', 120, 202],
    ['from the future', 121, 400],
  ])('R170: %s', async (_, seconds, status) => {
    const test = setUp()
    test.tokens.set('set', { issuedAt: test.time.now + seconds, events: [tokensRevoked] })
    expect((await test.push('set')).status).toBe(status)
    expect(test.ended).toHaveLength(status === 202 ? 1 : 0)
  })

  it('of a provider that pushes nothing has no endpoint, nor has a server without any', async () => {
    const test = setUp()
    const unknown = await test.post('/oauth/events/other', 'set', type)
    expect([unknown.status, test.read]).toEqual([404, []])
    const { server } = createFixture()
    expect(server.routes.filter(route => route.path.startsWith('/oauth/events'))).toEqual([])
    const request = new Request(`https://mcp.example.com${path}`, { method: 'POST', body: 'set' })
    expect(await server.handle(request)).toBeUndefined()
  })

  it('cannot be sent by a page of another origin, or asked for with GET', async () => {
    const { server } = setUp()
    const ask = (method: string) =>
      server.handle(
        new Request(`https://mcp.example.com${path}`, { method, headers: { Origin: 'https://x' } }),
      )
    for (const method of ['GET', 'OPTIONS']) {
      const response = await ask(method)
      expect(response?.status).toBe(405)
      expect(response?.headers.get('access-control-allow-origin')).toBeNull()
    }
  })
})

describe('when something of ours does not answer', () => {
  const steps = ['isSingleUseClaimed', 'findUser', 'listGrants', 'revokeGrant', 'claimSingleUse'] as const

  it.each(steps)(
    'R92, R140: a token is not taken while %s fails, and done whole when it comes again',
    async step => {
      const state = { isDown: false }
      const test = setUp({}, store => {
        const failing = { ...store } as Store
        const real = store[step] as (...args: unknown[]) => Promise<unknown>
        failing[step] = (async (...args: unknown[]) => {
          if (state.isDown) throw new StoreUnavailableError('away')
          return real(...args)
        }) as never
        return failing
      })
      await test.identify('user-1')
      const { access } = await test.session(publicClient)
      test.tokens.set('set', { events: [tokensRevoked] })
      state.isDown = true
      const response = await test.push('set')
      expect(response.status).toBe(503)
      expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0)
      expect(test.received()).toEqual([])
      state.isDown = false
      expect((await test.push('set')).status).toBe(202)
      expect(await test.isLive(access)).toBe(false)
      expect(test.received()).toHaveLength(1)
    },
  )

  it('R92: a token that cannot be verified now, or whose connections could not be ended, is asked for again', async () => {
    const test = setUp()
    test.tokens.set('set', 'unavailable')
    const response = await test.push('set')
    expect([response.status, await response.json()]).toMatchObject([
      503,
      { error: 'temporarily_unavailable' },
    ])
    test.tokens.set('set', { events: [tokensRevoked] })
    test.state.connections = new SecurityEventError('unavailable')
    expect((await test.push('set')).status).toBe(503)
    test.state.connections = 1
    expect((await test.push('set')).status).toBe(202)
    expect(test.received()).toMatchObject([{ connections: 1 }])
  })

  it('R189: a fault of ours is a bare error, and the token may come again', async () => {
    const test = setUp()
    test.tokens.set('set', new TypeError('canary'))
    const response = await test.push('set')
    expect([response.status, await response.json()]).toEqual([500, { error: 'server_error' }])
    test.tokens.set('set', {})
    expect((await test.push('set')).status).toBe(202)
  })
})

it('users of another issuer have their connections ended, though sessions are not ours', async () => {
  const test = setUp({ connectionsOnly: true })
  test.state.connections = 1
  test.tokens.set('set', { events: [tokensRevoked] })
  expect((await test.push('set')).status).toBe(202)
  expect(test.received()).toMatchObject([{ sessions: 0, connections: 1 }])
})
