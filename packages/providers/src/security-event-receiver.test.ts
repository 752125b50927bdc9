import { createHash } from 'node:crypto'
import { hashIdentity, type SecurityEvent, type SecurityEventReceiver } from '@sallyport/oauth'
import {
  type SecurityEventFault,
  type SecurityEventOptions,
  startUpstream,
  securityEventTypes as types,
  type Upstream,
} from '@sallyport/test-upstream'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createConnectionVault } from './connection-vault.ts'
import { google } from './google.ts'
import { createHarness, createTestClock, type Harness, type TestClock, user } from './testing/harness.ts'
import { hashTokenNames } from './token-names.ts'

const clientId = 'sallyport.apps.googleusercontent.com'
const subject = '110248495921238986420'
const refreshToken = '1//0canary-refresh-token-of-the-test'

let upstream: Upstream
let clock: TestClock
let harness: Harness
let receiver: SecurityEventReceiver

beforeAll(async () => {
  upstream = await startUpstream({ kind: 'google', clientId, clientSecret: 'secret', redirectUris: [] })
})
afterAll(() => upstream.close())
beforeEach(() => setUp())
afterEach(() => {
  upstream.control.heal()
  upstream.control.resetCounts()
})

function setUp(securityEvents: true | { clientIds: string[] } = true) {
  const { authorize, token, jwks, revoke } = upstream.endpoints
  const provider = google({
    clientId,
    clientSecret: 'secret',
    securityEvents,
    endpoints: {
      authorization: authorize,
      token,
      jwks,
      revocation: revoke,
      issuers: [upstream.issuer],
      apiOrigins: [upstream.apiOrigin],
      securityEvents: upstream.securityEvents.configuration,
    },
  })
  clock = createTestClock(Math.floor(Date.now() / 1000))
  harness = createHarness(provider, { upstream: undefined as never, clock })
  receiver = harness.connected.securityEvents!
}

const account = (sub = subject) => ({
  subject: { subject_type: 'iss-sub', iss: `${upstream.issuer}/`, sub },
})
const sign = (options?: SecurityEventOptions, events: object = { [types.sessionsRevoked]: account() }) =>
  upstream.securityEvents.sign(events as Record<string, unknown>, options)
const read = async (options?: SecurityEventOptions, events?: object) =>
  receiver.read(await sign(options, events))
const eventOf = async (type: string, payload: object): Promise<SecurityEvent> =>
  (await read({}, { [type]: payload })).events[0]!
const problemOf = (reading: Promise<unknown>): Promise<unknown> =>
  reading.then(
    () => 'taken',
    error => error.problem ?? error,
  )

/** Puts a connection of the account into the store, as a sign-in does. */
async function connect(
  over: { userId?: string; subject?: string; refreshToken?: string; receivedAt?: number } = {},
) {
  const { host } = harness
  const vault = createConnectionVault(host, {
    provider: 'google',
    refreshIdleSeconds: 180 * 86_400,
    tokenNames: hashTokenNames,
  })
  const grant = {
    accessToken: 'access',
    receivedAt: clock(),
    refreshToken,
    issuer: upstream.issuer,
    subject,
    ...over,
  }
  const { userId = user, ...rest } = grant as typeof grant & { userId?: string }
  const update = { grant: rest, scopes: ['openid'], accessEndsAt: clock() + 3600 }
  await vault.put(userId, update, undefined)
}
const statesOf = async (userId = user) => (await harness.connected.accounts(userId)).map(({ state }) => state)

describe('a security event token', () => {
  it('of Google, for us, is read: what happened, to whom, and when', async () => {
    const token = await read({ claims: { iat: 1_800_000_000, jti: 'one' } })
    expect(token).toEqual({
      id: 'one',
      issuedAt: 1_800_000_000,
      events: [
        { name: 'sessions_revoked', ends: ['sessions'], account: { issuer: upstream.issuer, subject } },
      ],
    })
  })

  it('has no end, and one that names an end which has passed is read all the same', async () => {
    expect((await read({ claims: { exp: 1 } })).events).toHaveLength(1)
  })

  it.each([
    ['with a slash at its end', 'OURS/', 'taken'],
    ['without', 'OURS', 'taken'],
    ['of somebody else', 'https://accounts.example/', 'invalid_issuer'],
    ['that begins like it', 'OURS/other', 'invalid_issuer'],
    ['that is missing', undefined, 'invalid_request'],
  ])('the issuer %s', async (_, iss, outcome) => {
    expect(await problemOf(read({ claims: { iss: iss?.replace('OURS', upstream.issuer) } }))).toBe(outcome)
  })

  it.each([
    ['us', clientId, 'taken'],
    ['us among others', ['another', clientId], 'taken'],
    ['another client', 'another.apps.googleusercontent.com', 'invalid_audience'],
    ['other clients', ['another', 'third'], 'invalid_audience'],
    ['nobody', [], 'invalid_audience'],
    ['something else', 7, 'invalid_request'],
  ])('for %s', async (_, aud, outcome) => {
    expect(await problemOf(read({ claims: { aud } }))).toBe(outcome)
  })

  it('for another client of the same project is taken when the deployer named that', async () => {
    setUp({ clientIds: ['android.apps.googleusercontent.com'] })
    expect(await problemOf(read({ claims: { aud: 'android.apps.googleusercontent.com' } }))).toBe('taken')
    expect(await problemOf(read({ claims: { aud: 'ios.apps.googleusercontent.com' } }))).toBe(
      'invalid_audience',
    )
  })

  it.each([
    ['wrong_key', 'authentication_failed'],
    ['unknown_kid', 'invalid_key'],
    ['alg_none', 'invalid_key'],
    ['hs256_with_public_key', 'invalid_key'],
  ] satisfies [SecurityEventFault, string][])('signed with %s is refused', async (fault, problem) => {
    expect(await problemOf(read({ fault }))).toBe(problem)
  })

  it('whose signature was cut off, or whose content was changed, is refused', async () => {
    const [header, payload, signature] = (await sign()).split('.') as [string, string, string]
    const changed = Buffer.from(
      Buffer.from(payload, 'base64url').toString().replace(subject, '110000000000000000000'),
    ).toString('base64url')
    expect(await problemOf(receiver.read(`${header}.${changed}.${signature}`))).toBe('authentication_failed')
    expect(await problemOf(receiver.read(`${header}.${payload}.`))).toBe('authentication_failed')
    expect(await problemOf(receiver.read(`${header}.${payload}`))).toBe('invalid_request')
  })

  it.each([
    ['nothing', ''],
    ['words', 'what a day'],
    ['three words', 'what.a.day'],
    ['a header that is no JSON', 'e30.e30.e30'],
    ['JSON', '{"events":{}}'],
  ])('that is %s is refused, and nobody is asked for keys', async (_, token) => {
    expect(['invalid_request', 'invalid_key']).toContain(await problemOf(receiver.read(token)))
    expect(upstream.control.count('risc')).toBe(0)
  })

  it.each([
    ['a jti', { jti: undefined }],
    ['a time', { iat: undefined }],
    ['a time that is one', { iat: 'yesterday' }],
    ['events', { events: undefined }],
    ['events that are some', { events: {} }],
    ['events by type', { events: ['sessions-revoked'] }],
  ])('without %s is refused', async (_, claims) => {
    expect(await problemOf(read({ claims }))).toBe('invalid_request')
  })

  it('R119: an id_token and an access token are none, though Google signs them with the same keys', async () => {
    const idToken = { events: undefined, jti: undefined, sub: subject, exp: clock() + 3600 }
    expect(await problemOf(read({ claims: idToken, header: { typ: 'JWT' } }))).toBe('invalid_request')
    expect(await problemOf(read({ header: { typ: 'at+jwt' } }))).toBe('invalid_request')
  })

  it.each(['secevent+jwt', 'application/secevent+jwt', 'JWT', undefined])('with typ %s is one', async typ => {
    expect(await problemOf(read({ header: { typ } }))).toBe('taken')
  })
})

describe('keys and configuration', () => {
  it('are read once for many tokens, by callers at the same time too', async () => {
    const token = await sign()
    await Promise.all(Array.from({ length: 20 }, () => receiver.read(token)))
    await receiver.read(await sign())
    expect([upstream.control.count('risc'), upstream.control.count('jwks')]).toEqual([1, 1])
  })

  it('R187: tokens with unknown keys have the keys read once more, and not for each of them', async () => {
    for (let i = 0; i < 20; i++) expect(await problemOf(read({ fault: 'unknown_kid' }))).toBe('invalid_key')
    expect(upstream.control.count('jwks')).toBeLessThanOrEqual(2)
  })

  it.each(['risc', 'jwks'] as const)(
    'R92: while %s cannot be had, a token is neither good nor bad',
    async endpoint => {
      upstream.control.fail(endpoint, { status: 503 })
      expect(await problemOf(read())).toBe('unavailable')
      expect(await problemOf(read())).toBe('taken')
    },
  )

  it.each([
    [
      'of another issuer',
      (): object => ({ issuer: 'https://accounts.example/', jwks_uri: upstream.endpoints.jwks }),
    ],
    [
      'with keys that come over plain http',
      () => ({ issuer: upstream.issuer, jwks_uri: 'http://keys.example/' }),
    ],
    ['that is no document', () => '<h1>Moved</h1>'],
  ])('a configuration %s makes no token good', async (_, body) => {
    upstream.control.fail('risc', { status: 200, body: body() })
    expect(await problemOf(read())).toBe('unavailable')
  })
})

describe('what Google tells', () => {
  const sessions = ['sessions']
  const both = ['sessions', 'connections']
  it.each([
    [types.sessionsRevoked, undefined, 'sessions_revoked', sessions],
    [types.tokensRevoked, undefined, 'tokens_revoked', both],
    [types.accountDisabled, 'hijacking', 'account_disabled', both],
    [types.accountDisabled, undefined, 'account_disabled', both],
    [types.accountDisabled, 'bulk-account', 'account_disabled', []],
    [types.accountDisabled, 'a reason of the future', 'account_disabled', both],
    [types.accountEnabled, undefined, 'account_enabled', []],
    [types.credentialChangeRequired, undefined, 'credential_change_required', []],
  ])('%s with reason %s is %s and ends %j', async (type, reason, name, ends) => {
    const event = await eventOf(type, { ...account(), ...(reason && { reason }) })
    expect(event).toEqual({
      name,
      ends,
      account: { issuer: upstream.issuer, subject },
      ...(reason && { reason }),
    })
  })

  it('a test that the deployer asked for is told with its mark', async () => {
    expect(await eventOf(types.verification, { state: 'first try' })).toEqual({
      name: 'verification',
      ends: [],
      marker: 'first try',
    })
  })

  it('several events in one token are all told, in any number of other ones', async () => {
    const events = {
      'https://example.com/future': {},
      [types.tokensRevoked]: account(),
      [types.sessionsRevoked]: account(),
    }
    const names = (await read({}, events)).events.map(({ name }) => name)
    expect(names.sort()).toEqual(['sessions_revoked', 'tokens_revoked'])
    expect((await read({}, { 'https://example.com/future': {} })).events).toEqual([
      { name: 'unknown', ends: [] },
    ])
  })

  it('the subject of id_token claims is the same, and an e-mail address beside it names nobody', async () => {
    const claims = { subject_type: 'id_token_claims', iss: upstream.issuer, sub: 'x', email: 'a@example.com' }
    const event = await eventOf(types.sessionsRevoked, { subject: claims })
    expect(event.account).toEqual({ issuer: upstream.issuer, subject: 'x' })
  })

  it.each([
    ['by e-mail address only', { subject_type: 'email', email: 'ada@example.com' }],
    ['of another issuer', { subject_type: 'iss-sub', iss: 'https://login.example', sub: subject }],
    ['without a subject', { subject_type: 'iss-sub', iss: 'https://accounts.google.com' }],
    ['that is no object', 'ada'],
  ])('R76: an account %s is nobody', async (_, subject) => {
    expect(await problemOf(eventOf(types.sessionsRevoked, { subject }))).toBe('invalid_request')
  })
})

describe('connections', () => {
  const tokensRevoked = () => eventOf(types.tokensRevoked, account())
  const end = async (event: SecurityEvent, before = clock() + 60) => receiver.endConnections(event, before)

  it('to an account end for all users who have connected it, and no others do', async () => {
    await connect()
    await connect({ userId: 'user-2' })
    await connect({ userId: 'user-2', subject: 'another' })
    expect(await end(await tokensRevoked())).toBe(2)
    expect(await statesOf()).toEqual(['revoked'])
    expect((await statesOf('user-2')).sort()).toEqual(['active', 'revoked'])
    expect(harness.events.filter(({ type }) => type === 'connection_ended')).toHaveLength(2)
    const error = await harness.connected.token(user, ['openid']).catch(error => error)
    expect(error).toMatchObject({ name: 'ConnectionRequiredError', reason: 'dead' })
  })

  it('that ended have no tokens any more, and end once', async () => {
    await connect()
    const event = await tokensRevoked()
    expect([await end(event), await end(event)]).toEqual([1, 0])
    const [record] = await harness.store.listConnections({ userId: user, now: clock() })
    expect(record).toMatchObject({ state: 'dead', endReason: 'revoked' })
    expect(record).not.toHaveProperty('tokenHashes')
    expect(await harness.connected.keepFresh(user, 0)).toMatchObject({ state: 'revoked' })
    expect(upstream.control.count('token')).toBe(0)
  })

  it('whose tokens came after the event stay', async () => {
    await connect()
    const event = await tokensRevoked()
    const before = clock() + 60
    clock.now += 61
    await connect()
    expect(await end(event, before)).toBe(0)
    expect(await statesOf()).toEqual(['active'])
  })

  it.each([
    ['its beginning', 'prefix', refreshToken.slice(0, 16)],
    ['its double hash', 'hash_base64_sha512_sha512', doubleHash('base64')],
    ['its double hash, in the other alphabet', 'hash_base64_sha512_sha512', doubleHash('base64url')],
  ])('one ends whose refresh token is named by %s', async (_, token_identifier_alg, token) => {
    await connect()
    await connect({ userId: 'user-2', refreshToken: '1//0another-refresh-token' })
    const event = await eventOf(types.tokenRevoked, {
      subject: { subject_type: 'oauth_token', token_type: 'refresh_token', token_identifier_alg, token },
    })
    expect(JSON.stringify(event)).not.toContain(token)
    expect(await end(event)).toBe(1)
    expect([await statesOf(), await statesOf('user-2')]).toEqual([['revoked'], ['active']])
  })

  it('one that has another refresh token by now stays', async () => {
    await connect()
    const event = await eventOf(types.tokenRevoked, {
      subject: {
        subject_type: 'oauth_token',
        token_type: 'refresh_token',
        token_identifier_alg: 'prefix',
        token: refreshToken.slice(0, 16),
      },
    })
    await connect({ refreshToken: '1//0newer-refresh-token' })
    expect(await end(event)).toBe(0)
    expect(await statesOf()).toEqual(['active'])
  })

  it.each([
    { token_type: 'access_token', token_identifier_alg: 'prefix', token: 'ya29.whatever' },
    { token_type: 'refresh_token', token_identifier_alg: 'plain', token: refreshToken },
    { token_type: 'refresh_token', token_identifier_alg: 'prefix' },
  ])('a token named in a way that Google does not document ends none: %j', async subject => {
    await connect()
    const event = await eventOf(types.tokenRevoked, { subject })
    expect(event.ends).toEqual([])
    expect(await end(event)).toBe(0)
  })

  it('R180: one that a refresh writes meanwhile ends all the same', async () => {
    await connect()
    const { store } = harness
    const replace = store.replaceConnection
    let isFirst = true
    store.replaceConnection = async step => {
      if (isFirst) {
        isFirst = false
        const [connection] = await store.listConnections({ userId: user, now: clock() })
        const { generation, ...record } = connection!
        await replace({ record: { ...record, writtenBy: 'a refresh' }, generation, now: clock() })
      }
      return replace(step)
    }
    expect(await end(await tokensRevoked())).toBe(1)
    expect(await statesOf()).toEqual(['revoked'])
  })

  it('of another provider that has an account of the same name are left alone', async () => {
    await connect()
    const accountHash = hashIdentity([upstream.issuer, subject])
    const [google] = await harness.store.findConnectionsByAccount({ accountHash, now: clock() })
    const { generation: _, ...record } = google!
    await harness.store.putConnection({ record: { ...record, provider: 'other' }, now: clock() })
    expect(await end(await tokensRevoked())).toBe(1)
    const other = { userId: user, provider: 'other', account: record.account, now: clock() }
    expect(await harness.store.findConnection(other)).toMatchObject({ state: 'active' })
  })
})

it('without the option there is no receiver, and nothing is kept to find tokens by', async () => {
  harness = createHarness(google({ clientId, clientSecret: 'secret' }), {
    upstream: undefined as never,
    clock,
  })
  expect(harness.connected.securityEvents).toBeUndefined()
})

function doubleHash(encoding: 'base64' | 'base64url'): string {
  const inner = createHash('sha512').update(refreshToken).digest()
  return createHash('sha512').update(inner).digest(encoding)
}
