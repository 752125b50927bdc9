import { createHash } from 'node:crypto'
import type { ConfiguredClient } from '@sallyport/oauth'
import type { Browser, Place, Serve } from './browser.ts'

/** Secret of the clients that call for themselves on a test server; it opens nothing else. */
export const machineSecret = 'secret-of-a-machine-on-a-test-server'

const redirectUri = 'http://127.0.0.1:4999/callback'
const verifier = 'a-code-verifier-of-the-test-kit-0123456789abcdef'

/** The MCP client that users of a test server come with. */
export const testClient: ConfiguredClient = {
  clientId: 'test-client',
  clientName: 'Test client',
  redirectUris: [redirectUri],
}

/** Tokens as the server gave them. */
export interface IssuedTokens {
  accessToken: string
  refreshToken: string | undefined
  scopes: readonly string[]
}

/** Where the test server is. */
export interface Endpoint {
  serve: Serve
  origin: string
}

/** Where a browser goes on from another site than the server. */
export type Elsewhere = (url: string) => string | undefined

/**
 * Walks through pages as a user who agrees to everything: submits each form of the sign-in, and comes back from each
 * provider.
 *
 * @returns the first page without a form, or the address to which the way led in the end
 */
export async function walk(browser: Browser, url: string, elsewhere: Elsewhere): Promise<Place> {
  let place = await browser.browse(url)
  for (let steps = 0; steps < 20; steps++) {
    if (place.html === undefined) {
      const back = elsewhere(place.url.href)
      if (back === undefined) return place
      place = await browser.browse(back)
    } else if (place.url.pathname.startsWith('/oauth/') && /<form[^>]*method="post"/.test(place.html)) {
      place = await browser.submit(place)
    } else return place
  }
  throw new Error('The sign-in does not come to an end.')
}

/**
 * The whole authorization code flow (OAuth 2.1 §4.1), with PKCE and consent.
 *
 * @throws {Error} when the server refuses, or gives less than was asked for
 */
export async function authorizeUser(
  { serve, origin }: Endpoint,
  browser: Browser,
  elsewhere: Elsewhere,
  scopes: readonly string[] | undefined,
): Promise<IssuedTokens> {
  const query = new URLSearchParams({
    client_id: testClient.clientId,
    redirect_uri: redirectUri,
    response_type: 'code',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    state: 'state-of-the-test-client',
    resource: `${origin}/mcp`,
    ...(scopes && { scope: scopes.join(' ') }),
  })
  const { url, html = '' } = await walk(browser, `${origin}/oauth/authorize?${query}`, elsewhere)
  const code = url.searchParams.get('code')
  if (code === null || !url.href.startsWith(redirectUri)) {
    const why = url.searchParams.get('error_description') ?? /<h1[^>]*>([^<]*)/.exec(html)?.[1] ?? url.host
    throw new Error(`The server did not sign the user in: ${why}`)
  }
  const tokens = await requestTokens(
    { serve, origin },
    {
      grant_type: 'authorization_code',
      code,
      redirect_uri: redirectUri,
      code_verifier: verifier,
      client_id: testClient.clientId,
    },
  )
  const missing = scopes?.filter(scope => !tokens.scopes.includes(scope)) ?? []
  if (missing.length > 0) {
    throw new Error(
      `The server does not grant the scope ${missing.join(', ')}: no tool needs it and the option scopes does not name it.`,
    )
  }
  return tokens
}

/** @throws {Error} when the refresh token is good no more */
export const refreshTokens = (endpoint: Endpoint, refreshToken: string): Promise<IssuedTokens> =>
  requestTokens(endpoint, {
    grant_type: 'refresh_token',
    refresh_token: refreshToken,
    client_id: testClient.clientId,
  })

/**
 * A token for a client by itself (OAuth 2.1 §4.2).
 *
 * @throws {Error} when the server refuses
 */
export const authorizeClient = (
  endpoint: Endpoint,
  clientId: string,
  scopes: readonly string[] | undefined,
): Promise<IssuedTokens> =>
  requestTokens(
    endpoint,
    { grant_type: 'client_credentials', ...(scopes && { scope: scopes.join(' ') }) },
    `Basic ${Buffer.from(`${encodeURIComponent(clientId)}:${machineSecret}`).toString('base64')}`,
  )

async function requestTokens(
  { serve, origin }: Endpoint,
  parameters: Record<string, string>,
  authorization?: string,
): Promise<IssuedTokens> {
  const response = await serve(
    new Request(`${origin}/oauth/token`, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        ...(authorization !== undefined && { authorization }),
      },
      body: new URLSearchParams({ ...parameters, resource: `${origin}/mcp` }),
    }),
  )
  const reply = (await response.json()) as Record<string, string | undefined>
  const { access_token: accessToken, refresh_token: refreshToken, scope = '' } = reply
  if (accessToken === undefined) {
    throw new Error(`The server gave no token: ${reply.error_description ?? reply.error}`)
  }
  return { accessToken, refreshToken, scopes: scope.split(' ').filter(Boolean) }
}
