import { Client, DpopSession, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import * as oauth from 'oauth4webapi'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createClientProvider } from './support/client-provider.ts'
import { connectionOf, liveThrough, type StoryClient } from './support/client-story.ts'
import { callTool, resultText } from './support/mcp-request.ts'
import { createRawClient, http, type RawClient, redirectUri } from './support/raw-client.ts'
import { type Sallyport, startSallyport } from './support/sallyport.ts'
import { passSignIn } from './support/sign-in.ts'

const redirectUrl = 'http://localhost:1/callback'
const whoami = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'whoami', arguments: {} } }

let sallyport: Sallyport
afterEach(() => sallyport.close())

/** A key of `oauth4webapi`, and the one request the library cannot know: a tool call. */
async function createProver(algorithm: 'ES256' | 'PS256' | 'Ed25519' = 'ES256') {
  const DPoP = oauth.DPoP({}, await oauth.generateKeyPair(algorithm))
  const call = (token: string) =>
    oauth.protectedResourceRequest(
      token,
      'POST',
      new URL(sallyport.mcpUrl),
      new Headers({
        accept: 'application/json, text/event-stream',
        'content-type': 'application/json',
        'mcp-protocol-version': '2025-11-25',
      }),
      JSON.stringify(whoami),
      { DPoP, ...http },
    )
  return { DPoP, call }
}
const errorOf = async (response: Response) => ((await response.json()) as { error?: string }).error

async function signIn(client: RawClient, DPoP: oauth.DPoPHandle, parameters = {}) {
  const answer = await client.authorize({ scope: 'openid mcp', parameters })
  const response = await client.redeem(answer.parameters, answer.verifier, { DPoP })
  return oauth.processAuthorizationCodeResponse(client.server, client.client, response)
}

describe('oauth4webapi with DPoP', () => {
  beforeEach(async () => {
    sallyport = await startSallyport()
  })

  it.each(['ES256', 'PS256', 'Ed25519'] as const)(
    'R159: signs in, calls, asks who it is, refreshes and revokes with a key for %s',
    async algorithm => {
      const client = await createRawClient(sallyport.mcpUrl)
      expect(client.server.dpop_signing_alg_values_supported).toContain(algorithm)
      expect(client.resource.dpop_signing_alg_values_supported).toContain(algorithm)
      const { DPoP, call } = await createProver(algorithm)
      const tokens = await signIn(client, DPoP)
      expect(tokens.token_type).toBe('dpop')
      const called = await call(tokens.access_token)
      expect(JSON.parse(await resultText(called))).toMatchObject({ clientId: client.client.client_id })

      const { access_token } = tokens
      const answer = await oauth.userInfoRequest(client.server, client.client, access_token, {
        DPoP,
        ...http,
      })
      const { sub } = await oauth.processUserInfoResponse(
        client.server,
        client.client,
        oauth.skipSubjectCheck,
        answer,
      )
      expect(sub).toBeTypeOf('string')

      const refreshed = await client.refresh(tokens.refresh_token ?? '', { DPoP })
      const next = await oauth.processRefreshTokenResponse(client.server, client.client, refreshed)
      expect(next.token_type).toBe('dpop')
      expect((await call(next.access_token)).status).toBe(200)
      await oauth.processRevocationResponse(await client.revoke(next.refresh_token ?? ''))
      await expect(call(next.access_token)).rejects.toMatchObject({
        cause: [{ scheme: 'dpop', parameters: { error: 'invalid_token' } }],
      })
    },
  )

  it('R154, R159: another resource server takes the token by the rules of RFC 9068 and RFC 9449', async () => {
    const client = await createRawClient(sallyport.mcpUrl)
    const { DPoP } = await createProver()
    const { access_token } = await signIn(client, DPoP)
    let sent: Request | undefined
    const capture = async (
      url: string,
      { method, headers }: { method: string; headers: Record<string, string> },
    ) => {
      sent = new Request(url, { method, headers })
      return new Response(null, { status: 204 })
    }
    const url = new URL(sallyport.mcpUrl)
    const options = { DPoP, ...http, [oauth.customFetch]: capture }
    await oauth.protectedResourceRequest(access_token, 'GET', url, new Headers(), null, options)
    const claims = await oauth.validateJwtAccessToken(client.server, sent!, sallyport.mcpUrl, {
      ...http,
      requireDPoP: true,
    })
    expect(claims.cnf).toEqual({ jkt: await DPoP.calculateThumbprint() })
  })

  it('R159: what was stolen opens nothing, and its theft ends nothing', async () => {
    const client = await createRawClient(sallyport.mcpUrl)
    const { DPoP, call } = await createProver()
    const thief = await createProver()
    const tokens = await signIn(client, DPoP)
    const { access_token: token, refresh_token = '' } = tokens
    expect((await callTool(sallyport.mcpUrl, 'whoami', {}, { token })).status).toBe(401)
    await expect(thief.call(token)).rejects.toMatchObject({
      cause: [{ scheme: 'dpop', parameters: { error: 'invalid_token' } }],
    })
    expect(await errorOf(await client.refresh(refresh_token))).toBe('invalid_grant')
    expect(await errorOf(await client.refresh(refresh_token, thief))).toBe('invalid_grant')
    expect((await call(token)).status).toBe(200)
    expect((await client.refresh(refresh_token, { DPoP })).status).toBe(200)
  })

  it('R105, R159: 20 parallel refreshes with one key get the same successor', async () => {
    const client = await createRawClient(sallyport.mcpUrl)
    const { DPoP } = await createProver()
    const { refresh_token = '' } = await signIn(client, DPoP)
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => client.refresh(refresh_token, { DPoP })),
    )
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    const bodies = await Promise.all(answers.map(answer => answer.json() as Promise<Record<string, unknown>>))
    expect(new Set(bodies.map(body => body.refresh_token)).size).toBe(1)
  })

  it('R159: a code asked for with dpop_jkt is for that key', async () => {
    const client = await createRawClient(sallyport.mcpUrl)
    const { DPoP } = await createProver()
    const thief = await createProver()
    const dpop_jkt = await DPoP.calculateThumbprint()
    const { parameters, verifier } = await client.authorize({ parameters: { dpop_jkt } })
    expect(await errorOf(await client.redeem(parameters, verifier))).toBe('invalid_grant')
    expect(await errorOf(await client.redeem(parameters, verifier, thief))).toBe('invalid_grant')
    expect((await client.redeem(parameters, verifier, { DPoP })).status).toBe(200)
  })

  it('R62, R159: a request pushed with a proof gets a code for that key', async () => {
    const client = await createRawClient(sallyport.mcpUrl)
    const { DPoP } = await createProver()
    const thief = await createProver()
    const verifier = oauth.generateRandomCodeVerifier()
    const pushed = await oauth.processPushedAuthorizationResponse(
      client.server,
      client.client,
      await oauth.pushedAuthorizationRequest(
        client.server,
        client.client,
        client.authentication,
        new URLSearchParams({
          redirect_uri: redirectUri,
          response_type: 'code',
          code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
          code_challenge_method: 'S256',
        }),
        { DPoP, ...http },
      ),
    )
    const url = new URL(client.server.authorization_endpoint ?? '')
    const { client_id } = client.client
    url.search = new URLSearchParams({ client_id, request_uri: pushed.request_uri }).toString()
    const { url: callback } = await passSignIn(client.browser, url)
    const parameters = oauth.validateAuthResponse(client.server, client.client, callback, oauth.expectNoState)
    expect(await errorOf(await client.redeem(parameters, verifier, thief))).toBe('invalid_grant')
    expect((await client.redeem(parameters, verifier, { DPoP })).status).toBe(200)
  })

  it('R159: a client that always proves a key gets nothing without', async () => {
    const metadata = { dpop_bound_access_tokens: true }
    const client = await createRawClient(sallyport.mcpUrl, 'none', { metadata })
    expect(client.client.dpop_bound_access_tokens).toBe(true)
    const { parameters, verifier } = await client.authorize()
    expect(await errorOf(await client.redeem(parameters, verifier))).toBe('invalid_dpop_proof')
    const { DPoP } = await createProver()
    expect((await client.redeem(parameters, verifier, { DPoP })).status).toBe(200)
  })
})

describe('oauth4webapi with nonces', () => {
  it('R159: comes again with the nonce it is asked for, at the endpoint and at the resource', async () => {
    sallyport = await startSallyport({ dpopNonces: true })
    const client = await createRawClient(sallyport.mcpUrl)
    const { DPoP, call } = await createProver()
    const { parameters, verifier } = await client.authorize()
    const redeem = async () =>
      oauth.processAuthorizationCodeResponse(
        client.server,
        client.client,
        await client.redeem(parameters, verifier, { DPoP }),
      )
    const refused = await redeem().catch((error: unknown) => error)
    expect(oauth.isDPoPNonceError(refused)).toBe(true)
    const { access_token } = await redeem()
    expect((await call(access_token)).status).toBe(200)
  })
})

/** `@modelcontextprotocol/client` 2.x with a key. */
async function createClient(): Promise<StoryClient> {
  const session = await DpopSession.create()
  const provider = Object.assign(createClientProvider({ redirectUrl }), { dpop: () => session })
  return {
    memory: provider.memory,
    redirectUrl,
    stepsUp: true,
    async connect() {
      const transport = new StreamableHTTPClientTransport(new URL(sallyport.mcpUrl), {
        authProvider: provider,
      })
      const client = new Client({ name: 'e2e', version: '1' }, { versionNegotiation: { mode: 'auto' } })
      await client.connect(transport)
      return connectionOf(client, parameters => transport.finishAuth(parameters))
    },
  }
}

describe('MCP client 2.x with DPoP', () => {
  it.each([false, true])('R159: lives through a whole session (nonces: %s)', async dpopNonces => {
    // The client signs by this machine's clock: the server's may be no more than five minutes ahead of it.
    const environment = { OAUTH_ACCESS_TOKEN_TTL: '60' }
    sallyport = await startSallyport({ dpopNonces, environment })
    const client = await createClient()
    await liveThrough(client, sallyport)
    expect(client.memory.history.length).toBeGreaterThan(2)
    expect(new Set(client.memory.history.map(({ token_type }) => token_type))).toEqual(new Set(['DPoP']))
  })
})
