import { type Clock, ConfigurationError } from '@sallyport/oauth'
import * as oauth from 'oauth4webapi'
import type { HeldSignIn } from './held-sign-in.ts'

/** What a sign-in is asked for. */
export interface SignInRequest {
  scopes: readonly string[]
  /** How long ago the user may have authenticated, in seconds; undefined: any time. */
  maxAgeSeconds: number | undefined
}

/** A sign-in on its way through the browser. */
export interface PendingSignIn {
  /** Where the browser goes. */
  url: string
  state: string
  /** Takes what came back to the redirect URI. Rejects when it is no sign-in. */
  finish(callback: URL): Promise<HeldSignIn>
}

/** This process as an OAuth client of the issuer: a public client with a loopback redirect (RFC 8252). */
export interface LocalClient {
  /**
   * @throws {ConfigurationError} when the issuer lets no client register itself and none was configured
   */
  begin(redirectUri: string, request: SignInRequest): Promise<PendingSignIn>
  /** The next tokens; undefined when the issuer has ended the sign-in. Rejects when it cannot be asked now. */
  refresh(held: HeldSignIn): Promise<HeldSignIn | undefined>
}

/** Answers after which a sign-in is over; anything else may pass. */
const final = new Set(['invalid_grant', 'invalid_client', 'unauthorized_client', 'invalid_target'])

const timeoutMs = 10_000

/**
 * Creates the client.
 *
 * @param options.resource what tokens are for (RFC 8707)
 * @param options.clientId registered at the issuer with `http://127.0.0.1/callback`. Default: registers itself
 * @param options.fetch how the issuer is asked
 */
export function createLocalClient(options: {
  issuer: string
  resource: string
  clientId: string | undefined
  clientName: string
  fetch: (url: string, init: RequestInit) => Promise<Response>
  clock: Clock
}): LocalClient {
  const { issuer, resource, clock } = options
  const http = {
    [oauth.customFetch]: (url: string, init: object) => options.fetch(url, init as RequestInit),
    // Only of a loopback issuer: others were refused at start.
    [oauth.allowInsecureRequests]: issuer.startsWith('http:'),
  }
  const during = () => ({ ...http, signal: AbortSignal.timeout(timeoutMs) })
  let found: oauth.AuthorizationServer | undefined

  async function discover(): Promise<oauth.AuthorizationServer> {
    if (found) return found
    let failure: unknown
    for (const algorithm of ['oauth2', 'oidc'] as const) {
      try {
        const response = await oauth.discoveryRequest(new URL(issuer), { ...during(), algorithm })
        found = await oauth.processDiscoveryResponse(new URL(issuer), response)
        return found
      } catch (error) {
        failure = error
      }
    }
    throw failure
  }

  async function register(server: oauth.AuthorizationServer, redirectUri: string): Promise<oauth.Client> {
    if (options.clientId !== undefined) return { client_id: options.clientId }
    if (server.registration_endpoint === undefined) {
      throw new ConfigurationError(
        `${issuer} lets no client register itself: give createServer the option stdioClientId, or set SALLYPORT_TOKEN.`,
      )
    }
    const response = await oauth.dynamicClientRegistrationRequest(
      server,
      {
        client_name: options.clientName,
        redirect_uris: [redirectUri],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        token_endpoint_auth_method: 'none',
        application_type: 'native',
      },
      during(),
    )
    const { client_id } = await oauth.processDynamicClientRegistrationResponse(response)
    return { client_id }
  }

  const hold = (
    { client_id }: oauth.Client,
    tokens: oauth.TokenEndpointResponse,
    before?: HeldSignIn,
  ): HeldSignIn => {
    const refreshToken = tokens.refresh_token ?? before?.refreshToken
    return {
      clientId: client_id,
      accessToken: tokens.access_token,
      ...(refreshToken !== undefined && { refreshToken }),
      endsAt: tokens.expires_in === undefined ? 0 : clock() + Math.floor(tokens.expires_in),
    }
  }

  return {
    async begin(redirectUri, { scopes, maxAgeSeconds }) {
      const server = await discover()
      const client = await register(server, redirectUri)
      const verifier = oauth.generateRandomCodeVerifier()
      const state = oauth.generateRandomState()
      const supported = server.scopes_supported ?? []
      const wanted = new Set(scopes)
      // OpenID Connect Core §11: without it, and without consent for it, there may be no refresh token.
      const isOffline = supported.includes('offline_access')
      if (isOffline) wanted.add('offline_access')
      // Some issuers take max_age with OpenID Connect only.
      if (maxAgeSeconds !== undefined && supported.includes('openid')) wanted.add('openid')
      const url = new URL(server.authorization_endpoint ?? '')
      for (const [name, value] of Object.entries({
        client_id: client.client_id,
        redirect_uri: redirectUri,
        response_type: 'code',
        code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
        state,
        resource,
        ...(wanted.size > 0 && { scope: [...wanted].join(' ') }),
        ...(maxAgeSeconds !== undefined && { max_age: `${maxAgeSeconds}` }),
        ...(isOffline && { prompt: 'consent' }),
      })) {
        url.searchParams.set(name, value)
      }
      return {
        url: url.href,
        state,
        async finish(callback) {
          const parameters = oauth.validateAuthResponse(server, client, callback, state)
          const response = await oauth.authorizationCodeGrantRequest(
            server,
            client,
            oauth.None(),
            parameters,
            redirectUri,
            verifier,
            { ...during(), additionalParameters: { resource } },
          )
          return hold(client, await oauth.processAuthorizationCodeResponse(server, client, response))
        },
      }
    },
    async refresh(held) {
      if (held.refreshToken === undefined) return undefined
      const server = await discover()
      const client = { client_id: held.clientId }
      try {
        const response = await oauth.refreshTokenGrantRequest(
          server,
          client,
          oauth.None(),
          held.refreshToken,
          { ...during(), additionalParameters: { resource } },
        )
        return hold(client, await oauth.processRefreshTokenResponse(server, client, response), held)
      } catch (error) {
        if (error instanceof oauth.ResponseBodyError && final.has(error.error)) return undefined
        throw error
      }
    },
  }
}
