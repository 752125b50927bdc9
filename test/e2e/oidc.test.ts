import * as oauth from 'oauth4webapi'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { callTool } from './support/mcp-request.ts'
import { createRawClient, http, type RawClient } from './support/raw-client.ts'
import { type Sallyport, startSallyport } from './support/sallyport.ts'

const signedOut = 'http://localhost:1/signed-out'
const createClient = (algorithm: 'oauth2' | 'oidc' = 'oidc') =>
  createRawClient(sallyport.mcpUrl, 'none', {
    algorithm,
    metadata: { post_logout_redirect_uris: [signedOut] },
  })

let sallyport: Sallyport
beforeAll(async () => {
  sallyport = await startSallyport()
})
afterAll(() => sallyport.close())

/** Signs in with every check of OpenID Connect Core §3.1.3.7 that there is. */
async function signIn(
  client: RawClient,
  options: { maxAge?: number; parameters?: Record<string, string> } = {},
) {
  const nonce = oauth.generateRandomNonce()
  const { maxAge } = options
  const { parameters, verifier } = await client.authorize({
    scope: 'openid mcp',
    parameters: {
      nonce,
      ...(maxAge === undefined ? {} : { max_age: `${maxAge}` }),
      ...options.parameters,
    },
  })
  const response = await client.redeem(parameters, verifier)
  const tokens = await oauth.processAuthorizationCodeResponse(client.server, client.client, response, {
    expectedNonce: nonce,
    requireIdToken: true,
    ...(maxAge === undefined ? {} : { maxAge }),
  })
  await oauth.validateApplicationLevelSignature(client.server, response, http)
  return { tokens, claims: oauth.getValidatedIdTokenClaims(tokens)! }
}

describe('OpenID Connect', () => {
  it.each(['oauth2', 'oidc'] as const)(
    'a strict client that read the %s document accepts the id_token, and userinfo says the same user',
    async algorithm => {
      const client = await createClient(algorithm)
      const { tokens, claims } = await signIn(client)
      expect(claims).toMatchObject({ iss: sallyport.origin, aud: client.client.client_id })

      const { server } = client
      const info = await oauth.processUserInfoResponse(
        server,
        client.client,
        claims.sub,
        await oauth.userInfoRequest(server, client.client, tokens.access_token, http),
      )
      expect(info).toEqual({ sub: claims.sub })

      const refreshed = await oauth.processRefreshTokenResponse(
        server,
        client.client,
        await client.refresh(tokens.refresh_token ?? ''),
      )
      const again = oauth.getValidatedIdTokenClaims(refreshed)
      expect(again).toMatchObject({ sub: claims.sub, sid: claims.sid })
      expect(again).not.toHaveProperty('nonce')
    },
  )

  it('the same user has the same sub for every client, and no two id_tokens share a session', async () => {
    const [first, second] = [await signIn(await createClient()), await signIn(await createClient())]
    expect(second.claims.sub).toBe(first.claims.sub)
    expect(second.claims.sid).not.toBe(first.claims.sid)
  })

  it('without openid there is no id_token, and userinfo is closed', async () => {
    const client = await createClient()
    const tokens = await client.signIn({ scope: 'mcp' })
    expect(tokens.id_token).toBeUndefined()
    const response = await oauth.userInfoRequest(client.server, client.client, tokens.access_token, http)
    expect(response.status).toBe(403)
    expect(response.headers.get('www-authenticate')).toContain('insufficient_scope')
  })

  it('R155: an id_token opens no tool and no userinfo', async () => {
    const client = await createClient()
    const { tokens } = await signIn(client)
    const token = tokens.id_token ?? ''
    expect((await callTool(sallyport.mcpUrl, 'whoami', {}, { token: tokens.access_token })).status).toBe(200)
    expect((await callTool(sallyport.mcpUrl, 'whoami', {}, { token })).status).toBe(401)
    const headers = { authorization: `Bearer ${token}` }
    expect((await fetch(client.server.userinfo_endpoint ?? '', { headers })).status).toBe(401)
  })

  it('max_age and prompt=login reach the provider, and the id_token says when the user signed in', async () => {
    const client = await createClient()
    const { claims, tokens } = await signIn(client, { maxAge: 60, parameters: { prompt: 'login' } })
    const request = new Request(sallyport.mcpUrl, {
      headers: { authorization: `Bearer ${tokens.access_token}` },
    })
    const access = await oauth.validateJwtAccessToken(client.server, request, sallyport.mcpUrl, http)
    expect(access.auth_time).toBe(claims.auth_time)
    expect(client.server.prompt_values_supported).toEqual(['none', 'consent', 'login'])
  })

  it('a client signs its user out: the page asks, the session ends, the browser goes where it was registered', async () => {
    const client = await createClient()
    const { tokens } = await signIn(client)
    const other = await signIn(client)
    const url = new URL(client.server.end_session_endpoint ?? '')
    url.search = new URLSearchParams({
      id_token_hint: tokens.id_token ?? '',
      post_logout_redirect_uri: signedOut,
      state: 'state-of-the-sign-out',
    }).toString()
    const page = await client.browser.open(url)
    expect(page.root.text).toContain('Raw client')
    expect((await callTool(sallyport.mcpUrl, 'whoami', {}, { token: tokens.access_token })).status).toBe(200)

    const end = await client.browser.submit(page, /^sign out$/i)
    expect(end.url.href).toBe(`${signedOut}?state=state-of-the-sign-out`)
    expect((await callTool(sallyport.mcpUrl, 'whoami', {}, { token: tokens.access_token })).status).toBe(401)
    expect((await client.refresh(tokens.refresh_token ?? '')).status).toBe(400)
    const { access_token: token } = other.tokens
    expect((await callTool(sallyport.mcpUrl, 'whoami', {}, { token })).status).toBe(200)
    expect(sallyport.logs()).not.toContain(tokens.id_token)
  })
})
