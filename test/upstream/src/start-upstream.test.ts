import { createRemoteJWKSet, jwtVerify } from 'jose'
import * as oauth from 'oauth4webapi'
import { afterEach, describe, expect, it } from 'vitest'
import { accounts } from './accounts.ts'
import { createBrowser } from './browser.ts'
import { googleScopes } from './kinds.ts'
import { startUpstream } from './start-upstream.ts'
import type { Upstream, UpstreamOptions } from './upstream.ts'

const [alice, bob] = accounts as unknown as [(typeof accounts)[0], (typeof accounts)[0]]
const redirectUri = 'http://localhost:1/oauth/callback/upstream'
const clientSecret = 'upstream-client-secret+with/odd=signs'
const http = { [oauth.allowInsecureRequests]: true }
const nonce = 'nonce-of-this-test'

const started: Upstream[] = []
afterEach(() => Promise.all(started.splice(0).map(upstream => upstream.close())))

async function start(options: Partial<UpstreamOptions> & Pick<UpstreamOptions, 'kind'>): Promise<Upstream> {
  const upstream = await startUpstream({
    clientId: 'sallyport',
    clientSecret,
    redirectUris: [redirectUri],
    autoConsent: true,
    ...options,
  })
  started.push(upstream)
  return upstream
}

const serverOf = ({ issuer, endpoints }: Upstream): oauth.AuthorizationServer => ({
  issuer,
  authorization_endpoint: endpoints.authorize,
  token_endpoint: endpoints.token,
  userinfo_endpoint: endpoints.userinfo,
  revocation_endpoint: endpoints.revoke,
  jwks_uri: endpoints.jwks,
})

const client: oauth.Client = { client_id: 'sallyport' }

async function authorize(
  upstream: Upstream,
  parameters: Record<string, string>,
  press?: RegExp,
): Promise<{ callback: URL; verifier: string }> {
  const verifier = oauth.generateRandomCodeVerifier()
  const url = new URL(upstream.endpoints.authorize)
  url.search = new URLSearchParams({
    client_id: client.client_id,
    redirect_uri: redirectUri,
    response_type: 'code',
    state: 'state-of-this-test',
    nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    ...parameters,
  }).toString()
  const browser = createBrowser({ stopAt: ({ href }) => href.startsWith(redirectUri) })
  const page = await browser.open(url)
  return { callback: (press ? await browser.submit(page, press) : page).url, verifier }
}

async function signIn(
  upstream: Upstream,
  parameters: Record<string, string>,
  authentication: oauth.ClientAuth = oauth.ClientSecretPost(clientSecret),
): Promise<oauth.TokenEndpointResponse> {
  const { callback, verifier } = await authorize(upstream, parameters)
  return redeem(upstream, callback, verifier, authentication)
}

async function redeem(
  upstream: Upstream,
  callback: URL,
  verifier: string,
  authentication: oauth.ClientAuth,
): Promise<oauth.TokenEndpointResponse> {
  const as = serverOf(upstream)
  const isLinkedIn = upstream.kind === 'linkedin'
  const checked = oauth.validateAuthResponse(as, client, callback, 'state-of-this-test')
  const response = await oauth.authorizationCodeGrantRequest(
    as,
    client,
    authentication,
    checked,
    redirectUri,
    isLinkedIn ? oauth.nopkce : verifier,
    http,
  )
  return oauth.processAuthorizationCodeResponse(as, client, response, {
    expectedNonce: isLinkedIn ? oauth.expectNoNonce : nonce,
  })
}

function refresh(upstream: Upstream, refreshToken: string | undefined): Promise<Response> {
  return oauth.refreshTokenGrantRequest(
    serverOf(upstream),
    client,
    oauth.ClientSecretPost(clientSecret),
    refreshToken ?? '',
    http,
  )
}

const callApi = (upstream: Upstream, token: string, path = '/api/profile', init: RequestInit = {}) =>
  fetch(upstream.apiOrigin + path, {
    ...init,
    headers: { authorization: `Bearer ${token}`, ...init.headers },
  })

describe('every upstream', () => {
  it('publishes its endpoints under its issuer', async () => {
    for (const kind of ['oidc', 'google', 'linkedin'] as const) {
      const upstream = await start({ kind })
      const issuer = new URL(upstream.issuer)
      const response = await oauth.discoveryRequest(issuer, { ...http, algorithm: 'oidc' })
      const body = (await response.json()) as oauth.AuthorizationServer
      expect(body).toMatchObject(serverOf(upstream))
    }
  })

  it('shows a form, and gives a code for the account the user chose', async () => {
    const upstream = await start({ kind: 'oidc', autoConsent: false })
    const browser = createBrowser({ stopAt: ({ href }) => href.startsWith(redirectUri) })
    const url = new URL(upstream.endpoints.authorize)
    url.search = `client_id=sallyport&redirect_uri=${redirectUri}&response_type=code&scope=openid&state=s`
    const page = await browser.open(url)
    expect(page.text).toContain(alice.name)
    const { url: callback } = await browser.submit(page, /^Allow$/, { account: bob.sub })
    const as = serverOf(upstream)
    const checked = oauth.validateAuthResponse(as, client, callback, 's')
    const response = await oauth.authorizationCodeGrantRequest(
      as,
      client,
      oauth.ClientSecretPost(clientSecret),
      checked,
      redirectUri,
      oauth.nopkce,
      http,
    )
    const result = await oauth.processAuthorizationCodeResponse(as, client, response)
    expect(oauth.getValidatedIdTokenClaims(result)?.sub).toBe(bob.sub)
  })

  it('tells the client when the user declines, in the words of the provider', async () => {
    const errors: Record<string, string | null> = {}
    for (const kind of ['oidc', 'google', 'linkedin'] as const) {
      const upstream = await start({ kind, autoConsent: false })
      const { callback } = await authorize(upstream, { scope: 'openid' }, /Cancel/)
      errors[kind] = callback.searchParams.get('error')
    }
    expect(errors).toEqual({
      oidc: 'access_denied',
      google: 'access_denied',
      linkedin: 'user_cancelled_authorize',
    })
  })

  it('opens its API for a live token only', async () => {
    for (const kind of ['oidc', 'google', 'linkedin'] as const) {
      const upstream = await start({ kind })
      const { access_token } = await signIn(upstream, { scope: 'openid profile email' })
      expect(await (await callApi(upstream, access_token)).json()).toEqual(alice)
      expect((await callApi(upstream, 'made-up')).status).toBe(401)
      expect(upstream.control.expireAccessTokens()).toBe(1)
      expect((await callApi(upstream, access_token)).status).toBe(401)
    }
  })

  it('signs in another account, counts by endpoint and grant, and remembers every secret', async () => {
    const upstream = await start({ kind: 'oidc', refreshTokens: 'always' })
    upstream.control.signInAs(bob.sub)
    const reply = await signIn(upstream, { scope: 'openid profile email' })
    expect(oauth.getValidatedIdTokenClaims(reply)?.sub).toBe(bob.sub)
    await refresh(upstream, reply.refresh_token)
    expect(upstream.control.count('token')).toBe(2)
    expect(upstream.control.count('token', 'refresh_token')).toBe(1)
    expect(upstream.control.count('authorize')).toBe(1)
    const kept = upstream.control.secrets
    expect(new Set(kept.map(({ kind }) => kind))).toEqual(
      new Set([
        'email',
        'state',
        'nonce',
        'code',
        'code_verifier',
        'access_token',
        'refresh_token',
        'id_token',
      ]),
    )
    expect(kept.map(({ value }) => value)).toEqual(
      expect.arrayContaining([reply.access_token, reply.refresh_token, reply.id_token]),
    )
  })

  it('gives tokens as short a life as the test asks for', async () => {
    const upstream = await start({ kind: 'google' })
    upstream.control.shortLife(42)
    expect((await signIn(upstream, { scope: 'openid' })).expires_in).toBe(42)
  })

  it('dates its id_tokens ahead, with a signature that holds', async () => {
    const upstream = await start({ kind: 'oidc' })
    const claimsOf = async () => {
      const { id_token = '' } = await signIn(upstream, { scope: 'openid' })
      const { payload } = await jwtVerify(id_token, createRemoteJWKSet(new URL(upstream.endpoints.jwks)))
      return payload
    }
    const now = await claimsOf()
    upstream.control.advance(100_000)
    const later = await claimsOf()
    expect((later.iat ?? 0) - (now.iat ?? 0)).toBeGreaterThanOrEqual(100_000)
    expect((later.exp ?? 0) - (later.iat ?? 0)).toBe(3600)
  })

  it('ends everything when the user takes the grant back', async () => {
    const upstream = await start({ kind: 'oidc', refreshTokens: 'always' })
    const { access_token, refresh_token } = await signIn(upstream, { scope: 'openid' })
    upstream.control.revokeGrant(alice.sub)
    expect((await callApi(upstream, access_token)).status).toBe(401)
    const answer = await refresh(upstream, refresh_token)
    expect([answer.status, await answer.json()]).toMatchObject([400, { error: 'invalid_grant' }])
  })
})

describe('faults', () => {
  it('answers with the status, body and Retry-After it was told, as often as it was told', async () => {
    const upstream = await start({ kind: 'google' })
    const { access_token } = await signIn(upstream, { scope: 'openid' })
    upstream.control.fail('api', { status: 429, retryAfter: 7, times: 2 })
    upstream.control.fail('api', { status: 500 })
    upstream.control.fail('api', { status: 400, body: { error: 'odd' } })
    const seen: unknown[] = []
    for (let call = 0; call < 5; call++) {
      const answer = await callApi(upstream, access_token)
      seen.push([answer.status, answer.headers.get('retry-after'), answer.headers.get('content-type')])
    }
    const json = 'application/json'
    expect(seen).toEqual([
      [429, '7', json],
      [429, '7', json],
      [500, null, 'text/html; charset=utf-8'],
      [400, null, json],
      [200, null, json],
    ])
  })

  it('hangs until released, and heals', async () => {
    const upstream = await start({ kind: 'oidc', refreshTokens: 'always' })
    const { refresh_token } = await signIn(upstream, { scope: 'openid' })
    const hold = upstream.control.hang('token')
    let answered = false
    const answer = refresh(upstream, refresh_token).finally(() => {
      answered = true
    })
    await hold.reached
    expect(answered).toBe(false)
    hold.release()
    expect((await answer).status).toBe(200)
    upstream.control.fail('token', { status: 503, times: Number.POSITIVE_INFINITY })
    expect((await refresh(upstream, refresh_token)).status).toBe(503)
    upstream.control.heal()
    expect((await refresh(upstream, refresh_token)).status).toBe(200)
  })

  it('holds back a reply after it has been decided, and tells when its client has gone', async () => {
    const upstream = await start({ kind: 'oidc', refreshTokens: 'always', rotateRefreshTokens: true })
    const { refresh_token } = await signIn(upstream, { scope: 'openid' })
    const hold = upstream.control.hangReply()
    const body = new URLSearchParams({
      grant_type: 'refresh_token',
      refresh_token: String(refresh_token),
      client_id: 'sallyport',
      client_secret: clientSecret,
    })
    const abort = new AbortController()
    const answer = fetch(upstream.endpoints.token, { method: 'POST', body, signal: abort.signal })
    await hold.reached
    abort.abort()
    await expect(answer).rejects.toThrow('aborted')
    await hold.gone
    hold.release()
    expect((await refresh(upstream, refresh_token)).status, 'it was used').toBe(400)
  })

  it('gives up a hanging request when its client does', async () => {
    const upstream = await start({ kind: 'oidc' })
    const hold = upstream.control.hang('token')
    const abort = new AbortController()
    const answer = fetch(upstream.endpoints.token, { method: 'POST', signal: abort.signal })
    await hold.reached
    abort.abort()
    await expect(answer).rejects.toThrow('aborted')
  })
})

describe('oidc', () => {
  it('gives a refresh token for offline_access with prompt=consent only', async () => {
    const upstream = await start({ kind: 'oidc' })
    const given = async (parameters: Record<string, string>) =>
      (await signIn(upstream, parameters)).refresh_token !== undefined
    expect(await given({ scope: 'openid' })).toBe(false)
    expect(await given({ scope: 'openid offline_access' })).toBe(false)
    expect(await given({ scope: 'openid offline_access', prompt: 'consent' })).toBe(true)
  })

  it('takes a client secret in the header and in the body', async () => {
    const upstream = await start({ kind: 'oidc' })
    for (const authentication of [
      oauth.ClientSecretBasic(clientSecret),
      oauth.ClientSecretPost(clientSecret),
    ])
      expect((await signIn(upstream, { scope: 'openid' }, authentication)).access_token).toBeTypeOf('string')
    await expect(
      signIn(upstream, { scope: 'openid' }, oauth.ClientSecretBasic('wrong')),
    ).rejects.toMatchObject({ status: 401 })
  })

  it('ends the grant when a single-use refresh token comes twice', async () => {
    const upstream = await start({ kind: 'oidc', refreshTokens: 'always', rotateRefreshTokens: true })
    const { refresh_token: first } = await signIn(upstream, { scope: 'openid' })
    const { refresh_token: second } = (await (await refresh(upstream, first)).json()) as Record<
      string,
      string
    >
    expect(second).not.toBe(first)
    expect(await (await refresh(upstream, first)).json()).toMatchObject({ error: 'invalid_grant' })
    expect(await (await refresh(upstream, second)).json()).toMatchObject({ error: 'invalid_grant' })
  })

  it('refuses a wrong code verifier', async () => {
    const upstream = await start({ kind: 'oidc' })
    const { callback } = await authorize(upstream, { scope: 'openid' })
    const other = oauth.generateRandomCodeVerifier()
    await expect(
      redeem(upstream, callback, other, oauth.ClientSecretPost(clientSecret)),
    ).rejects.toMatchObject({ error: 'invalid_grant' })
  })
})

describe('google', () => {
  const offline = { scope: 'openid', access_type: 'offline' }

  it('gives a refresh token for access_type=offline at the first consent, later for prompt=consent', async () => {
    const upstream = await start({ kind: 'google' })
    const given = async (parameters: Record<string, string>) =>
      (await signIn(upstream, parameters)).refresh_token !== undefined
    expect(await given(offline)).toBe(true)
    expect(await given(offline)).toBe(false)
    expect(await given({ ...offline, prompt: 'consent' })).toBe(true)
    expect(await given({ scope: 'openid', prompt: 'consent' })).toBe(false)
    upstream.control.signInAs(bob.sub)
    expect(await given({ scope: 'openid' })).toBe(false)
  })

  it('repeats no refresh token when it refreshes', async () => {
    const upstream = await start({ kind: 'google' })
    const { refresh_token, expires_in } = await signIn(upstream, offline)
    expect(expires_in).toBe(3600)
    for (let round = 0; round < 2; round++) {
      const reply = (await (await refresh(upstream, refresh_token)).json()) as Record<string, unknown>
      expect(reply.access_token).toBeTypeOf('string')
      expect(reply).not.toHaveProperty('refresh_token')
    }
  })

  it('grants fewer scopes than asked, and names them as full URIs', async () => {
    const upstream = await start({ kind: 'google' })
    upstream.control.grantOnly(['openid', 'email'])
    const { scope, access_token } = await signIn(upstream, {
      scope: `openid email profile ${googleScopes.calendarReadonly}`,
    })
    expect(scope?.split(' ').sort()).toEqual([googleScopes.email, 'openid'])
    expect((await callApi(upstream, access_token, '/calendar/v3/calendars/primary/events')).status).toBe(403)
  })

  it('adds what the account granted before when it is asked to, and nothing of another account', async () => {
    const upstream = await start({ kind: 'google' })
    const merging = { scope: 'openid email', include_granted_scopes: 'true' }
    const scopesOf = async (parameters: Record<string, string>) =>
      (await signIn(upstream, parameters)).scope?.split(' ').sort()
    await signIn(upstream, { scope: `openid ${googleScopes.calendarReadonly}` })
    expect(await scopesOf({ scope: 'openid email' })).toEqual([googleScopes.email, 'openid'])
    const all = [googleScopes.calendarReadonly, googleScopes.email, 'openid'].sort()
    expect(await scopesOf(merging)).toEqual(all)
    const { access_token } = await signIn(upstream, merging)
    expect((await callApi(upstream, access_token, '/calendar/v3/calendars/primary/events')).status).toBe(200)
    upstream.control.signInAs(bob.sub)
    expect(await scopesOf(merging)).toEqual([googleScopes.email, 'openid'])
  })

  it('lists the events of a calendar', async () => {
    const upstream = await start({ kind: 'google' })
    const { access_token } = await signIn(upstream, { scope: `openid ${googleScopes.calendarReadonly}` })
    const path = '/calendar/v3/calendars/primary/events?timeMin=2026-11-21T00:00:00Z'
    expect(await (await callApi(upstream, access_token, path)).json()).toMatchObject({
      kind: 'calendar#events',
      items: [{ summary: `Stand-up of ${alice.name}`, start: { dateTime: '2026-11-21T09:00:00Z' } }],
    })
  })

  it('lets the oldest refresh token die silently when there are too many', async () => {
    const upstream = await start({ kind: 'google', refreshTokenCap: 2 })
    const tokens: (string | undefined)[] = []
    for (let round = 0; round < 3; round++)
      tokens.push((await signIn(upstream, { ...offline, prompt: 'consent' })).refresh_token)
    const statuses = await Promise.all(tokens.map(async token => (await refresh(upstream, token)).status))
    expect(statuses).toEqual([400, 200, 200])
  })

  it('takes back the whole grant when one token is revoked, without client authentication', async () => {
    const upstream = await start({ kind: 'google' })
    const { access_token, refresh_token } = await signIn(upstream, offline)
    const revoke = () =>
      fetch(upstream.endpoints.revoke, {
        method: 'POST',
        body: new URLSearchParams({ token: access_token }),
      })
    expect((await revoke()).status).toBe(200)
    expect((await refresh(upstream, refresh_token)).status).toBe(400)
    expect((await revoke()).status).toBe(400)
    // The next consent is a first one again.
    expect((await signIn(upstream, offline)).refresh_token).toBeTypeOf('string')
  })
})

describe('linkedin', () => {
  const scope = 'openid profile email w_member_social'

  it('gives 60 days, no refresh token, no nonce, and its issuer with a path', async () => {
    const upstream = await start({ kind: 'linkedin' })
    const reply = await signIn(upstream, { scope })
    expect(reply.expires_in).toBe(60 * 86_400)
    expect(reply).not.toHaveProperty('refresh_token')
    const claims = oauth.getValidatedIdTokenClaims(reply)
    expect(claims).toMatchObject({ iss: `${upstream.origin}/oauth`, sub: alice.sub, email_verified: 'true' })
    expect(claims).not.toHaveProperty('nonce')
  })

  it('takes a code verifier for a failed client authentication', async () => {
    const upstream = await start({ kind: 'linkedin' })
    const { callback, verifier } = await authorize(upstream, { scope })
    const as = serverOf(upstream)
    const response = await oauth.authorizationCodeGrantRequest(
      as,
      client,
      oauth.ClientSecretPost(clientSecret),
      oauth.validateAuthResponse(as, client, callback, 'state-of-this-test'),
      redirectUri,
      verifier,
      http,
    )
    expect([response.status, await response.json()]).toMatchObject([401, { error: 'invalid_client' }])
  })

  it('refuses a client secret in the header', async () => {
    const upstream = await start({ kind: 'linkedin' })
    await expect(signIn(upstream, { scope }, oauth.ClientSecretBasic(clientSecret))).rejects.toMatchObject({
      error: 'invalid_client',
    })
  })

  it('gives partners a refresh token with a fixed end, and says invalid_request when it is dead', async () => {
    const upstream = await start({ kind: 'linkedin', refreshTokens: 'always' })
    const { refresh_token } = await signIn(upstream, { scope })
    const reply = (await (await refresh(upstream, refresh_token)).json()) as Record<string, unknown>
    expect(reply.refresh_token).toBe(refresh_token)
    expect(reply.refresh_token_expires_in).toSatisfy(
      (seconds: number) => seconds > 364 * 86_400 && seconds <= 365 * 86_400,
    )
    upstream.control.revokeGrant(alice.sub)
    const dead = await refresh(upstream, refresh_token)
    expect([dead.status, await dead.json()]).toMatchObject([400, { error: 'invalid_request' }])
  })

  it('wants its version headers on /rest/, and tells the new post in a header', async () => {
    const upstream = await start({ kind: 'linkedin' })
    const { access_token } = await signIn(upstream, { scope })
    const post = (headers: Record<string, string>) =>
      callApi(upstream, access_token, '/rest/posts', {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify({
          author: `urn:li:person:${alice.sub}`,
          commentary: 'Hello',
          visibility: 'PUBLIC',
          distribution: { feedDistribution: 'MAIN_FEED' },
          lifecycleState: 'PUBLISHED',
        }),
      })
    const restli = { 'x-restli-protocol-version': '2.0.0' }
    expect((await post(restli)).status).toBe(400)
    expect((await post({ ...restli, 'linkedin-version': '202401' })).status).toBe(426)
    expect((await post({ 'linkedin-version': '202610' })).status).toBe(400)
    const created = await post({ ...restli, 'linkedin-version': '202610' })
    expect([created.status, created.headers.get('x-restli-id')]).toEqual([
      201,
      'urn:li:share:7000000000000000001',
    ])
  })

  it('answers userinfo on its API origin', async () => {
    const upstream = await start({ kind: 'linkedin' })
    const { access_token } = await signIn(upstream, { scope })
    expect(new URL(upstream.endpoints.userinfo).origin).toBe(upstream.apiOrigin)
    const answer = await fetch(upstream.endpoints.userinfo, {
      headers: { authorization: `Bearer ${access_token}` },
    })
    expect(await answer.json()).toMatchObject({ sub: alice.sub, email: alice.email, email_verified: 'true' })
  })
})
