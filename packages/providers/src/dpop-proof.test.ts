import type { ConnectedProvider } from '@sallyport/mcp-server'
import { connectionSealContext, createMemoryStore, type MemoryStore } from '@sallyport/oauth'
import { accounts, startUpstream, type Upstream } from '@sallyport/test-upstream'
import { createBrowser } from '@sallyport/test-upstream/browser'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createDpopKey, type DpopKey, type DpopNonces, hashCode } from './dpop-proof.ts'
import { standardErrorClass } from './error-class.ts'
import { google } from './google.ts'
import {
  type Answer,
  clientId,
  clientSecret,
  type FakeUpstream,
  startFakeUpstream,
} from './testing/fake-upstream.ts'
import { createHarness, createTestClock, type Harness, type TestClock, user } from './testing/harness.ts'
import { requestToken } from './token-request.ts'

const granted: Answer = { body: { access_token: 'access', token_type: 'Bearer' } }
const challenge = (nonce?: string): Answer => ({
  status: 400,
  headers: nonce === undefined ? {} : { 'dpop-nonce': nonce },
  body: { error: 'use_dpop_nonce' },
})

describe('a token request with a proof', () => {
  let upstream: FakeUpstream
  let nonces: DpopNonces
  beforeEach(async () => {
    upstream = await startFakeUpstream(() => 1_800_000_000)
    nonces = new Map()
  })
  afterEach(() => upstream.close())

  const key = createDpopKey()
  let count = 0
  const ask = async (
    parameters: Record<string, string> = { grant_type: 'refresh_token', refresh_token: 'canary-refresh' },
    timeoutMs?: number,
  ) =>
    requestToken({
      endpoint: `${upstream.origin}/token?tenant=1`,
      credentials: { clientId, clientSecret },
      clientAuthentication: 'post',
      parameters,
      errorClass: standardErrorClass,
      clock: () => 1_800_000_000,
      proof: { key: await key, jti: () => `jti-${++count}`, nonces },
      ...(timeoutMs !== undefined && { timeoutMs }),
    })
  const proofs = () => upstream.seen('/token').map(({ headers }) => String(headers.dpop))
  const noncesSent = () => proofs().map(proof => decodeJwt(proof).nonce)
  const classOf = (reply: Awaited<ReturnType<typeof ask>>) =>
    reply.outcome === 'refused' ? reply.error.errorClass : reply.outcome

  it('carries what RFC 9449 wants in it, and of the key the public half alone', async () => {
    upstream.script('/token', granted)
    expect(classOf(await ask())).toBe('granted')
    const [proof] = proofs()
    const { kty, crv, x, y, d } = await key
    expect(decodeProtectedHeader(proof!)).toEqual({ typ: 'dpop+jwt', alg: 'ES256', jwk: { kty, crv, x, y } })
    expect(decodeJwt(proof!)).toEqual({
      htm: 'POST',
      htu: `${upstream.origin}/token`,
      jti: `jti-${count}`,
      iat: 1_800_000_000,
    })
    expect(JSON.stringify(upstream.seen('/token'))).not.toContain(d)
  })

  it('is sent once more with the nonce that is asked for, and a proof of its own', async () => {
    upstream.script('/token', challenge('nonce-1'), granted)
    expect(classOf(await ask())).toBe('granted')
    expect(noncesSent()).toEqual([undefined, 'nonce-1'])
    const ids = proofs().map(proof => decodeJwt(proof).jti)
    expect(new Set(ids).size).toBe(2)
    const [first, second] = upstream.seen('/token')
    expect(second!.body).toBe(first!.body)
  })

  it.each([
    ['again and again', 'transient', [challenge('nonce-1'), challenge('nonce-2'), granted], 2],
    ['without naming it', 'transient', [challenge(), granted], 1],
    ['that no proof can carry', 'transient', [challenge('not one"'), granted], 1],
  ] as const)('R182: a nonce that is asked for %s is %s, and nobody is asked for ever', async (...row) => {
    const [, errorClass, answers, requests] = row
    upstream.script('/token', ...answers)
    expect(classOf(await ask())).toBe(errorClass)
    expect(proofs()).toHaveLength(requests)
  })

  it('the last nonce goes into the next proof, and those for codes are not those for refreshes', async () => {
    upstream.script(
      '/token',
      challenge('nonce-1'),
      { ...granted, headers: { 'dpop-nonce': 'nonce-2' } },
      granted,
    )
    await ask()
    await ask()
    await ask({ grant_type: 'authorization_code', code: 'canary-code' })
    expect(noncesSent()).toEqual([undefined, 'nonce-1', 'nonce-2', undefined])
  })

  it('R187: a second request that gets no answer ends like a first one', async () => {
    upstream.script('/token', challenge('nonce-1'), 'never')
    expect(classOf(await ask(undefined, 1000))).toBe('transient')
  })

  it('R182: a proof that is refused is for the deployer to mend, and ends no connection', async () => {
    upstream.script('/token', { status: 400, body: { error: 'invalid_dpop_proof' } })
    expect(classOf(await ask())).toBe('misconfigured')
    expect(proofs()).toHaveLength(1)
  })
})

describe('Google with dpop', () => {
  const redirectUri = 'http://localhost:1/oauth/callback/x'
  const scopes = ['https://www.googleapis.com/auth/calendar.readonly']
  let upstream: Upstream
  let clock: TestClock
  let store: MemoryStore
  beforeEach(async () => {
    upstream = await startUpstream({
      kind: 'google',
      clientId,
      clientSecret,
      redirectUris: [redirectUri],
      autoConsent: true,
    })
    clock = createTestClock(Math.floor(Date.now() / 1000))
    store = createMemoryStore()
  })
  afterEach(() => upstream.close())

  /** One process of a server. */
  function startProcess(dpop = true): Harness {
    const { authorize, token, jwks, revoke } = upstream.endpoints
    const provider = google({
      clientId,
      clientSecret,
      dpop,
      endpoints: {
        authorization: authorize,
        token,
        jwks,
        revocation: revoke,
        issuers: [upstream.issuer],
        apiOrigins: [upstream.apiOrigin],
      },
    })
    return createHarness(provider, { upstream: undefined as never, clock, host: { store } })
  }
  async function connect({ connected }: { connected: ConnectedProvider }, userId?: string) {
    const asking = { callbackUrl: redirectUri, scopes }
    const { url, memory } = await connected.login.start({
      ...asking,
      upstreamState: 'state-of-this-test',
      ...(userId && { userId }),
    })
    const browser = createBrowser({ stopAt: ({ href }) => href.startsWith(redirectUri) })
    const page = await browser.open(url)
    const result = await connected.login.finish({ ...asking, parameters: page.url.searchParams, memory })
    await result.onUser?.(user)
  }
  const stale = () => {
    upstream.control.expireAccessTokens()
    upstream.control.advance(4000)
    clock.now += 4000
  }
  const profile = async ({ connected }: { connected: ConnectedProvider }) =>
    (await connected.fetch(user, scopes, `${upstream.apiOrigin}/api/profile`)).status
  const secretsOf = (kind: string) =>
    upstream.control.secrets.filter(each => each.kind === kind).map(({ value }) => value)

  it('binds the code exchange to the code, and refreshes with the same key, in every process', async () => {
    const one = startProcess()
    await connect(one)
    const [code] = secretsOf('code')
    expect(upstream.proofs.map(({ outcome }) => outcome)).toEqual(['challenged', 'accepted'])
    expect(upstream.proofs.map(({ jti }) => jti)).toEqual([await hashCode(code!), await hashCode(code!)])
    stale()
    expect(await profile(one)).toBe(200)
    stale()
    // It finds the key with the refresh token, and has to learn a nonce first.
    expect(await profile(startProcess())).toBe(200)
    expect(upstream.proofs.map(({ grantType, outcome }) => `${grantType} ${outcome}`)).toEqual([
      'authorization_code challenged',
      'authorization_code accepted',
      'refresh_token challenged',
      'refresh_token accepted',
      'refresh_token challenged',
      'refresh_token accepted',
    ])
    expect(new Set(upstream.proofs.map(({ jkt }) => jkt)).size).toBe(1)
  })

  it('R180: a refresh that is asked for a nonce is one refresh, under one lease, whoever waits for it', async () => {
    const process = startProcess()
    await connect(process)
    stale()
    const claims: string[] = []
    const claim = store.claimLease
    store.claimLease = async step => {
      const outcome = await claim(step)
      claims.push(outcome.outcome)
      return outcome
    }
    expect(await Promise.all(Array.from({ length: 20 }, () => profile(process)))).toEqual(
      Array.from({ length: 20 }, () => 200),
    )
    expect(claims).toEqual(['claimed'])
    expect(process.events.filter(({ type }) => type === 'connection_refreshed')).toHaveLength(1)
    expect(process.events.filter(({ type }) => type === 'connection_refresh_failed')).toEqual([])
    stale()
    expect(await profile(process)).toBe(200)
    // The second time the nonce is known.
    expect(upstream.control.count('token', 'refresh_token')).toBe(3)
  })

  it('R162: a refresh token that leaked is good for nothing without the key, which is stored sealed', async () => {
    const { host, ...process } = startProcess()
    await connect(process)
    const [refreshToken] = secretsOf('refresh_token')
    const body = new URLSearchParams({
      grant_type: 'refresh_token',
      refresh_token: refreshToken!,
      client_id: clientId,
      client_secret: clientSecret,
    })
    const stolen = await fetch(upstream.endpoints.token, { method: 'POST', body })
    expect([stolen.status, await stolen.json()]).toEqual([400, { error: 'invalid_dpop_proof' }])
    const [connection] = await store.listConnections({ userId: user, now: clock() })
    const opened = host.sealer.open(connection!.sealed, connectionSealContext(store.tenant, connection!))
    const { dpopKey } = JSON.parse(opened!.plaintext) as { dpopKey: DpopKey }
    expect(dpopKey).toMatchObject({ kty: 'EC', crv: 'P-256' })
    expect(JSON.stringify(connection)).not.toContain(dpopKey.d)
  })

  it('a sign-in that brings no refresh token leaves the stored one its key', async () => {
    const process = startProcess()
    await connect(process)
    await connect(process)
    expect(secretsOf('refresh_token')).toHaveLength(1)
    stale()
    expect(await profile(process)).toBe(200)
  })

  it('a connection made before goes on without a proof, and one made with it goes on after it is turned off', async () => {
    const without = startProcess(false)
    await connect(without)
    stale()
    expect(await profile(startProcess(true))).toBe(200)
    expect(upstream.proofs).toEqual([])

    upstream.control.revokeGrant(accounts[0].sub)
    const [connection] = await store.listConnections({ userId: user, now: clock() })
    await store.deleteConnection({ ...connection!, now: clock() })
    await connect(startProcess(true), user)
    stale()
    expect(await profile(startProcess(false))).toBe(200)
    expect(upstream.proofs.at(-1)).toMatchObject({ grantType: 'refresh_token', outcome: 'accepted' })
  })
})
