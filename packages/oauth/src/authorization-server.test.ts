import { createHash, generateKeyPairSync } from 'node:crypto'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { describe, expect, it, vi } from 'vitest'
import {
  createFixture,
  type Fixture,
  issuer,
  jwtKey,
  keyClient,
  otherResource,
  outcome,
  publicClient,
  redirectUri,
  resource,
  type TestClient,
} from './authorization-server.fixture.ts'
import { createAuthorizationServer } from './authorization-server.ts'
import { developmentSignIn } from './development-sign-in.ts'
import { type Answer, createBrowser, createFakeProvider, parametersOf } from './endpoints/sign-in.fixture.ts'
import { ConfigurationError, StoreUnavailableError } from './errors.ts'
import type { SallyportEvent } from './events.ts'
import { createPkcs8Signer } from './keys/pkcs8-signer.ts'
import { createSecretRing } from './keys/secret-ring.ts'
import { createMemoryStore } from './storage/memory-store.ts'
import type { Store } from './storage/store.ts'

type Body = Record<string, string>

const clientState = 'canary-client-state ü+%2F'
const verifier = 'canary-flow-verifier-0123456789-0123456789-0123456'
const challenge = createHash('sha256').update(verifier).digest('base64url')

const send = async (fixture: Pick<Fixture, 'server'>, request: Request): Promise<Response> => {
  const response = await fixture.server.handle(request)
  if (!response) throw new Error(`${new URL(request.url).pathname} is not a path of the server`)
  return response
}

const registration = (change: object = {}) => ({
  client_name: 'Example',
  redirect_uris: ['https://client.example/callback', 'http://127.0.0.1/callback'],
  token_endpoint_auth_method: 'none',
  ...change,
})
const register = async (fixture: Fixture, change: object = {}): Promise<Body> => {
  const response = await send(
    fixture,
    new Request(`${fixture.server.issuer}/oauth/register`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(registration(change)),
    }),
  )
  expect(response.status).toBe(201)
  return (await response.json()) as Body
}
const testClient = ({ client_id: clientId }: Body): TestClient => ({
  name: 'registered',
  clientId: clientId!,
  headers: {},
  body: { client_id: clientId! },
})

const authorizeUrl = (fixture: Fixture, clientId: string, change: Body = {}) =>
  `${fixture.server.issuer}/oauth/authorize?${new URLSearchParams({
    response_type: 'code',
    client_id: clientId,
    redirect_uri: redirectUri,
    code_challenge: challenge,
    code_challenge_method: 'S256',
    state: clientState,
    scope: 'notes:read',
    resource,
    ...change,
  })}`

/** From the authorization request to what the client gets, with a user who agrees and signs in upstream. */
async function signIn(fixture: Fixture, clientId: string, change: Body = {}): Promise<URLSearchParams> {
  const browser = createBrowser(request => send(fixture, request))
  const page = await browser.open(authorizeUrl(fixture, clientId, change))
  const sentTo = await browser.submit(page, { decision: 'allow' })
  const upstreamState = new URL(sentTo.location!).searchParams.get('state')!
  const back = new URLSearchParams({ code: 'canary-upstream-code', state: upstreamState })
  return parametersOf(await browser.open(`${fixture.server.issuer}/oauth/callback/google?${back}`))
}

describe('the whole way of a client', () => {
  it('registers, signs in upstream, calls, refreshes, revokes, and is out', async () => {
    const fixture = createFixture({ signIn: createFakeProvider('google', 'Google') })
    const client = testClient(await register(fixture))
    const answer = await signIn(fixture, client.clientId)
    expect(answer.get('state')).toBe(clientState)

    const redeemed = await fixture.redeem(client, answer.get('code')!, {
      code_verifier: verifier,
      redirect_uri: redirectUri,
      resource,
    })
    const tokens = (await redeemed.json()) as Body
    expect(tokens).toMatchObject({ token_type: 'Bearer', expires_in: 900, scope: 'notes:read' })
    const access = await fixture.server.verifyAccessToken(tokens.access_token!, resource)
    expect(access).toMatchObject({ clientId: client.clientId, scopes: ['notes:read'], resource, issuer })
    await expect(fixture.server.verifyAccessToken(tokens.access_token!, otherResource)).rejects.toMatchObject(
      {
        code: 'invalid_token',
      },
    )
    expect(await fixture.server.admin.listGrants(access.userId!)).toMatchObject([
      { grantId: access.grantId, clientName: 'Example' },
    ])

    const refreshed = (await (await fixture.refresh(client, tokens.refresh_token!)).json()) as Body
    expect(await fixture.isLive(refreshed.access_token!)).toBe(true)
    expect((await fixture.revoke(client, refreshed.refresh_token!)).status).toBe(200)
    expect(await fixture.isLive(tokens.access_token!)).toBe(false)
    expect(await fixture.isLive(refreshed.access_token!)).toBe(false)
    expect(await outcome(await fixture.refresh(client, refreshed.refresh_token!))).toBe('400 invalid_grant')
    expect(await fixture.server.admin.listGrants(access.userId!)).toEqual([])

    expect(fixture.events.map(({ type }) => type)).toEqual([
      'client_registered',
      'consent_shown',
      'consent_granted',
      'sign_in_succeeded',
      'code_issued',
      'signing_key_created',
      'token_issued',
      'token_rotated',
      'family_revoked',
    ])
  })

  it('signs in with a name on this machine, and the same name is the same user', async () => {
    const local = 'http://localhost:3000'
    const fixture = createFixture({
      issuer: local,
      resources: [`${local}/mcp`],
      signIn: developmentSignIn(),
    })
    const { client_id: clientId } = await register(fixture)
    const users: string[] = []
    for (const name of ['Ada', ' ada ', 'Grace']) {
      const browser = createBrowser(request => send(fixture, request))
      const url = authorizeUrl(fixture, clientId!, { resource: `${local}/mcp` })
      const sentTo = await browser.submit(await browser.open(url), { decision: 'allow' })
      const form = await browser.open(sentTo.location!)
      const code = parametersOf(await browser.submit(form, { name })).get('code')!
      const response = await send(
        fixture,
        new Request(`${local}/oauth/token`, {
          method: 'POST',
          body: new URLSearchParams({
            grant_type: 'authorization_code',
            client_id: clientId!,
            code,
            code_verifier: verifier,
          }),
        }),
      )
      const { access_token: access } = (await response.json()) as Body
      users.push((await fixture.server.verifyAccessToken(access!, `${local}/mcp`)).userId!)
    }
    expect(users[0]).toBe(users[1])
    expect(users[2]).not.toBe(users[0])
  })

  it('R7: a user who says no is sent back with access_denied, the state, and who says so', async () => {
    const fixture = createFixture({ signIn: createFakeProvider('google', 'Google') })
    const { client_id: clientId } = await register(fixture)
    const browser = createBrowser(request => send(fixture, request))
    const page = await browser.open(authorizeUrl(fixture, clientId!))
    const answer = parametersOf(await browser.submit(page, { decision: 'deny' }))
    expect(answer.getAll('iss')).toEqual([issuer])
    expect(Object.fromEntries(answer)).toMatchObject({ error: 'access_denied', state: clientState })
    expect(answer.has('code')).toBe(false)
  })
})

describe('what the server says of itself', () => {
  const documents = (base: string) => {
    const { origin, pathname } = new URL(base)
    const path = pathname === '/' ? '' : pathname
    return [
      `${origin}/.well-known/oauth-authorization-server${path}`,
      `${origin}/.well-known/openid-configuration${path}`,
      ...(path === '' ? [] : [`${origin}${path}/.well-known/openid-configuration`]),
    ]
  }

  it.each(['https://mcp.example.com', 'https://mcp.example.com:8443/auth/v1', 'http://localhost:3000'])(
    'R2: %s is named byte for byte in every document, answer and token',
    async base => {
      const fixture = createFixture({
        issuer: base,
        resources: [`${base}/mcp`],
        signIn: createFakeProvider('google', 'Google'),
      })
      const { client_id: clientId } = await register(fixture)
      const named = [fixture.server.issuer]
      for (const url of documents(base)) {
        const response = await send(fixture, new Request(url))
        expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/json'])
        named.push(((await response.json()) as Body).issuer!)
      }
      const answer = await signIn(fixture, clientId!, { resource: `${base}/mcp` })
      named.push(answer.get('iss')!)
      const response = await send(
        fixture,
        new Request(`${base}/oauth/token`, {
          method: 'POST',
          body: new URLSearchParams({
            grant_type: 'authorization_code',
            client_id: clientId!,
            code: answer.get('code')!,
            code_verifier: verifier,
          }),
        }),
      )
      const { access_token: access } = (await response.json()) as Body
      const payload = JSON.parse(Buffer.from(access!.split('.')[1]!, 'base64url').toString()) as Body
      named.push(payload.iss!)
      expect(new Set(named)).toEqual(new Set([base]))
    },
  )

  it('R1: locations that belong to another issuer are not ours', async () => {
    const { server } = createFixture({ issuer: 'https://mcp.example.com/auth' })
    for (const path of [
      '/.well-known/oauth-authorization-server',
      '/.well-known/openid-configuration',
      '/auth/.well-known/oauth-authorization-server',
      '/oauth/token',
    ]) {
      expect(await server.handle(new Request(`https://mcp.example.com${path}`))).toBeUndefined()
    }
  })

  it('R3: no host a caller names changes a document', async () => {
    const fixture = createFixture()
    for (const url of documents(issuer)) {
      const path = new URL(url).pathname
      const plain = await (await send(fixture, new Request(url))).text()
      const lied = await send(
        fixture,
        new Request(`http://evil.example${path}`, {
          headers: {
            'X-Forwarded-Host': 'evil.example',
            'X-Forwarded-Proto': 'http',
            Forwarded: 'host=evil.example',
          },
        }),
      )
      expect(await lied.text()).toBe(plain)
    }
  })

  it('R5: each endpoint the metadata names is there, and each method and grant it names works', async () => {
    const fixture = createFixture({ signIn: createFakeProvider('google', 'Google') })
    const metadata = (await (
      await send(fixture, new Request(`${issuer}/.well-known/oauth-authorization-server`))
    ).json()) as Record<string, unknown>
    for (const [name, url] of Object.entries(metadata)) {
      if (!/_(endpoint|uri)$/.test(name)) continue
      const options = await fixture.server.handle(new Request(String(url), { method: 'OPTIONS' }))
      expect([204, 405], name).toContain(options?.status)
    }
    for (const method of metadata.token_endpoint_auth_methods_supported as string[]) {
      const isJwt = method === 'private_key_jwt'
      const registered = await register(fixture, {
        token_endpoint_auth_method: method,
        ...(isJwt && { jwks: { keys: [jwtKey.publicJwk] } }),
      })
      const { client_id: clientId, client_secret: secret } = registered
      const encoded = Buffer.from(`${clientId}:${secret}`).toString('base64')
      const client: TestClient = isJwt
        ? keyClient(clientId!, jwtKey)
        : {
            name: method,
            clientId: clientId!,
            headers: method === 'client_secret_basic' ? { Authorization: `Basic ${encoded}` } : {},
            body: {
              ...(method !== 'client_secret_basic' && { client_id: clientId! }),
              ...(method === 'client_secret_post' && { client_secret: secret! }),
            },
          }
      const code = (await signIn(fixture, clientId!)).get('code')!
      const body = (await (await fixture.redeem(client, code, { code_verifier: verifier })).json()) as Body
      expect(await outcome(await fixture.refresh(client, body.refresh_token!)), method).toBe('200')
      expect((await fixture.revoke(client, body.access_token!)).status, method).toBe(200)
    }
    for (const scope of metadata.scopes_supported as string[]) {
      const { client_id: clientId } = await register(fixture)
      const code = (await signIn(fixture, clientId!, { scope })).get('code')!
      const response = await fixture.redeem(testClient({ client_id: clientId! }), code, {
        code_verifier: verifier,
      })
      // `openid` says nothing of the resource, so that the default scopes come with it.
      const granted = scope === 'openid' ? 'openid notes:read' : scope
      expect(((await response.json()) as Body).scope).toBe(granted)
    }
  })

  it.each([
    ['response_type', { response_type: 'token' }],
    ['response_mode', { response_mode: 'fragment' }],
    ['code_challenge_method', { code_challenge_method: 'plain' }],
    ['a method left out, which would mean plain', { code_challenge_method: '' }],
  ])('R5, R43, R44: what the metadata does not name is refused: %s', async (_, change) => {
    const fixture = createFixture({ signIn: createFakeProvider('google', 'Google') })
    const { client_id: clientId } = await register(fixture)
    const browser = createBrowser(request => send(fixture, request))
    const page = await browser.open(authorizeUrl(fixture, clientId!, change))
    expect([page.status, page.location]).toEqual([400, undefined])
  })

  it('R8, R13: what is off has no endpoint and no mention', async () => {
    const fixture = createFixture({ dynamicRegistration: false, clientIdMetadataDocuments: false })
    const response = await send(fixture, new Request(`${issuer}/.well-known/oauth-authorization-server`))
    const metadata = await response.json()
    expect(metadata).not.toHaveProperty('registration_endpoint')
    expect(metadata).not.toHaveProperty('client_id_metadata_document_supported')
    const request = new Request(`${issuer}/oauth/register`, { method: 'POST', body: '{}' })
    expect(await fixture.server.handle(request)).toBeUndefined()
    const client = testClient({ client_id: 'https://client.example/metadata.json' })
    expect(await outcome(await fixture.refresh(client, 'x'))).toBe('401 invalid_client')
  })

  it('R13: for the users of another issuer there are connections and nothing else', async () => {
    const signIn = createFakeProvider('google', 'Google')
    const connections = {
      plan: () => ({ needs: [{ login: signIn, scopes: ['calendar'] }] }),
      isConnected: async () => false,
    }
    const fixture = createFixture({ signIn, connections, connectionsOnly: true })
    await fixture.server.start()
    const paths = new Set(fixture.server.routes.map(({ path }) => path))
    expect([...paths].sort()).toEqual(['/account', '/oauth/callback/:id', '/oauth/connect/:id'])
    for (const path of ['/.well-known/oauth-authorization-server', '/oauth/jwks', '/oauth/authorize']) {
      expect(await fixture.server.handle(new Request(issuer + path))).toBeUndefined()
    }
    expect(await fixture.store.listSigningKeys({ now: fixture.time.now })).toEqual([])
    const link = await fixture.server.createConnectLink({ userId: 'u', providerId: 'google', scopes: [] })
    expect((await send(fixture, new Request(link))).status).toBe(200)
    await fixture.server.close()
  })

  it('R5: with OpenID Connect off there is no id_token, no endpoint of it and no mention', async () => {
    const fixture = createFixture({ openid: false, signIn: createFakeProvider('google', 'Google') })
    const response = await send(fixture, new Request(`${issuer}/.well-known/oauth-authorization-server`))
    expect(await response.text()).not.toMatch(/openid|id_token|userinfo|end_session|claims/)
    for (const path of ['/oauth/userinfo', '/oauth/end-session', '/oauth/end-session/answer']) {
      expect(await fixture.server.handle(new Request(issuer + path))).toBeUndefined()
    }
    const { client_id: clientId } = await register(fixture)
    const answer = await signIn(fixture, clientId!, { scope: 'openid notes:read', nonce: 'n-1' })
    const client = testClient({ client_id: clientId! })
    const redeemed = await fixture.redeem(client, answer.get('code')!, { code_verifier: verifier })
    const tokens = (await redeemed.json()) as Body
    expect(tokens.scope).toBe('notes:read')
    expect(tokens).not.toHaveProperty('id_token')
  })

  it('R5, R119: with OpenID Connect the id_token has the algorithm both documents name, and is nothing else', async () => {
    const fixture = createFixture({
      signIn: createFakeProvider('google', 'Google'),
      signingAlgorithm: 'PS256',
    })
    const documents: Record<string, string[]>[] = []
    for (const name of ['oauth-authorization-server', 'openid-configuration']) {
      const response = await send(fixture, new Request(`${issuer}/.well-known/${name}`))
      documents.push((await response.json()) as Record<string, string[]>)
    }
    const { client_id: clientId } = await register(fixture)
    const client = testClient({ client_id: clientId! })
    const answer = await signIn(fixture, clientId!, { scope: 'openid notes:read', nonce: 'n-1' })
    const redeemed = await fixture.redeem(client, answer.get('code')!, { code_verifier: verifier })
    const first = (await redeemed.json()) as Body
    expect(decodeProtectedHeader(first.id_token!)).toMatchObject({ typ: 'JWT', alg: 'PS256' })
    const claims = decodeJwt(first.id_token!)
    expect(claims).toMatchObject({ iss: issuer, aud: clientId, nonce: 'n-1' })
    expect(claims).not.toHaveProperty('auth_time')
    for (const document of documents) {
      expect(document.id_token_signing_alg_values_supported).toEqual(['PS256'])
      expect(document.claims_supported).toEqual(expect.arrayContaining(Object.keys(claims)))
    }

    const second = (await (await fixture.refresh(client, first.refresh_token!)).json()) as Body
    const { nonce: _, ...rest } = claims
    expect(decodeJwt(second.id_token!)).toEqual(rest)
    const narrow = { scope: 'notes:read' }
    const third = (await (await fixture.refresh(client, second.refresh_token!, narrow)).json()) as Body
    expect(third).not.toHaveProperty('id_token')

    // In no place of another token does it count.
    const idToken = first.id_token!
    expect(await fixture.isLive(idToken)).toBe(false)
    expect(await outcome(await fixture.refresh(client, idToken))).toBe('400 invalid_grant')
    expect(await outcome(await fixture.redeem(client, idToken, { code_verifier: verifier }))).toBe(
      '400 invalid_grant',
    )
    expect((await fixture.revoke(client, idToken)).status).toBe(200)
    expect(await fixture.isLive(third.access_token!)).toBe(true)
  })

  it('R174: the JWKS has what tokens are verified with, and nothing private', async () => {
    const fixture = createFixture()
    const { access } = await fixture.session(publicClient)
    const response = await send(fixture, new Request(`${issuer}/oauth/jwks`))
    expect(response.headers.get('access-control-allow-origin')).toBe('*')
    const { keys } = (await response.json()) as { keys: Body[] }
    const header = JSON.parse(Buffer.from(access.split('.')[0]!, 'base64url').toString()) as Body
    expect(keys.map(({ kid }) => kid)).toEqual([header.kid])
    for (const key of keys) {
      for (const member of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k', 'oth'])
        expect(key).not.toHaveProperty(member)
    }
  })
})

describe('when the store cannot answer', () => {
  /** A store whose `failing`-th call from now on rejects, once. */
  const faultyStore = (store: Store) => {
    const state = { calls: 0, failing: 0, failed: '' }
    const proxy = new Proxy(store, {
      get(target, name, receiver) {
        const method: unknown = Reflect.get(target, name, receiver)
        // The feed is no step: it is followed from the start.
        if (typeof method !== 'function' || name === 'watchRevocations') return method
        return (...args: unknown[]) => {
          if (++state.calls === state.failing) {
            state.failed = String(name)
            return Promise.reject(new StoreUnavailableError('canary-store-reason'))
          }
          return (method as (...args: unknown[]) => unknown).apply(target, args)
        }
      },
    })
    return { proxy, state }
  }

  /** Sends a request until it is not 503, at most twice; tells how often it was. */
  const persistent = (fixture: Fixture) => {
    const seen: Response[] = []
    const answer = async (request: Request): Promise<Response> => {
      const response = await send(fixture, request.clone() as Request)
      if (response.status !== 503) return response
      seen.push(response.clone())
      return send(fixture, request)
    }
    return { seen, answer }
  }

  const walk = async (
    fixture: Fixture,
    answer: (request: Request) => Promise<Response>,
    client: TestClient,
  ) => {
    const post = (path: string, body: Body) =>
      answer(new Request(issuer + path, { method: 'POST', body: new URLSearchParams(body) }))
    const browser = createBrowser(answer)
    let code: string | undefined
    // A provider's code is used up by the first try, so a callback that failed is begun again by the user.
    for (let attempt = 0; attempt < 2 && code === undefined; attempt++) {
      const page = await browser.open(authorizeUrl(fixture, client.clientId))
      const sentTo = await browser.submit(page, { decision: 'allow' })
      const state = new URL(sentTo.location!).searchParams.get('state')!
      const back: Answer = await browser.open(`${issuer}/oauth/callback/google?code=x&state=${state}`)
      expect([303, 403, 409]).toContain(back.status)
      if (back.location !== undefined) code = parametersOf(back).get('code') ?? undefined
    }
    const redeemed = (await (
      await post('/oauth/token', {
        grant_type: 'authorization_code',
        code: code!,
        code_verifier: verifier,
        ...client.body,
      })
    ).json()) as Body
    expect(Object.keys(redeemed)).toContain('refresh_token')
    const refreshed = (await (
      await post('/oauth/token', {
        grant_type: 'refresh_token',
        refresh_token: redeemed.refresh_token!,
        ...client.body,
      })
    ).json()) as Body
    expect(Object.keys(refreshed)).toContain('refresh_token')
    expect(await fixture.isLive(refreshed.access_token!)).toBe(true)
    expect((await post('/oauth/revoke', { token: refreshed.refresh_token!, ...client.body })).status).toBe(
      200,
    )
    expect(await fixture.isLive(refreshed.access_token!)).toBe(false)
  }

  const prepare = async (failing: number) => {
    const { proxy, state } = faultyStore(createMemoryStore())
    const fixture = createFixture({ store: proxy, signIn: createFakeProvider('google', 'Google') })
    const client = testClient(await register(fixture))
    // The verifier reads the list of revocations once; what a resource server answers then is its own test.
    await fixture.server.verifyAccessToken('x', resource).catch(() => {})
    Object.assign(state, { calls: 0, failing })
    return { fixture, client, state }
  }

  it('R92, R140: at any one step: one 503 that says when to come back, and then the way goes on', async () => {
    const clean = await prepare(0)
    await walk(clean.fixture, persistent(clean.fixture).answer, clean.client)
    const steps = clean.state.calls
    expect(steps).toBeGreaterThan(10)
    const failed = new Set<string>()
    for (let failing = 1; failing <= steps; failing++) {
      const { fixture, client, state } = await prepare(failing)
      const { seen, answer } = persistent(fixture)
      await walk(fixture, answer, client)
      failed.add(state.failed)
      expect(seen, state.failed).toHaveLength(1)
      expect(seen[0]!.headers.get('retry-after'), state.failed).toMatch(/^[1-9]\d*$/)
      const text = await seen[0]!.text()
      expect(text).not.toContain('canary-store-reason')
      const isJson = seen[0]!.headers.get('content-type') === 'application/json'
      if (isJson) expect(JSON.parse(text)).toMatchObject({ error: 'temporarily_unavailable' })
      expect(fixture.events.filter(({ type }) => type === 'store_unavailable')).toHaveLength(1)
      expect(fixture.events.map(({ type }) => type)).not.toContain('code_replayed')
      expect(fixture.events.map(({ type }) => type)).not.toContain('refresh_token_reused')
    }
    expect(failed).toContain('redeemCode')
    expect(failed).toContain('rotateRefreshToken')
    expect(failed).toContain('revokeGrant')
    expect(failed).toContain('putGrant')
  })
})

describe('R188: secrets stay where they belong', () => {
  it('no event, error, page or stored value holds a token, code, secret, verifier or state', async () => {
    const written: string[] = []
    const spied = (store: Store) =>
      new Proxy(store, {
        get(target, name, receiver) {
          const method: unknown = Reflect.get(target, name, receiver)
          if (typeof method !== 'function') return method
          return (...args: unknown[]) => {
            written.push(JSON.stringify(args))
            return (method as (...args: unknown[]) => unknown).apply(target, args)
          }
        },
      })
    const fixture = createFixture({ signIn: createFakeProvider('google', 'Google') }, spied)
    const answers: { path: string; status: number; text: string }[] = []
    const handle = fixture.server.handle
    const recording = {
      server: {
        ...fixture.server,
        handle: async (request: Request) => {
          const response = await handle(request)
          const copy = response!.clone()
          const headers = JSON.stringify([...copy.headers])
          answers.push({
            path: new URL(request.url).pathname,
            status: copy.status,
            text: `${headers}\n${await copy.text()}`,
          })
          return response
        },
      },
    }
    const ask = (request: Request) => send(recording, request)
    const post = (path: string, body: Body) =>
      ask(new Request(issuer + path, { method: 'POST', body: new URLSearchParams(body) }))

    const registered = await register(fixture, { token_endpoint_auth_method: 'client_secret_post' })
    const credentials = { client_id: registered.client_id!, client_secret: registered.client_secret! }
    const browser = createBrowser(ask)
    const page = await browser.open(authorizeUrl(fixture, registered.client_id!))
    const sentTo = await browser.submit(page, { decision: 'allow' })
    const upstreamState = new URL(sentTo.location!).searchParams.get('state')!
    const cookies = [...browser.cookies.values()]
    const back = new URLSearchParams({ code: 'canary-upstream-code', state: upstreamState })
    const callback = `${issuer}/oauth/callback/google?${back}`
    const code = parametersOf(await browser.open(callback)).get('code')!
    const redeem = { grant_type: 'authorization_code', code, code_verifier: verifier, ...credentials }
    const first = (await (await post('/oauth/token', redeem)).json()) as Body
    const refresh = { grant_type: 'refresh_token', refresh_token: first.refresh_token!, ...credentials }
    const second = (await (await post('/oauth/token', refresh)).json()) as Body

    const good = answers.length
    // Everything that can go wrong with these values in it.
    await browser.open(callback)
    await browser.open(
      authorizeUrl(fixture, registered.client_id!, { scope: verifier, code_challenge: verifier }),
    )
    await browser.open(
      authorizeUrl(fixture, registered.client_id!, { redirect_uri: `https://evil.example/${code}` }),
    )
    await browser.open(authorizeUrl(fixture, registered.client_secret!))
    await post('/oauth/token', { ...redeem, code_verifier: `${verifier}x` })
    await post('/oauth/token', { ...redeem, client_secret: `${registered.client_secret}x` })
    await post('/oauth/token', { ...refresh, scope: registered.client_secret! })
    await post('/oauth/token', { ...refresh, resource: first.refresh_token! })
    await post('/oauth/token', { ...refresh, grant_type: first.refresh_token! })
    await post('/oauth/token', { ...refresh, client_id: first.refresh_token! })
    await post('/oauth/revoke', { token: second.access_token!, client_id: registered.client_id! })
    await post('/oauth/token', redeem)
    const refusal = await fixture.server
      .verifyAccessToken(second.access_token!, resource)
      .catch(error => error)
    expect(refusal).toMatchObject({ code: 'invalid_token' })

    const secrets = {
      code,
      verifier,
      'client state': 'canary-client-state',
      'upstream code': 'canary-upstream-code',
      'upstream state': upstreamState,
      'client secret': registered.client_secret!,
      'ring secret': 'canary-ring-secret',
      'first access token': first.access_token!,
      'first refresh token': first.refresh_token!,
      'second access token': second.access_token!,
      'second refresh token': second.refresh_token!,
      ...Object.fromEntries(cookies.map((cookie, at) => [`cookie ${at}`, cookie])),
    }
    const failures = answers.slice(good)
    expect(failures.every(({ status }) => status >= 400)).toBe(true)
    const told = JSON.stringify(fixture.events)
    expect(fixture.events.length).toBeGreaterThan(5)
    expect(written.length).toBeGreaterThan(10)
    for (const [name, secret] of Object.entries(secrets)) {
      expect(told, `${name} in an event`).not.toContain(secret)
      expect(written.join('\n'), `${name} in the store`).not.toContain(secret)
      for (const { path, status, text } of failures) {
        // The browser's own cookie is set anew with each page; everything else has no place in a refusal.
        const visible = name.startsWith('cookie') ? text.replace(/\["set-cookie","[^"]*"\]/g, '') : text
        expect(visible, `${name} in the ${status} of ${path}`).not.toContain(secret)
      }
      expect(`${refusal.message} ${JSON.stringify(refusal)} ${refusal.cause}`, name).not.toContain(secret)
    }
  })
})

describe('the server as a part of an application', () => {
  it('leaves paths that are not its own to the application', async () => {
    const { server } = createFixture()
    expect(await server.handle(new Request(`${issuer}/mcp`, { method: 'POST' }))).toBeUndefined()
    expect(await server.handle(new Request(`${issuer}/`))).toBeUndefined()
  })

  it('says which paths it answers', async () => {
    const { server } = createFixture()
    expect(server.routes.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'GET /.well-known/oauth-authorization-server',
      'GET /.well-known/openid-configuration',
      'GET /oauth/jwks',
      'GET /oauth/authorize',
      'POST /oauth/authorize',
      'POST /oauth/consent',
      'GET /oauth/callback/:id',
      'POST /oauth/callback/:id',
      'GET /oauth/connect/:id',
      'POST /oauth/connect/:id',
      'GET /account',
      'POST /account',
      'POST /oauth/par',
      'POST /oauth/token',
      'POST /oauth/revoke',
      'GET /oauth/userinfo',
      'POST /oauth/userinfo',
      'GET /oauth/end-session',
      'POST /oauth/end-session',
      'POST /oauth/end-session/answer',
      'POST /oauth/register',
    ])
  })

  it('R4: does not come up with options that cannot work', () => {
    expect(() => createFixture({ issuer: 'http://public.example' })).toThrow(ConfigurationError)
  })

  it('start makes the key, so that the first request waits for nothing, and works twice', async () => {
    const fixture = createFixture()
    await fixture.server.start()
    await fixture.server.start()
    expect(fixture.events).toEqual([{ type: 'signing_key_created', kid: expect.any(String) }])
    await fixture.server.close()
  })

  it('R170: what has ended is deleted as often as the option says', async () => {
    vi.useFakeTimers()
    try {
      const store = createMemoryStore()
      const fixture = createFixture({ store, cleanupIntervalSeconds: 5 })
      await fixture.server.start()
      const { size } = store
      await fixture.placeCode(publicClient)
      fixture.time.now += 600
      await vi.advanceTimersByTimeAsync(4_999)
      expect(store.size).toBe(size + 1)
      await vi.advanceTimersByTimeAsync(1)
      expect(store.size).toBe(size)
      await fixture.server.close()
    } finally {
      vi.useRealTimers()
    }
    for (const cleanupIntervalSeconds of [0, 0.5, 86_401, Number.NaN]) {
      expect(() => createFixture({ cleanupIntervalSeconds })).toThrow(
        /^The option cleanupIntervalSeconds must be/,
      )
    }
  })

  it('what has ended is deleted every ten minutes until close, and a store that is down stops nothing', async () => {
    vi.useFakeTimers()
    try {
      const calls: number[] = []
      const fixture = createFixture(
        {},
        store =>
          new Proxy(store, {
            get: (target, name, receiver) =>
              name === 'cleanupExpired'
                ? async ({ now }: { now: number }) => {
                    calls.push(now)
                    if (calls.length === 1) throw new StoreUnavailableError('down')
                  }
                : Reflect.get(target, name, receiver),
          }),
      )
      await fixture.server.start()
      await vi.advanceTimersByTimeAsync(1_200_000)
      expect(calls).toEqual([fixture.time.now, fixture.time.now])
      expect(fixture.events).toContainEqual({ type: 'store_unavailable', step: 'cleanupExpired' })
      await fixture.server.close()
      await vi.advanceTimersByTimeAsync(1_200_000)
      expect(calls).toHaveLength(2)
    } finally {
      vi.useRealTimers()
    }
  })

  it('R174: a server nobody calls rotates its signing key too', async () => {
    vi.useFakeTimers()
    try {
      const fixture = createFixture()
      await fixture.server.start()
      fixture.time.now += 89 * 86_400
      await vi.advanceTimersByTimeAsync(600_000)
      await vi.waitFor(async () =>
        expect(await fixture.store.listSigningKeys({ now: fixture.time.now })).toHaveLength(2),
      )
      await fixture.server.close()
    } finally {
      vi.useRealTimers()
    }
  })

  it('start says so when the store cannot answer', async () => {
    const store = new Proxy(createMemoryStore(), {
      get: (target, name, receiver) =>
        name === 'check'
          ? () => Promise.reject(new StoreUnavailableError('down'))
          : Reflect.get(target, name, receiver),
    })
    await expect(createFixture({ store }).server.start()).rejects.toThrow(StoreUnavailableError)
  })

  it('R174: with signers, they sign and are published, and the store holds no key', async () => {
    const pem = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    const [first, second] = [
      await createPkcs8Signer({ pem, alg: 'EdDSA', kid: 'new' }),
      await createPkcs8Signer({ pem, alg: 'EdDSA', kid: 'old' }),
    ]
    let isDown = false
    const sign = async (data: Uint8Array) => {
      if (isDown) throw new Error('canary-hsm')
      return first.sign(data)
    }
    const fixture = createFixture({ signers: [{ ...first, sign }, second] })
    await fixture.server.start()
    const { access, refresh } = await fixture.session(publicClient)
    expect(decodeProtectedHeader(access)).toEqual({ typ: 'at+jwt', alg: 'EdDSA', kid: 'new' })
    expect(await fixture.isLive(access)).toBe(true)
    const response = await send(fixture, new Request(`${issuer}/oauth/jwks`))
    const { keys } = (await response.json()) as { keys: { kid: string }[] }
    expect(keys.map(({ kid }) => kid)).toEqual(['new', 'old'])
    expect(await fixture.store.listSigningKeys({ now: fixture.time.now })).toEqual([])

    // R92: nobody is signed out by an HSM that is away; the refresh token is as good as before.
    isDown = true
    const refused = await fixture.refresh(publicClient, refresh)
    expect(refused.headers.get('Retry-After')).toBe('1')
    expect(await outcome(refused)).toBe('503 temporarily_unavailable')
    expect(fixture.events).toContainEqual({ type: 'signer_failed', kid: 'new', errorName: 'Error' })
    isDown = false
    expect(await outcome(await fixture.refresh(publicClient, refresh))).toBe('200')
    await fixture.server.close()
  })

  it('works with nothing but the options it must have', async () => {
    const events: SallyportEvent[] = []
    const server = createAuthorizationServer({
      issuer,
      serverName: 'Notes',
      resources: [resource],
      scopes: {},
      defaultScopes: [],
      store: createMemoryStore(),
      secrets: createSecretRing(['canary-ring-secret-0123456789-0123456789']),
      signIn: createFakeProvider('google', 'Google'),
      onEvent: event => events.push(event),
    })
    await server.start()
    const response = await server.handle(new Request(`${issuer}/oauth/jwks`))
    expect(response?.status).toBe(200)
    await server.close()
    expect(events).toHaveLength(1)
  })

  it('a link to connect an account belongs to a provider that some tool needs', async () => {
    const google = createFakeProvider('google', 'Google')
    const { server } = createFixture({
      signIn: google,
      connections: {
        plan: () => ({ needs: [{ login: google, scopes: ['calendar'] }] }),
        isConnected: async () => false,
      },
    })
    const link = await server.createConnectLink({
      userId: 'user-of-the-link',
      providerId: 'google',
      scopes: ['calendar'],
    })
    expect(link.startsWith(`${issuer}/oauth/connect/google?`)).toBe(true)
    expect(link).not.toContain('user-of-the-link')
    expect((await server.handle(new Request(link)))?.status).toBe(200)
    await expect(
      server.createConnectLink({ userId: 'user-of-the-link', providerId: 'nobody', scopes: [] }),
    ).rejects.toThrow(TypeError)
  })
})
