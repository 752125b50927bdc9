import type { Provider } from '@sallyport/mcp-server'
import { createProvider } from './create-provider.ts'
import { createDiscovery } from './discovery.ts'
import { standardErrorClass } from './error-class.ts'
import { assertProviderId } from './provider-definition.ts'
import { assertSecureUrls } from './secure-url.ts'

export interface OidcOptions<Id extends string> {
  /** Name tools use; lower-case letters, digits and hyphens. Its callback path is `/oauth/callback/{id}`. */
  id: Id
  /** Name users know it by. */
  label: string
  /** Issuer identifier, byte for byte as in the provider's discovery document; https, or http on localhost. */
  issuer: string
  clientId: string
  clientSecret: string
  /** Asked for at every sign-in. Default `['openid', 'profile']`; `openid` is always among them. */
  scopes?: readonly string[]
  /** Origins that receive the user's token. */
  apiOrigins: readonly string[]
}

/** Any OpenID provider with a discovery document, which is read at first use. */
export function oidc<const Id extends string>(options: OidcOptions<Id>): Provider<Id> {
  const { id, label, issuer } = options
  return createProvider({
    id,
    label,
    clientId: options.clientId,
    clientSecret: options.clientSecret,
    credentialHint: 'pass both as the provider issued them for this application',
    canSignIn: true,
    identityScopes: ['openid', ...(options.scopes ?? ['profile'])],
    scopeParameter: 'scope',
    scopeSeparator: ' ',
    scopeRules: { replySeparator: /\s+/, aliases: {} },
    pkce: true,
    nonce: true,
    mergesGrantedScopes: false,
    // OpenID Connect Core §15.1 asks them of every provider; select_account it leaves open.
    prompts: ['login'],
    // OpenID Connect Core §11: offline_access may be ignored unless consent is forced. Not at a sign-in, though,
    // where most users have a live grant and every provider that does without would ask them for nothing.
    authorizationParameters: ({ wantsRefreshToken, hasLiveGrant }) =>
      wantsRefreshToken && hasLiveGrant === false ? { prompt: 'consent' } : {},
    deniedErrors: ['access_denied'],
    errorClass: standardErrorClass,
    tokenFormat: {},
    rotatesRefreshTokens: false,
    accessTokenSeconds: 0,
    refreshIdleSeconds: 365 * 86_400,
    apiOrigins: options.apiOrigins,
    upstreamServer(clock) {
      assertProviderId(id)
      assertSecureUrls(label, [issuer])
      return createDiscovery(issuer, clock)
    },
  })
}
