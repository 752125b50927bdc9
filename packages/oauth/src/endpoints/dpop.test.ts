import { describe, expect, it } from 'vitest'
import {
  challenge,
  configuredClients,
  createFixture as createServer,
  type Fixture,
  issuer,
  outcome,
  publicClient,
  redirectUri,
  resource,
  verifier,
} from '../authorization-server.fixture.ts'
import { createDpopKey, type DpopKey, signProof } from '../dpop.fixture.ts'
import { createBrowser, createFakeProvider, parametersOf } from './sign-in.fixture.ts'

const createFixture = (...[options, wrap]: Parameters<typeof createServer>) =>
  createServer({ signIn: createFakeProvider('google', 'Google'), ...options }, wrap)

type Body = Record<string, string>
const key = createDpopKey()
const other = createDpopKey()
const algs = 'algs="ES256 Ed25519 EdDSA PS256 RS256"'

const proofAt = (fixture: Fixture, path: string, by: DpopKey = key, change = {}) =>
  signProof(by, { url: issuer + path, now: fixture.time.now, ...change })

const asked = {
  response_type: 'code',
  client_id: 'public',
  redirect_uri: redirectUri,
  code_challenge: challenge,
  code_challenge_method: 'S256',
  scope: 'openid notes:read',
}

/** Opens the authorization endpoint and lives through the sign-in. */
async function signIn(fixture: Fixture, parameters: Body): Promise<URLSearchParams> {
  const browser = createBrowser(async request => (await fixture.server.handle(request))!)
  const page = await browser.open(`${issuer}/oauth/authorize?${new URLSearchParams(parameters)}`)
  const sentTo = await browser.submit(page, { decision: 'allow' })
  const state = new URL(sentTo.location!).searchParams.get('state')!
  const back = new URLSearchParams({ code: 'canary-upstream-code', state })
  return parametersOf(await browser.open(`${issuer}/oauth/callback/google?${back}`))
}
const redeem = (fixture: Fixture, code: string, by?: DpopKey) =>
  fixture.post(
    '/oauth/token',
    { grant_type: 'authorization_code', code, code_verifier: verifier, client_id: 'public' },
    by ? { DPoP: proofAt(fixture, '/oauth/token', by) } : {},
  )

/** A code is good with one key, and stays so while others try. */
async function expectBoundTo(fixture: Fixture, code: string): Promise<void> {
  for (const by of [undefined, other]) {
    expect(await outcome(await redeem(fixture, code, by))).toBe('400 invalid_grant')
  }
  expect(await outcome(await redeem(fixture, code, key))).toBe('200')
  // R97: neither does a second use by somebody without the key end anything.
  for (const by of [undefined, other]) {
    expect(await outcome(await redeem(fixture, code, by))).toBe('400 invalid_grant')
  }
  expect(fixture.events.filter(({ type }) => type === 'family_revoked')).toEqual([])
}

describe('a code bound to a key', () => {
  it('R159: dpop_jkt binds it from the beginning: somebody else cannot redeem it', async () => {
    const fixture = createFixture()
    const answer = await signIn(fixture, { ...asked, dpop_jkt: key.jkt })
    await expectBoundTo(fixture, answer.get('code')!)
  })

  it.each(['', 'short', `${key.jkt}A`, key.jkt.replace(/.$/, '=')])(
    'R159: dpop_jkt %j is no thumbprint',
    async dpop_jkt => {
      const fixture = createFixture()
      const answer = await fixture.post('/oauth/par', { ...asked, dpop_jkt })
      expect(await outcome(answer)).toBe(dpop_jkt === '' ? '201' : '400 invalid_request')
    },
  )

  it('R159: a pushed request with a proof binds it too, also where both name the key', async () => {
    for (const more of [{}, { dpop_jkt: key.jkt }]) {
      const fixture = createFixture()
      const headers = { DPoP: proofAt(fixture, '/oauth/par') }
      const response = await fixture.post('/oauth/par', { ...asked, ...more }, headers)
      expect(response.status).toBe(201)
      const { request_uri } = (await response.json()) as Body
      const answer = await signIn(fixture, { client_id: 'public', request_uri: request_uri! })
      await expectBoundTo(fixture, answer.get('code')!)
    }
  })

  it('R159: a pushed request that contradicts itself or brings no good proof is refused', async () => {
    const fixture = createFixture()
    const push = (body: Body, DPoP: string) => fixture.post('/oauth/par', { ...asked, ...body }, { DPoP })
    const contradiction = await push({ dpop_jkt: other.jkt }, proofAt(fixture, '/oauth/par'))
    expect(await outcome(contradiction)).toBe('400 invalid_request')
    const elsewhere = await push({}, proofAt(fixture, '/oauth/token'))
    expect(await outcome(elsewhere)).toBe('400 invalid_dpop_proof')
  })

  it('R60: pushing with proofs stores nothing, however often', async () => {
    const fixture = createFixture({}, store => ({
      ...store,
      claimSingleUse: () => Promise.reject(new Error('canary')),
    }))
    for (let count = 0; count < 3; count++) {
      const headers = { DPoP: proofAt(fixture, '/oauth/par') }
      expect((await fixture.post('/oauth/par', asked, headers)).status).toBe(201)
    }
  })

  it('R159: with nonces, pushing asks for one and brings the next', async () => {
    const fixture = createFixture({ dpopNonces: true })
    const push = (claims = {}) =>
      fixture.post('/oauth/par', asked, { DPoP: proofAt(fixture, '/oauth/par', key, { claims }) })
    const refused = await push()
    expect(await outcome(refused)).toBe('400 use_dpop_nonce')
    const taken = await push({ nonce: refused.headers.get('dpop-nonce') })
    expect(taken.status).toBe(201)
    expect(taken.headers.get('dpop-nonce')).toMatch(/^\d+\./)
  })

  it('R5: off, dpop_jkt is a parameter like any unknown one', async () => {
    const fixture = createFixture({ dpop: false })
    const answer = await signIn(fixture, { ...asked, dpop_jkt: 'canary' })
    expect(await outcome(await redeem(fixture, answer.get('code')!))).toBe('200')
  })
})

describe('userinfo', () => {
  const setUp = async (options: Parameters<typeof createServer>[0] = {}) => {
    const fixture = createFixture(options)
    const { code } = await fixture.placeCode(publicClient, { scopes: ['openid', 'notes:read'] })
    const nonce = fixture.server.dpop && options.dpopNonces ? await nonceOf(fixture) : undefined
    const proof = proofAt(fixture, '/oauth/token', key, { claims: { nonce } })
    const tokens = (await (
      await fixture.post(
        '/oauth/token',
        { grant_type: 'authorization_code', code, code_verifier: verifier, client_id: 'public' },
        { DPoP: proof },
      )
    ).json()) as Body
    const access = tokens.access_token!
    const ask = async (scheme: string, proof?: string) => {
      const headers = { authorization: `${scheme} ${access}`, ...(proof !== undefined && { DPoP: proof }) }
      const response = (await fixture.server.handle(new Request(`${issuer}/oauth/userinfo`, { headers })))!
      return { response, status: response.status, challenge: response.headers.get('www-authenticate') }
    }
    const sign = (change = {}) =>
      proofAt(fixture, '/oauth/userinfo', key, { method: 'GET', accessToken: access, ...change })
    return { fixture, access, ask, sign }
  }
  const nonceOf = async (fixture: Fixture) => {
    const body = { grant_type: 'authorization_code', client_id: 'public' }
    const answer = await fixture.post('/oauth/token', body, { DPoP: proofAt(fixture, '/oauth/token') })
    return answer.headers.get('dpop-nonce') ?? undefined
  }

  it.each(['DPoP', 'dpop', 'DPOP'])('R159: answers a bound token with its proof (%s)', async scheme => {
    const { ask, sign } = await setUp()
    const { response, status } = await ask(scheme, sign())
    expect([status, await response.json()]).toEqual([200, { sub: 'user-1' }])
  })

  it('R159: a bound token is no bearer token, with a proof or without', async () => {
    const { ask, sign } = await setUp()
    for (const proof of [undefined, sign()]) {
      expect(await ask('Bearer', proof)).toMatchObject({
        status: 401,
        challenge: `Bearer error="invalid_token", error_description="The access token is not valid.", DPoP ${algs}`,
      })
    }
  })

  it('R159: what is wrong with a proof is told in the words of DPoP', async () => {
    const { ask, sign } = await setUp()
    const proof = sign()
    await ask('DPoP', proof)
    for (const bad of [undefined, proof, sign({ method: 'POST' }), sign({ accessToken: 'another' }), 'x']) {
      const { status, challenge } = await ask('DPoP', bad)
      expect(status).toBe(401)
      expect(challenge).toMatch(/^DPoP error="invalid_dpop_proof", error_description="[^"]+", algs="[^"]+"$/)
    }
  })

  it('R159: asks for a nonce where one is needed', async () => {
    const { ask, sign } = await setUp({ dpopNonces: true })
    const { response, status, challenge } = await ask('DPoP', sign())
    expect([status, challenge?.split(',')[0]]).toEqual([401, 'DPoP error="use_dpop_nonce"'])
    const nonce = response.headers.get('dpop-nonce')
    expect((await ask('DPoP', sign({ claims: { nonce } }))).status).toBe(200)
  })

  it('R159: a bearer token with the scheme DPoP is refused, and where DPoP is off the scheme too', async () => {
    for (const dpop of [true, false]) {
      const fixture = createFixture({ dpop })
      const { access } = await fixture.session(publicClient, { scopes: ['openid'] })
      const url = `${issuer}/oauth/userinfo`
      const proof = signProof(key, { url, now: fixture.time.now, method: 'GET', accessToken: access })
      const headers = { authorization: `DPoP ${access}`, DPoP: proof }
      const response = (await fixture.server.handle(new Request(url, { headers })))!
      expect(response.status).toBe(401)
      expect(response.headers.get('www-authenticate')).toMatch(
        dpop ? /^DPoP error="invalid_token"/ : /^Bearer error=/,
      )
      expect(response.headers.get('www-authenticate')?.includes('algs=')).toBe(dpop)
    }
  })
})

describe('other endpoints', () => {
  const secret = 'canary-notes-api-secret-0123456789'
  const resourceServers = [{ id: 'api', secret, resources: [resource] }]

  it('R159: introspection tells the key: whoever asked checks the proof', async () => {
    const fixture = createFixture({ resourceServers })
    const { code } = await fixture.placeCode(publicClient)
    const { access_token } = (await (await redeem(fixture, code, key)).json()) as Body
    const introspect = async (token: string) =>
      (await fixture.post('/oauth/introspect', { token, client_id: 'api', client_secret: secret })).json()
    expect(await introspect(access_token!)).toMatchObject({
      active: true,
      token_type: 'DPoP',
      cnf: { jkt: key.jkt },
    })
    const { access } = await fixture.session(publicClient)
    const bearer = await introspect(access)
    expect(bearer).toMatchObject({ active: true, token_type: 'Bearer' })
    expect(bearer).not.toHaveProperty('cnf')
  })

  it.each(['access_token', 'refresh_token'])(
    'R139: its client revokes a bound %s without a proof: a session may always be ended',
    async name => {
      const fixture = createFixture()
      const { code } = await fixture.placeCode(publicClient)
      const tokens = (await (await redeem(fixture, code, key)).json()) as Body
      expect((await fixture.revoke(publicClient, tokens[name]!)).status).toBe(200)
      await expect(
        fixture.server.verifyAccessToken(tokens.access_token!, resource, key.jkt),
      ).rejects.toMatchObject({ code: 'invalid_token' })
    },
  )

  it('R19, R159: dpop_bound_access_tokens is registered, returned and kept to', async () => {
    const fixture = createFixture()
    const register = async (at: Fixture, more: object) => {
      const metadata = { redirect_uris: [redirectUri], token_endpoint_auth_method: 'none', ...more }
      const headers = { 'Content-Type': 'application/json' }
      const answer = await at.post('/oauth/register', JSON.stringify(metadata), headers)
      return { answer, body: (await answer.clone().json()) as Body }
    }
    const { body } = await register(fixture, { dpop_bound_access_tokens: true })
    expect(body.dpop_bound_access_tokens).toBe(true)
    const clientId = body.client_id!
    const client = { name: 'registered', clientId, headers: {}, body: { client_id: clientId } }
    const { code } = await fixture.placeCode(client)
    expect(await outcome(await fixture.redeem(client, code))).toBe('400 invalid_dpop_proof')
    for (const no of [{}, { dpop_bound_access_tokens: false }]) {
      expect((await register(fixture, no)).body).not.toHaveProperty('dpop_bound_access_tokens')
    }
    const bad = await register(fixture, { dpop_bound_access_tokens: 'yes' })
    expect(await outcome(bad.answer)).toBe('400 invalid_client_metadata')

    // Off: nothing is promised, and who registered before is served as everybody is.
    const off = createFixture({ dpop: false, store: fixture.store })
    const { body: without } = await register(off, { dpop_bound_access_tokens: true })
    expect(without).not.toHaveProperty('dpop_bound_access_tokens')
    expect(await outcome(await off.redeem(client, code))).toBe('200')
  })

  it.each([true, false])('R5, R159: the metadata names algorithms when it is on: %s', async dpop => {
    const { server } = createFixture({ dpop })
    const response = await server.handle(new Request(`${issuer}/.well-known/oauth-authorization-server`))
    const metadata = (await response!.json()) as { dpop_signing_alg_values_supported?: string[] }
    expect(metadata.dpop_signing_alg_values_supported).toEqual(
      dpop ? ['ES256', 'Ed25519', 'EdDSA', 'PS256', 'RS256'] : undefined,
    )
  })

  it('does not start with options that contradict each other', () => {
    expect(() => createFixture({ dpop: false, dpopNonces: true })).toThrow(/^The option dpopNonces needs/)
    const clients = configuredClients.map(client => ({ ...client, dpopBoundAccessTokens: true }))
    expect(() => createFixture({ dpop: false, clients })).toThrow(
      /^The client "public" of the option clients has dpopBoundAccessTokens: remove it/,
    )
  })
})
