import type { Provider } from '@sallyport/mcp-server'
import { createProvider } from './create-provider.ts'
import { standardErrorClass } from './error-class.ts'
import type { ProviderEndpoints } from './provider-definition.ts'
import type { TokenRefusal } from './token-request.ts'
import type { ErrorClass } from './upstream-error.ts'
import { vendorServer } from './vendor-server.ts'

export interface LinkedinOptions {
  /** Default: `LINKEDIN_CLIENT_ID`. */
  clientId?: string
  /** Default: `LINKEDIN_CLIENT_SECRET`. */
  clientSecret?: string
  /** Addresses used in place of LinkedIn's own. Default: none. */
  endpoints?: Partial<ProviderEndpoints>
}

const linkedinEndpoints: Omit<ProviderEndpoints, 'userinfo'> = {
  authorization: 'https://www.linkedin.com/oauth/v2/authorization',
  token: 'https://www.linkedin.com/oauth/v2/accessToken',
  jwks: 'https://www.linkedin.com/oauth/openid/jwks',
  revocation: 'https://www.linkedin.com/oauth/v2/revoke',
  // The short form was used until spring 2024.
  issuers: ['https://www.linkedin.com/oauth', 'https://www.linkedin.com'],
  apiOrigins: ['https://api.linkedin.com'],
}

/**
 * LinkedIn members and APIs. Credentials come from the options, else from the environment. Most apps get no refresh
 * token: a connection then ends after 60 days and the user connects again.
 */
export function linkedin(options: LinkedinOptions = {}): Provider<'linkedin'> {
  const endpoints = { ...linkedinEndpoints, ...options.endpoints }
  return createProvider({
    id: 'linkedin',
    label: 'LinkedIn',
    clientId: options.clientId,
    clientSecret: options.clientSecret,
    credentialVariables: { clientId: 'LINKEDIN_CLIENT_ID', clientSecret: 'LINKEDIN_CLIENT_SECRET' },
    credentialHint: 'create an app at https://www.linkedin.com/developers/apps and set both',
    canSignIn: true,
    identityScopes: ['openid', 'profile'],
    scopeParameter: 'scope',
    scopeSeparator: ' ',
    scopeRules: { replySeparator: /[\s,]+/, aliases: {} },
    // The web flow answers 401 invalid_client to a code_verifier.
    pkce: false,
    // Never echoed in the id_token, so that sending one would only break the check.
    nonce: false,
    mergesGrantedScopes: false,
    prompts: [],
    authorizationParameters: () => ({}),
    deniedErrors: ['access_denied', 'user_cancelled_login', 'user_cancelled_authorize'],
    errorClass,
    tokenFormat: {},
    rotatesRefreshTokens: false,
    accessTokenSeconds: 60 * 86_400,
    refreshIdleSeconds: 365 * 86_400,
    apiOrigins: endpoints.apiOrigins,
    upstreamServer: () =>
      vendorServer('LinkedIn', endpoints, {
        jwksUri: endpoints.jwks,
        // The only way that works; Basic fails.
        clientAuthentication: 'post',
        givesRefreshTokens: false,
        // Not in LinkedIn's own pages, but what everybody calls.
        revocation: { endpoint: endpoints.revocation, authentication: 'post', token: 'access_token' },
      }),
  })
}

function errorClass(refusal: TokenRefusal): ErrorClass {
  const { error, description } = refusal
  // No code of its own tells a dead refresh token from a malformed request.
  if (error === 'invalid_request' && /refresh token is (invalid|expired|revoked)/i.test(description ?? '')) {
    return 'dead'
  }
  return standardErrorClass(refusal)
}
