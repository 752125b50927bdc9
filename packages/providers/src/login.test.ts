import { inspect } from 'node:util'
import { LoginError } from '@sallyport/oauth'
import { generateKeyPair } from 'jose'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  clientId,
  type FakeUpstream,
  type IdTokenOptions,
  startFakeUpstream,
} from './testing/fake-upstream.ts'
import {
  callbackUrl,
  createHarness,
  createTestClock,
  discoveryDocument,
  type Harness,
  providerAt,
  type TestClock,
  type Trip,
  user,
} from './testing/harness.ts'

const calendar = 'https://www.googleapis.com/auth/calendar.readonly'
const full = `openid profile ${calendar}`

let clock: TestClock
let upstream: FakeUpstream

beforeEach(async () => {
  clock = createTestClock()
  upstream = await startFakeUpstream(clock)
  upstream.script('/.well-known/openid-configuration', { body: discoveryDocument(upstream.origin) })
})
afterEach(() => upstream.close())

const harnessOf = (name: keyof typeof providerAt) =>
  createHarness(providerAt[name](upstream.origin), { upstream, clock })
const errorOf = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    error => error,
  )
const parametersOf = (url: URL) => Object.fromEntries(url.searchParams)

describe('the browser is sent upstream', () => {
  it('R75: with state, PKCE S256 and a nonce that nobody sees twice', async () => {
    const harness = harnessOf('google')
    const [first, second] = [await harness.start(), await harness.start()]
    const sent = parametersOf(first.url)
    expect(sent).toMatchObject({
      response_type: 'code',
      client_id: clientId,
      redirect_uri: callbackUrl,
      state: 'upstream-state',
      scope: 'openid profile',
      code_challenge_method: 'S256',
      nonce: first.memory.nonce,
    })
    const verifier = new TextEncoder().encode(first.memory.verifier)
    const digest = await crypto.subtle.digest('SHA-256', verifier)
    expect(sent.code_challenge).toBe(Buffer.from(digest).toString('base64url'))
    expect(first.url.href).not.toContain(first.memory.verifier)
    expect(second.memory.verifier).not.toBe(first.memory.verifier)
    expect(second.memory.nonce).not.toBe(first.memory.nonce)
  })

  it('LinkedIn gets no PKCE and no nonce, in neither request', async () => {
    const harness = harnessOf('linkedin')
    const url = await harness.connect({ scopes: ['w_member_social'] })
    expect(Object.keys(parametersOf(url)).sort()).toEqual(
      ['client_id', 'redirect_uri', 'response_type', 'scope', 'state'].sort(),
    )
    expect(url.searchParams.get('scope')).toBe('openid profile w_member_social')
    const [exchange] = upstream.seen('/token')
    expect(exchange?.form.has('code_verifier')).toBe(false)
    expect(exchange?.headers.authorization).toBeUndefined()
  })

  it('the verifier goes with the code, and the callback URL is the same byte for byte', async () => {
    const harness = harnessOf('google')
    const { memory } = await harness.start()
    await harness.finish(memory)
    expect(Object.fromEntries(upstream.seen('/token')[0]!.form)).toMatchObject({
      grant_type: 'authorization_code',
      code: 'upstream-code',
      redirect_uri: callbackUrl,
      code_verifier: memory.verifier,
    })
  })
})

describe('Google consent is forced only when it must be', () => {
  let harness: Harness
  beforeEach(() => {
    harness = harnessOf('google')
  })
  const promptOf = async (trip: Trip) => (await harness.start(trip)).url.searchParams.get('prompt')

  it('R185: a sign-in that no tool needs a token of asks for no offline access', async () => {
    const { url } = await harness.start()
    expect(url.searchParams.has('access_type')).toBe(false)
    expect(url.searchParams.has('prompt')).toBe(false)
  })

  it('R186: a sign-in never burns a refresh token of the user', async () => {
    const { url } = await harness.start({ scopes: [calendar] })
    expect(parametersOf(url)).toMatchObject({ access_type: 'offline', include_granted_scopes: 'true' })
    expect(url.searchParams.has('prompt')).toBe(false)
  })

  it('R186: a known user with a live grant is not asked again, one without is', async () => {
    const trip = { scopes: [calendar], isKnown: true }
    expect(await promptOf(trip)).toBe('consent')
    await harness.connect({ ...trip, reply: { scope: full } })
    expect(await promptOf(trip)).toBe(null)
    expect(await promptOf({ ...trip, scopes: [calendar, 'email'] })).toBe('consent')
    clock.now += 4000
    upstream.script('/token', { status: 400, body: { error: 'invalid_grant' } })
    await errorOf(harness.connected.token(user, [calendar]))
    expect(await promptOf(trip)).toBe('consent')
  })

  it('a refresh token our store lost comes back after one more trip, and only one', async () => {
    const lost = { scopes: [calendar], reply: { refresh_token: undefined, scope: full } }
    await harness.connect(lost)
    expect((await harness.connected.token(user, [calendar])).value).toBe('access-1')
    expect(await harness.connected.isConnected(user, [calendar])).toBe(false)
    expect(await promptOf({ scopes: [calendar], isKnown: true })).toBe('consent')
    await harness.connect({ scopes: [calendar], isKnown: true, reply: { scope: full } })
    expect(await harness.connected.isConnected(user, [calendar])).toBe(true)
  })

  it('says so, and only when one more trip would bring it', async () => {
    const harness = harnessOf('google')
    const lost = { reply: { refresh_token: undefined, scope: full } }
    const first = await harness.start({ scopes: [calendar] })
    expect(await (await harness.finish(first.memory, lost)).onUser?.(user)).toBe('incomplete')
    const forced = await harness.start({ scopes: [calendar], isKnown: true })
    expect(await (await harness.finish(forced.memory, lost)).onUser?.(user)).toBeUndefined()
  })

  it('a provider that withholds a refresh token even so is not asked at every sign-in', async () => {
    const withheld = { scopes: [calendar], reply: { refresh_token: undefined, scope: full } }
    await harness.connect({ ...withheld, isKnown: true })
    expect(await harness.connected.isConnected(user, [calendar])).toBe(true)
    await harness.connect(withheld)
    expect(await harness.connected.isConnected(user, [calendar])).toBe(true)
  })

  it('R181: a sign-in without a new refresh token keeps the old one', async () => {
    await harness.connect({ scopes: [calendar], reply: { scope: full } })
    const reply = { access_token: 'access-2', refresh_token: undefined, scope: full }
    await harness.connect({ scopes: [calendar], reply })
    expect((await harness.connected.token(user, [calendar])).value).toBe('access-2')
    clock.now += 4000
    upstream.script('/token', { body: { access_token: 'access-3' } })
    expect((await harness.connected.token(user, [calendar])).value).toBe('access-3')
    expect(upstream.seen('/token').at(-1)?.form.get('refresh_token')).toBe('refresh-1')
  })

  it('R181: but never the refresh token of another account', async () => {
    await harness.connect({ scopes: [calendar], reply: { scope: full } })
    clock.now += 1
    await harness.connect({
      scopes: [calendar],
      reply: { access_token: 'access-2', refresh_token: undefined, scope: full },
      claims: { sub: 'subject-2' },
    })
    const [, second] = await harness.connected.accounts(user)
    clock.now += 4000
    const token = harness.connected.token(user, [calendar], second!.id)
    expect(await errorOf(token)).toMatchObject({ reason: 'dead' })
    expect(upstream.seen('/token')).toHaveLength(2)
  })

  it('R180: a refresh token rotated while the user signs in is the one that is kept', async () => {
    await harness.connect({ scopes: [calendar], reply: { scope: full } })
    const { memory } = await harness.start({ scopes: [calendar] })
    const reply = { access_token: 'access-2', refresh_token: undefined, scope: full }
    const result = await harness.finish(memory, { reply })
    clock.now += 4000
    upstream.script('/token', ({ form }) => {
      const presented = form.get('refresh_token')
      const isSpent = presented === 'refresh-1' && upstream.seen('/token').length > 3
      if (isSpent) return { status: 400, body: { error: 'invalid_grant' } }
      return { body: { access_token: `after ${presented}`.replace(' ', '-'), refresh_token: 'rotated' } }
    })
    const { listConnections } = harness.host.store
    let isFirst = true
    harness.host.store.listConnections = async step => {
      const found = await listConnections(step)
      if (isFirst) {
        isFirst = false
        await harness.connected.token(user, [calendar])
      }
      return found
    }
    await result.onUser?.(user)
    await harness.connected.token(user, [calendar])
    clock.now += 8000
    await harness.connected.token(user, [calendar])
    expect(upstream.seen('/token').at(-1)?.form.get('refresh_token')).toBe('rotated')
  })
})

describe('scopes of other providers', () => {
  it('LinkedIn: a new connection asks for what the user granted before, or it would be lost', async () => {
    const harness = harnessOf('linkedin')
    await harness.connect({ scopes: ['w_member_social'], reply: { refresh_token: undefined } })
    const { url } = await harness.start({ scopes: ['r_events'], isKnown: true })
    expect(url.searchParams.get('scope')).toBe('openid profile r_events w_member_social')
  })

  it('LinkedIn: a sign-in that asks for less does not narrow a connection that works', async () => {
    const harness = harnessOf('linkedin')
    const reply = { refresh_token: undefined, expires_in: '5184000', scope: 'openid,profile,w_member_social' }
    await harness.connect({ scopes: ['w_member_social'], reply })
    const less = { access_token: 'access-2', refresh_token: undefined, scope: 'openid,profile' }
    await harness.connect({ reply: less })
    expect((await harness.connected.token(user, ['w_member_social'])).value).toBe('access-1')
    clock.now += 60 * 86_400
    await harness.connect({ reply: less })
    expect((await harness.connected.token(user, ['profile'])).value).toBe('access-2')
  })

  it('an OpenID provider is asked for offline access, and a known user once for consent to it', async () => {
    const harness = harnessOf('oidc')
    const signIn = { scopes: ['files'], reply: { refresh_token: undefined } }
    const url = await harness.connect(signIn)
    expect(parametersOf(url)).toMatchObject({ scope: 'openid profile files offline_access' })
    expect(url.searchParams.has('prompt')).toBe(false)
    expect(await harness.connected.isConnected(user, ['files'])).toBe(false)
    const trip = { scopes: ['files'], isKnown: true }
    expect((await harness.connect(trip)).searchParams.get('prompt')).toBe('consent')
    expect(await harness.connected.isConnected(user, ['files'])).toBe(true)
    expect((await harness.start(trip)).url.searchParams.has('prompt')).toBe(false)
  })

  it('an OpenID provider without offline access is not asked for consent over and over', async () => {
    const body = discoveryDocument(upstream.origin, { scopes_supported: ['openid'] })
    upstream.script('/.well-known/openid-configuration', { body })
    const harness = harnessOf('oidc')
    const trip = { scopes: ['files'], isKnown: true, reply: { refresh_token: undefined } }
    const url = await harness.connect(trip)
    expect(url.searchParams.get('scope')).toBe('openid profile files')
    expect(url.searchParams.has('prompt')).toBe(false)
    expect(await harness.connected.isConnected(user, ['files'])).toBe(true)
  })
})

describe('R76: who the user is', () => {
  it('issuer and subject, and neither name nor e-mail address', async () => {
    const harness = harnessOf('google')
    const identity = async (claims: Record<string, unknown>) => {
      const { memory } = await harness.start()
      const { issuer, subject, name } = await harness.finish(memory, { claims })
      return { issuer, subject, name }
    }
    const ada = { email: 'same@example.com', email_verified: true, name: 'Ada' }
    const one = await identity({ ...ada, sub: 'one' })
    expect(one).toEqual({ issuer: upstream.origin, subject: 'one', name: 'Ada' })
    expect(await identity({ ...ada, sub: 'two' })).toEqual({ ...one, subject: 'two' })
  })

  it.each(['google', 'linkedin'] as const)('%s: both forms of the issuer are one identity', async name => {
    const harness = harnessOf(name)
    const { memory } = await harness.start()
    const iss = upstream.origin.replace('http://', '')
    expect((await harness.finish(memory, { claims: { iss } })).issuer).toBe(upstream.origin)
  })

  it.each([true, false, 'true', 'false'])(
    'LinkedIn: email_verified %j does not stop a sign-in',
    async value => {
      const harness = harnessOf('linkedin')
      const { memory } = await harness.start()
      const claims = { email: 'a@example.com', email_verified: value }
      expect((await harness.finish(memory, { claims })).subject).toBe('subject-1')
    },
  )

  it('what a client asks of the authentication goes upstream, beside what is asked anyway', async () => {
    const { connected } = harnessOf('oidc')
    const parameters = async (wanted: object) => {
      const request = { callbackUrl, upstreamState: 'upstream-state', scopes: [], ...wanted }
      return parametersOf(new URL((await connected.login.start(request)).url))
    }
    expect(connected.login.prompts).toEqual(['login'])
    expect(
      await parameters({ maxAgeSeconds: 0, prompts: ['login'], acrValues: 'gold silver' }),
    ).toMatchObject({ max_age: '0', prompt: 'login', acr_values: 'gold silver' })
    // A user whose connection is renewed is asked for consent too.
    expect(await parameters({ prompts: ['login'], userId: user })).toMatchObject({ prompt: 'login consent' })
    for (const name of ['max_age', 'prompt', 'acr_values'])
      expect(await parameters({})).not.toHaveProperty(name)
  })

  it('a provider whose clock is a little ahead still says when', async () => {
    const harness = harnessOf('oidc')
    const { memory } = await harness.start()
    const timeOf = async (auth_time: number) =>
      (await harness.finish(memory, { claims: { auth_time } })).authTime
    expect(await timeOf(clock() + 120)).toBe(clock())
    expect(await timeOf(clock() + 121)).toBeUndefined()
  })

  it('how and when the user authenticated is passed on', async () => {
    const harness = harnessOf('oidc')
    const { memory } = await harness.start()
    const claims = { auth_time: clock() - 60, amr: ['pwd', 'otp'], acr: 'gold' }
    expect(await harness.finish(memory, { claims })).toMatchObject({
      authTime: clock() - 60,
      amr: ['pwd', 'otp'],
      acr: 'gold',
    })
  })
})

describe('R75: an id_token that is not right makes no session', () => {
  const wrongClaims: [string, Record<string, unknown>][] = [
    ['another issuer', { iss: 'https://evil.example' }],
    ['no issuer', { iss: null }],
    ['another audience', { aud: 'another-client' }],
    ['a further audience', { aud: [clientId, 'another-client'] }],
    ['no audience', { aud: null }],
    ['another authorised party', { azp: 'another-client' }],
    ['no end', { exp: null }],
    ['its end passed', { exp: 1_800_000_000 - 121 }],
    ['no time of issue', { iat: null }],
    ['issued long ago', { iat: 1_800_000_000 - 7200 }],
    ['issued in the future', { iat: 1_800_000_000 + 600 }],
    ['another nonce', { nonce: 'another' }],
    ['no nonce', { nonce: null }],
    ['no subject', { sub: null }],
    ['an empty subject', { sub: '' }],
  ]
  it.each(wrongClaims)('%s', async (title, claims) => {
    const harness = harnessOf('google')
    const { memory } = await harness.start()
    const error = await errorOf(
      harness.finish(memory, { claims: { email: 'canary@example.com', ...claims } }),
    )
    expect(error).toBeInstanceOf(LoginError)
    expect(error.reason).toBe('failed')
    // Whoever runs the server is told to set its clock, and not to look for what else may be wrong.
    const isTime = /passed|issued/.test(title)
    expect(error.problem).toBe(isTime ? 'clock' : 'id_token_refused')
    expect(inspect(error, { showHidden: true, depth: 9 })).not.toMatch(/canary@|subject-1|eyJ|access-1/)
  })

  const forged: [string, () => Promise<IdTokenOptions>][] = [
    ['signed by another key', async () => ({ key: (await generateKeyPair('RS256')).privateKey })],
    [
      'signed with the client secret',
      async () => ({ key: new TextEncoder().encode('test secret +/%'), header: { alg: 'HS256' } }),
    ],
    [
      'signed with an algorithm that is not allowed',
      async () => ({ key: (await generateKeyPair('ES256')).privateKey, alg: 'ES256' }),
    ],
    ['by a key that is not published', async () => ({ header: { kid: 'k2' } })],
    ['an access token', async () => ({ typ: 'at+jwt' })],
  ]
  it.each(forged)('%s', async (_, options) => {
    const harness = harnessOf('oidc')
    const { memory } = await harness.start()
    const id_token = await upstream.idToken({ nonce: memory.nonce }, await options())
    expect(await errorOf(harness.finish(memory, { reply: { id_token } }))).toMatchObject({ reason: 'failed' })
  })

  it.each([
    ['none at all', undefined],
    ['one without a signature', `${btoa('{"alg":"none"}')}.${btoa('{"sub":"subject-1"}')}.`],
    ['one that is no JWT', 'not a token'],
  ])('%s', async (_, id_token) => {
    const harness = harnessOf('google')
    const { memory } = await harness.start()
    expect(await errorOf(harness.finish(memory, { reply: { id_token } }))).toMatchObject({ reason: 'failed' })
  })

  it('keys that cannot be had now are no reason to accept, and none to give up', async () => {
    for (const answer of [{ status: 500 }, { body: 'x'.repeat(300_000) }]) {
      upstream.script('/jwks', answer)
      const harness = harnessOf('google')
      const { memory } = await harness.start()
      expect(await errorOf(harness.finish(memory))).toMatchObject({ reason: 'unavailable' })
    }
  })
})

describe('R77: the callback of an upstream refusal', () => {
  const finish = async (name: keyof typeof providerAt, parameters: Record<string, string> | string) => {
    const harness = harnessOf(name)
    const { memory } = await harness.start()
    return errorOf(harness.finish(memory, {}, new URLSearchParams(parameters)))
  }
  it.each([
    ['google', 'access_denied', 'denied', undefined],
    ['linkedin', 'user_cancelled_login', 'denied', undefined],
    ['linkedin', 'user_cancelled_authorize', 'denied', undefined],
    ['google', 'temporarily_unavailable', 'unavailable', 'unreachable'],
    ['google', 'invalid_scope', 'failed', 'request_refused'],
    ['google', 'unauthorized_client', 'failed', 'client_refused'],
    ['google', 'redirect_uri_mismatch', 'failed', 'redirect_uri_refused'],
    ['google', '<script>alert(1)</script>', 'failed', 'request_refused'],
  ] as const)('%s: %s → %s (%s)', async (name, error, reason, problem) => {
    const thrown = await finish(name, { error, error_description: '<script>' })
    expect(thrown).toMatchObject({ name: 'LoginError', reason, problem })
    expect(inspect(thrown, { showHidden: true, depth: 9 })).not.toContain('script>')
    expect(upstream.seen('/token')).toHaveLength(0)
  })

  it.each([
    ['R75: the issuer of another provider', { code: 'c', iss: 'https://evil.example' }],
    [
      'R75: an error under the issuer of another provider',
      { error: 'access_denied', iss: 'https://evil.example' },
    ],
    ['neither code nor error', { state: 'upstream-state' }],
    ['two codes', 'code=a&code=b'],
  ])('%s fails before the token endpoint is asked', async (_, parameters) => {
    expect(await finish('google', parameters)).toMatchObject({ reason: 'failed' })
    expect(upstream.seen('/token')).toHaveLength(0)
  })

  it('R75: a provider that promises iss in every answer is held to it', async () => {
    const body = discoveryDocument(upstream.origin, { authorization_response_iss_parameter_supported: true })
    upstream.script('/.well-known/openid-configuration', { body })
    expect(await finish('oidc', { code: 'c' })).toMatchObject({ reason: 'failed' })
    expect(await finish('oidc', { code: 'c', iss: upstream.origin })).toBeUndefined()
  })

  it.each([
    [{ status: 400, body: { error: 'invalid_grant' } }, 'failed', 'code_refused'],
    [{ status: 401, body: { error: 'invalid_client' } }, 'failed', 'client_refused'],
    [{ status: 400, body: { error: 'invalid_scope' } }, 'failed', 'request_refused'],
    [{ body: '<html>' }, 'failed', 'answer_unusable'],
    [{ status: 429 }, 'unavailable', 'unreachable'],
    [{ status: 500 }, 'unavailable', 'unreachable'],
  ])('a token endpoint that answers %j makes the sign-in end as %s (%s)', async (answer, reason, problem) => {
    const { connected, start } = harnessOf('google')
    const { memory } = await start()
    upstream.script('/token', answer)
    const parameters = new URLSearchParams({ code: 'upstream-code' })
    const callback = { callbackUrl, parameters, memory, scopes: [] }
    expect(await errorOf(connected.login.finish(callback))).toMatchObject({
      name: 'LoginError',
      reason,
      problem,
    })
  })
})
