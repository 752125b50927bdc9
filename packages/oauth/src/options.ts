import type { ConfiguredClient } from './clients/client.ts'
import type { ConfiguredResourceServer } from './clients/resource-servers.ts'
import { assertDevelopmentSignInAllowed, isDevelopmentSignIn } from './development-sign-in.ts'
import { ConfigurationError } from './errors.ts'
import type { RecordedEventSink } from './events.ts'
import type { EnterpriseIssuer } from './grants/enterprise-issuers.ts'
import type { SecretRing } from './keys/secret-ring.ts'
import type { Signer } from './keys/signer.ts'
import type { SigningAlgorithm } from './keys/signing-algorithm.ts'
import type { SigningKeyRotation } from './keys/signing-key-rotation.ts'
import type { ConnectionPlanner, Login } from './login.ts'
import { jwtBearerGrantType } from './protocol/grant-types.ts'
import type { TokenLifetimes } from './protocol/lifetimes.ts'
import type { Clock, RandomBytes } from './runtime.ts'
import type { SecurityEventReceiver } from './security-events.ts'
import type { Store } from './storage/store.ts'
import type { AccessTokenFormat } from './tokens/opaque-access-token.ts'

/** Lifetimes, all in seconds. */
export interface Lifetimes extends TokenLifetimes {
  /** Authorization code. Default 600. */
  authorizationCodeSeconds: number
  /** Access token. Default 900. */
  accessTokenSeconds: number
  /** Refresh token: idle time, slides with each use. Default 86400. */
  refreshTokenSeconds: number
  /** Absolute end of a session, then the user signs in again; 0 = none. Default 2592000 (30 days). */
  sessionMaxAgeSeconds: number
  /** How long the previous refresh token still gets the identical reply; 0 turns it off. Default 10. */
  refreshGraceSeconds: number
}

export interface AuthorizationServerOptions {
  /**
   * Issuer identifier (RFC 8414 §2): an https URL, or http on loopback, without query, fragment or trailing
   * slash. Used byte for byte; nothing is ever derived from a request (R2, R3).
   */
  issuer: string
  /** Name of the server, for the pages the user sees. */
  serverName: string
  /** Resource identifiers (RFC 8707) tokens can be issued for; the first is the default. */
  resources: readonly string[]
  /** Every scope a client may ask for → what it allows, in words for the consent page. */
  scopes: Readonly<Record<string, string>>
  /** Granted when a request names no scope. */
  defaultScopes: readonly string[]
  /** Scopes that only configured clients may ask for; for all others they do not exist. Default: none. */
  sensitiveScopes?: readonly string[]
  store: Store
  secrets: SecretRing
  /** How users sign in. */
  signIn: Login
  /** Which upstream connections a sign-in must bring along. Default: none. */
  connections?: ConnectionPlanner
  /**
   * Providers, by id, that push security event tokens (RFC 8935) to `/oauth/events/<id>`: sessions and connections of an
   * account end when its provider says so. Default: none, and no such endpoint.
   */
  securityEvents?: ReadonlyMap<string, SecurityEventReceiver>
  /**
   * When a user or an administrator disconnects an account, its tokens are kept, sealed, until they are revoked at the
   * provider, for three days at most. Default false: who sets it must also have them revoked, as `@sallyport/mcp-server`
   * does.
   */
  revokesUpstream?: boolean
  /**
   * OpenID Connect: the scope `openid`, id_tokens, userinfo and sign-out by a client. An id_token says which user it
   * is and when it signed in; no name and no e-mail address is kept. Default true.
   */
  openid?: boolean
  /**
   * Proof of possession (DPoP, RFC 9449): a client that proves to hold a key gets tokens that are worth nothing without
   * it. Clients that do not get bearer tokens. Default true.
   */
  dpop?: boolean
  /**
   * Every proof must carry a nonce of this server, good for five minutes (RFC 9449 §8): nobody can make proofs ahead of
   * time, and clients ask once more now and then. Default false.
   */
  dpopNonces?: boolean
  /**
   * Tokens come from another issuer, and its users come here to connect providers and to see what they connected: of
   * the endpoints only `connect`, `callback` and `account` exist, and there are no signing keys. Default false.
   */
  connectionsOnly?: boolean
  /** Pre-registered clients. Default: none. */
  clients?: readonly ConfiguredClient[]
  /**
   * Identity providers whose users get tokens by assertion: enterprise-managed authorization. Default: none, and no
   * such grant.
   */
  enterpriseIssuers?: readonly EnterpriseIssuer[]
  /** Resource servers that may introspect tokens (RFC 7662). Default: none, and no introspection endpoint. */
  resourceServers?: readonly ConfiguredResourceServer[]
  /** Dynamic client registration (RFC 7591). Default true. */
  dynamicRegistration?: boolean
  /** Client ID metadata documents. Default true. */
  clientIdMetadataDocuments?: boolean
  /** Lets metadata documents on `https://localhost:<port>` through the fetch guard. For tests. Default false. */
  metadataDocumentsOnLoopback?: boolean
  /** Private-use URI schemes without a dot that redirect URIs may use, added to the built-in list. */
  redirectUriSchemes?: readonly string[]
  /** How many sign-ins may be under way at once before new ones are answered 503. Default 10000. */
  maxPendingAuthorizations?: number
  /** How often what has ended is deleted and what is due is done, in seconds. Default 600. */
  cleanupIntervalSeconds?: number
  lifetimes?: Partial<Lifetimes>
  /**
   * Scopes → lifetimes of tokens and sessions that carry them. Of these, the client's own and `lifetimes` the shortest
   * wins. Default: none.
   */
  scopeLifetimes?: Readonly<Record<string, Partial<TokenLifetimes>>>
  /**
   * What access tokens look like. `opaque`: the JWT sealed under the secret ring, so that clients learn nothing from
   * it, and other resource servers have to introspect (`resourceServers`). Both are accepted either way, so it can be
   * changed while tokens are out. Default `jwt`.
   */
  accessTokenFormat?: AccessTokenFormat
  /** Default ES256. */
  signingAlgorithm?: SigningAlgorithm
  /** When signing keys come and go. Default: a new one every 90 days, published a day before it signs. */
  signingKeyRotation?: Partial<SigningKeyRotation>
  /**
   * Signers, newest first, in place of keys in the store: the first signs, all are published; the algorithm is that
   * of the first. Default: none.
   */
  signers?: readonly Signer[]
  /** Factor on all limits of `docs/deploying.md`. Default 1; 0 turns them off. */
  rateLimit?: number
  /** Told every event; what it throws is dropped. */
  onEvent?: RecordedEventSink
  clock?: Clock
  random?: RandomBytes
}

export const defaultLifetimes: Lifetimes = {
  authorizationCodeSeconds: 600,
  accessTokenSeconds: 900,
  refreshTokenSeconds: 86_400,
  sessionMaxAgeSeconds: 2_592_000,
  refreshGraceSeconds: 10,
}

/** Lifetime → the variable a deployer sets it with, and what it may be (seconds). */
const lifetimeRules: Readonly<Record<keyof Lifetimes, { variable: string; from: number; to: number }>> = {
  authorizationCodeSeconds: { variable: 'OAUTH_AUTH_CODE_TTL', from: 1, to: 3600 },
  accessTokenSeconds: { variable: 'OAUTH_ACCESS_TOKEN_TTL', from: 1, to: 86_400 },
  refreshTokenSeconds: { variable: 'OAUTH_REFRESH_TOKEN_TTL', from: 1, to: 31_536_000 },
  sessionMaxAgeSeconds: { variable: 'OAUTH_SESSION_MAX_AGE', from: 0, to: 315_360_000 },
  // R105: a grace is bounded; a longer one would hide a stolen token.
  refreshGraceSeconds: { variable: 'OAUTH_REFRESH_GRACE', from: 0, to: 60 },
}

/** scope-token of RFC 6749 §3.3. */
const scopeToken = /^[\x21\x23-\x5b\x5d-\x7e]+$/

/** http is for this machine alone; everything else must be https (R4). */
const isSecureOrLoopback = (url: URL): boolean =>
  url.protocol === 'https:' ||
  (url.protocol === 'http:' && /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(url.hostname))

/**
 * Checks that an authorization server can work with these options, before it serves a request.
 *
 * @throws {ConfigurationError} in one sentence that names the variable or option and the fix
 */
export function checkOptions(options: AuthorizationServerOptions): void {
  const { issuer, resources, scopes, defaultScopes, signIn } = options
  checkIssuer(issuer)
  checkDpop(options)

  if (resources.length === 0) {
    throw new ConfigurationError('The option resources is empty: name at least one URL that tokens are for.')
  }
  for (const resource of resources) {
    const url = URL.canParse(resource) ? new URL(resource) : undefined
    if (!url || !isSecureOrLoopback(url) || resource.includes('#') || url.username || url.password) {
      throw new ConfigurationError(
        'The option resources holds a value that is not an absolute https URL without fragment: ' +
          'set PUBLIC_URL to the https origin that clients reach (http only on localhost).',
      )
    }
  }

  for (const [scope, words] of Object.entries(scopes)) {
    if (!scopeToken.test(scope)) {
      throw new ConfigurationError(
        `The scope ${JSON.stringify(scope)} is not valid: use printable ASCII without spaces, quotes or backslashes.`,
      )
    }
    if (words.trim() === '') {
      throw new ConfigurationError(
        `The scope ${scope} has no description: say what it allows, users read it before they consent.`,
      )
    }
    if (scope === 'openid') {
      throw new ConfigurationError(
        'The scope openid is not one to describe: remove it from scopes, the option openid turns it on and off.',
      )
    }
  }
  const unknown = defaultScopes.find(scope => !Object.hasOwn(scopes, scope))
  if (unknown !== undefined) {
    throw new ConfigurationError(
      `The default scope ${JSON.stringify(unknown)} is not one of the scopes: add it to scopes with a description.`,
    )
  }

  const stranded = options.clients?.find(client => client.grantTypes?.includes(jwtBearerGrantType))
  if (stranded && !options.enterpriseIssuers?.length) {
    throw new ConfigurationError(
      `The client ${JSON.stringify(stranded.clientId)} of the option clients has the grant ${jwtBearerGrantType}, and nobody makes assertions for it: name an issuer in the option enterpriseIssuers.`,
    )
  }
  const { accessTokenFormat: format = 'jwt' } = options
  if (format !== 'jwt' && format !== 'opaque') {
    throw new ConfigurationError('OAUTH_ACCESS_TOKEN_FORMAT must be one of jwt, opaque.')
  }
  checkLifetimes(options)
  const { maxPendingAuthorizations: limit } = options
  if (limit !== undefined && !(Number.isInteger(limit) && limit > 0)) {
    throw new ConfigurationError('The option maxPendingAuthorizations must be a whole number above 0.')
  }
  const { cleanupIntervalSeconds: interval = 1 } = options
  // Timers cannot wait longer than 2^31 ms, and would not wait at all.
  if (!(Number.isInteger(interval) && interval >= 1 && interval <= 86_400)) {
    throw new ConfigurationError(
      'The option cleanupIntervalSeconds must be a whole number of seconds from 1 to 86400.',
    )
  }
  const { rateLimit } = options
  if (rateLimit !== undefined && !(Number.isFinite(rateLimit) && rateLimit >= 0)) {
    throw new ConfigurationError('OAUTH_RATE_LIMIT must be a number, 0 or more.')
  }
  if (!/^[a-z0-9-]+$/.test(signIn.id)) {
    throw new ConfigurationError(
      'The id of signIn must be lower-case letters, digits and hyphens: it ends the callback URL.',
    )
  }
  if (isDevelopmentSignIn(signIn)) assertDevelopmentSignInAllowed(issuer)
}

function checkDpop({ dpop = true, dpopNonces = false, clients = [] }: AuthorizationServerOptions): void {
  if (dpop) return
  if (dpopNonces) {
    throw new ConfigurationError(
      'The option dpopNonces needs proof of possession: remove it, or turn the option dpop on.',
    )
  }
  const bound = clients.find(client => client.dpopBoundAccessTokens)
  if (bound) {
    throw new ConfigurationError(
      `The client ${JSON.stringify(bound.clientId)} of the option clients has dpopBoundAccessTokens: ` +
        'remove it, or turn the option dpop on.',
    )
  }
}

function checkLifetimes({
  lifetimes,
  scopeLifetimes = {},
  scopes,
  clients = [],
}: AuthorizationServerOptions): void {
  const check = (own: Partial<Lifetimes> | undefined, nameOf: (name: string, variable: string) => string) => {
    for (const [name, { variable, from, to }] of Object.entries(lifetimeRules)) {
      const seconds = own?.[name as keyof Lifetimes]
      if (seconds !== undefined && !(Number.isInteger(seconds) && seconds >= from && seconds <= to)) {
        throw new ConfigurationError(
          `${nameOf(name, variable)} must be a whole number of seconds from ${from} to ${to}.`,
        )
      }
    }
  }
  check(lifetimes, (_, variable) => variable)
  for (const [scope, own] of Object.entries(scopeLifetimes)) {
    if (!Object.hasOwn(scopes, scope)) {
      throw new ConfigurationError(
        `The option scopeLifetimes names ${JSON.stringify(scope)}, which is not one of the scopes: correct its name.`,
      )
    }
    check(own, name => `The ${name} of the scope ${scope} in the option scopeLifetimes`)
  }
  for (const { clientId, lifetimes: own } of clients) {
    check(own, name => `The ${name} of the client ${JSON.stringify(clientId)} of the option clients`)
  }
}

function checkIssuer(issuer: string): void {
  const url = URL.canParse(issuer) ? new URL(issuer) : undefined
  if (!url || !isSecureOrLoopback(url)) {
    throw new ConfigurationError(
      'PUBLIC_URL must be an https URL, such as https://mcp.example.com; http works on localhost only.',
    )
  }
  // R2: clients compare issuers byte for byte, and some of them after a round through a URL parser, so the
  // issuer has to be what a parser makes of it: no query, fragment, user, default port, upper-case host, `..`.
  const canonical = url.origin + (url.pathname === '/' ? '' : url.pathname)
  if (issuer !== canonical || issuer.endsWith('/')) {
    throw new ConfigurationError(
      `PUBLIC_URL must be written as ${canonical.replace(/\/+$/, '')}, without query, fragment, user or trailing slash.`,
    )
  }
}
