import { type Clock, ConfigurationError, type LoginPrompt } from '@sallyport/oauth'
import type { AccountLookup } from './account.ts'
import type { ClientCredentials } from './client-authentication.ts'
import type { ScopeRules } from './scope.ts'
import { isSecureUrl } from './secure-url.ts'
import type { SecurityEventDefinition } from './security-event-receiver.ts'
import type { TokenFormat } from './token-format.ts'
import type { TokenRefusal } from './token-request.ts'
import type { ErrorClass } from './upstream-error.ts'
import type { UpstreamServer } from './upstream-server.ts'

/** Where a provider lives. Overridden in tests and behind gateways. */
export interface ProviderEndpoints {
  authorization: string
  token: string
  /** Keys of id_tokens, for a provider of OpenID Connect. */
  jwks: string
  /** Who the user is, for a provider without OpenID Connect. */
  userinfo: string
  /** Where grants are taken back. */
  revocation: string
  /** The document that says who signs security event tokens, and with what keys (Google). */
  securityEvents?: string
  /** Accepted values of `iss`; the first is the one identities are kept under. */
  issuers: readonly [string, ...string[]]
  /** Origins that receive the user's token. */
  apiOrigins: readonly string[]
}

/** What is known when the browser is sent upstream. */
export interface AuthorizationSituation {
  /** Whether tools may use the connection while the user is away, and the provider can give what that takes. */
  wantsRefreshToken: boolean
  /** Whether a refresh token for all these scopes is stored; undefined while we do not know the user. */
  hasLiveGrant: boolean | undefined
}

/** One upstream provider as data, with its quirks as small functions. */
export interface ProviderDefinition<Id extends string = string> {
  id: Id
  label: string
  clientId: string | undefined
  clientSecret: string | undefined
  /** Environment variables that stand in for the two above. */
  credentialVariables?: { clientId: string; clientSecret: string }
  /** Where a deployer gets credentials, as the end of a sentence. */
  credentialHint: string
  /** What shows that these are not the credentials they should be, as the end of a sentence. Default: nothing does. */
  credentialMistake?(credentials: ClientCredentials): string | undefined
  /** Whether users may sign in with it. One that only connects is no proof of who sits there. */
  canSignIn: boolean
  /** Who the user is, when no id_token says so. Absent: an id_token must. */
  account?: AccountLookup
  /** Whether nothing tells two accounts apart: a user then has one, and connecting again takes its place. Default false. */
  hasOneAccount?: boolean
  /** Asked for at every sign-in. */
  identityScopes: readonly string[]
  /** Asked for when a user connects one account of several, to tell them apart by more than a name. Default: none. */
  labelScopes?: readonly string[]
  /** Name of the parameter that carries scopes; undefined when the provider knows none, and grants all or nothing. */
  scopeParameter: string | undefined
  scopeSeparator: string
  scopeRules: ScopeRules
  /** Whether PKCE S256 is sent. */
  pkce: boolean
  /** Whether a nonce is sent, and must then come back in the id_token. */
  nonce: boolean
  /** Whether a new grant includes earlier ones by itself; otherwise earlier scopes are asked for again. */
  mergesGrantedScopes: boolean
  /**
   * Values of `prompt` it honours. With `login`, also `max_age` and `acr_values`, and its id_token then says when the
   * user authenticated.
   */
  prompts: readonly LoginPrompt[]
  /** Parameters beyond the standard ones; none of them replaces a standard one. */
  authorizationParameters(situation: AuthorizationSituation): Readonly<Record<string, string>>
  /** Values of `error` in the callback that mean that the user declined. */
  deniedErrors: readonly string[]
  errorClass(refusal: TokenRefusal): ErrorClass
  /** Whether refresh tokens are asked for that are bound to a key (RFC 9449); access tokens stay bearer tokens. Default false. */
  dpop?: boolean
  /** Where its token endpoint leaves RFC 6749. */
  tokenFormat: TokenFormat
  /** Whether a refresh spends the refresh token, so that a lost reply is a lost grant. */
  rotatesRefreshTokens: boolean
  /** Life of an access token whose reply names none, in seconds; 0 = it does not end by itself. */
  accessTokenSeconds: number
  /** How long a refresh token lasts unused when its reply does not say, in seconds. */
  refreshIdleSeconds: number
  /** Origins that receive the user's token, and nothing else does (R184). */
  apiOrigins: readonly string[]
  /** How it tells what happens to accounts, where the deployer has it do so. */
  securityEvents?: SecurityEventDefinition
  /** Whether an answer of its API says that the token is no good. Must leave the body unread. Default: HTTP 401. */
  rejectsToken?(response: Response): Promise<boolean>
  /** Called once per server, so that what it caches belongs to that server. */
  upstreamServer(
    clock: Clock,
    environment: Readonly<Record<string, string | undefined>>,
  ): () => Promise<UpstreamServer>
}

/**
 * The API origins, checked: a path in one would look like a limit that does not hold.
 *
 * @throws {ConfigurationError} when an entry is not an origin
 */
export function readApiOrigins({ label, apiOrigins }: ProviderDefinition): ReadonlySet<string> {
  for (const origin of apiOrigins) {
    const isOrigin = isSecureUrl(origin) && new URL(origin).href === `${new URL(origin).origin}/`
    if (!isOrigin) {
      throw new ConfigurationError(
        `apiOrigins of ${label} must be origins such as https://api.example.com, ` +
          'with https (http on localhost only) and without a path.',
      )
    }
  }
  return new Set(apiOrigins.map(origin => new URL(origin).origin))
}

/**
 * Checks an id that options set: it is part of a path.
 *
 * @throws {ConfigurationError} when it does not fit there
 */
export function assertProviderId(id: string): void {
  if (/^[a-z0-9-]+$/.test(id)) return
  throw new ConfigurationError(
    `The provider id "${id}" must consist of lower-case letters, digits and hyphens.`,
  )
}
