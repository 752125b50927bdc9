import { type Browser, createBrowser } from '@sallyport/test-upstream/browser'
import * as oauth from 'oauth4webapi'
import { passSignIn, type SignInPlan } from './sign-in.ts'

/** Plain http is what loopback speaks. */
export const http = { [oauth.allowInsecureRequests]: true }

export const redirectUri = 'http://localhost:1/callback'

export interface AuthorizeOptions {
  scope?: string
  plan?: SignInPlan
  /** Parameters of the authorization request beyond the usual. */
  parameters?: Readonly<Record<string, string>>
}

/** A client on panva's `oauth4webapi`: every check of the OAuth documents, no MCP. */
export interface RawClient {
  resource: oauth.ResourceServer
  server: oauth.AuthorizationServer
  client: oauth.Client
  authentication: oauth.ClientAuth
  browser: Browser
  /** Authorization request → code → tokens, with everything checked that there is to check. */
  signIn(options?: AuthorizeOptions): Promise<oauth.TokenEndpointResponse>
  /** Same, up to the callback: what came back, and the verifier to redeem the code with. */
  authorize(options?: AuthorizeOptions): Promise<{
    callback: URL
    parameters: URLSearchParams
    verifier: string
  }>
  redeem(parameters: URLSearchParams, verifier: string, proving?: oauth.DPoPRequestOptions): Promise<Response>
  refresh(refreshToken: string, proving?: oauth.DPoPRequestOptions): Promise<Response>
  revoke(token: string): Promise<Response>
}

/** Finds the authorization server from a 401 of the MCP endpoint, and registers. */
export async function createRawClient(
  mcpUrl: string,
  method: 'none' | 'client_secret_basic' | 'client_secret_post' = 'none',
  { algorithm = 'oauth2', metadata = {} }: { algorithm?: 'oauth2' | 'oidc'; metadata?: object } = {},
): Promise<RawClient> {
  const resourceUrl = new URL(mcpUrl)
  const resource = await oauth.processResourceDiscoveryResponse(
    resourceUrl,
    await oauth.resourceDiscoveryRequest(resourceUrl, http),
  )
  const issuer = new URL(resource.authorization_servers?.[0] ?? '')
  const server = await oauth.processDiscoveryResponse(
    issuer,
    await oauth.discoveryRequest(issuer, { ...http, algorithm }),
  )
  const client = await oauth.processDynamicClientRegistrationResponse(
    await oauth.dynamicClientRegistrationRequest(
      server,
      {
        client_name: 'Raw client',
        redirect_uris: [redirectUri],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        token_endpoint_auth_method: method,
        ...metadata,
      },
      http,
    ),
  )
  const secret = typeof client.client_secret === 'string' ? client.client_secret : ''
  const authentication =
    method === 'none'
      ? oauth.None()
      : method === 'client_secret_basic'
        ? oauth.ClientSecretBasic(secret)
        : oauth.ClientSecretPost(secret)
  // Nobody listens there.
  const browser = createBrowser({ stopAt: ({ origin }) => origin === new URL(redirectUri).origin })

  const raw: RawClient = {
    resource,
    server,
    client,
    authentication,
    browser,
    async authorize({ scope, plan, parameters = {} } = {}) {
      const verifier = oauth.generateRandomCodeVerifier()
      const state = oauth.generateRandomState()
      const url = new URL(server.authorization_endpoint ?? '')
      url.search = new URLSearchParams({
        client_id: client.client_id,
        redirect_uri: redirectUri,
        response_type: 'code',
        code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
        state,
        resource: resource.resource,
        ...(scope === undefined ? {} : { scope }),
        ...parameters,
      }).toString()
      const { url: callback } = await passSignIn(browser, url, plan)
      return { callback, parameters: oauth.validateAuthResponse(server, client, callback, state), verifier }
    },
    redeem: (parameters, verifier, proving = {}) =>
      oauth.authorizationCodeGrantRequest(server, client, authentication, parameters, redirectUri, verifier, {
        ...http,
        ...proving,
        additionalParameters: { resource: resource.resource },
      }),
    async signIn(options) {
      const { parameters, verifier } = await raw.authorize(options)
      return oauth.processAuthorizationCodeResponse(server, client, await raw.redeem(parameters, verifier))
    },
    refresh: (refreshToken, proving = {}) =>
      oauth.refreshTokenGrantRequest(server, client, authentication, refreshToken, {
        ...http,
        ...proving,
        additionalParameters: { resource: resource.resource },
      }),
    revoke: token => oauth.revocationRequest(server, client, authentication, token, http),
  }
  return raw
}
