import { type Clock, ConfigurationError, type LoginPrompt } from '@sallyport/oauth'
import type { ScopeRules } from './scope.ts'
import type { ErrorClass } from './upstream-error.ts'

/** The authorization server of a provider: constant, or what its discovery document says. */
export interface UpstreamServer {
  /** Values of `iss` that are this provider; the first is the canonical one identities are kept under (R76). */
  issuers: readonly [string, ...string[]]
  authorizationEndpoint: string
  tokenEndpoint: string
  jwksUri: string
  /** How the client secret is sent: `client_secret_post` or `client_secret_basic`. */
  clientAuthentication: 'post' | 'basic'
  /** JWS algorithms accepted on an id_token. */
  idTokenAlgorithms: readonly string[]
  /** Whether a refresh token can be had by asking for consent again. */
  givesRefreshTokens: boolean
  /** Scope that asks for a refresh token, where a scope does. */
  offlineScope?: string
  /** Whether every authorization response carries `iss` (RFC 9207 §3); one without it is then refused. */
  sendsIssuer: boolean
}

/** Where a provider lives. Overridden in tests and behind gateways. */
export interface ProviderEndpoints {
  authorization: string
  token: string
  jwks: string
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

/** Refusal of a token endpoint, for classification only. */
export interface TokenRefusal {
  status: number
  error: string | undefined
  errorSubtype: string | undefined
  description: string | undefined
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
  /** Asked for at every sign-in. */
  identityScopes: readonly string[]
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
  /** Life of an access token whose reply names none, in seconds; 0 = it does not end by itself. */
  accessTokenSeconds: number
  /** How long a refresh token lasts unused when its reply does not say, in seconds. */
  refreshIdleSeconds: number
  /** Origins that receive the user's token, and nothing else does (R184). */
  apiOrigins: readonly string[]
  /** Called once per server, so that what it caches belongs to that server. */
  upstreamServer(clock: Clock): () => Promise<UpstreamServer>
}

/** Credentials of a ready provider. */
export interface ClientCredentials {
  clientId: string
  clientSecret: string
}

/** The error codes of RFC 6749 §5.2 and OpenID Connect Core §3.1.2.6; a provider adds its own before. */
export function standardErrorClass({ status, error }: TokenRefusal): ErrorClass {
  switch (error) {
    case 'invalid_grant':
      return 'dead'
    case 'interaction_required':
    case 'consent_required':
    case 'login_required':
    case 'account_selection_required':
      return 'consent'
    case 'invalid_client':
    case 'unauthorized_client':
    case 'unsupported_grant_type':
    case 'invalid_scope':
      return 'misconfigured'
    case 'temporarily_unavailable':
    case 'server_error':
      return 'transient'
    default:
      return status === 401 ? 'misconfigured' : 'unknown'
  }
}

/**
 * The credentials: options first, then the environment.
 *
 * @throws {ConfigurationError} when one is missing, in one sentence that names both and where to get them
 */
export function readCredentials(
  definition: ProviderDefinition,
  environment: Readonly<Record<string, string | undefined>>,
): ClientCredentials {
  const variables = definition.credentialVariables
  const clientId = definition.clientId || (variables && environment[variables.clientId])
  const clientSecret = definition.clientSecret || (variables && environment[variables.clientSecret])
  if (clientId && clientSecret) return { clientId, clientSecret }
  const names = variables
    ? `${variables.clientId} and ${variables.clientSecret}`
    : 'clientId and clientSecret'
  throw new ConfigurationError(`${definition.label} needs ${names}: ${definition.credentialHint}.`)
}

/** Whether tokens and secrets may travel to this URL: https, or http on the loopback interface. */
export function isSecureUrl(value: string): boolean {
  if (!URL.canParse(value)) return false
  const { protocol, hostname, username, password } = new URL(value)
  if (username || password) return false
  return (
    protocol === 'https:' ||
    (protocol === 'http:' && /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(hostname))
  )
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
 * Checks addresses that options may have set.
 *
 * @throws {ConfigurationError} when one is neither https nor http on loopback
 */
export function assertSecureUrls(label: string, urls: readonly string[]): void {
  if (urls.every(isSecureUrl)) return
  throw new ConfigurationError(`Every address of ${label} must be an https URL, or http on localhost.`)
}
