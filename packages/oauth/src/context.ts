import type { ClientResolver } from './clients/client.ts'
import type { ClientAssertions } from './clients/client-assertion.ts'
import type { ResourceServers } from './clients/resource-servers.ts'
import type { EventSink } from './events.ts'
import type { IdentityAssertions } from './grants/identity-assertion.ts'
import type { Sealer } from './keys/sealer.ts'
import type { SecretRing } from './keys/secret-ring.ts'
import type { SigningKeys } from './keys/signing-keys.ts'
import type { Limits } from './limits/limits.ts'
import type { ConnectionPlanner, Login } from './login.ts'
import type { Lifetimes } from './options.ts'
import type { TokenLifetimes } from './protocol/lifetimes.ts'
import type { Clock, RandomBytes } from './runtime.ts'
import type { SecurityEventReceiver } from './security-events.ts'
import type { Store } from './storage/store.ts'
import type { AccessTokenVerifier } from './tokens/access-token.ts'
import type { DpopProofs } from './tokens/dpop-proofs.ts'
import type { IdTokenIssuer } from './tokens/id-token.ts'
import type { TokenIssuer } from './tokens/issue.ts'
import type { OpaqueAccessTokens } from './tokens/opaque-access-token.ts'

/** The parts of one authorization server, wired once in `authorization-server.ts` and handed over by name. */
export interface Context {
  readonly issuer: string
  readonly serverName: string
  readonly resources: readonly string[]
  /** With `openid`, where OpenID Connect is on. */
  readonly scopes: Readonly<Record<string, string>>
  readonly defaultScopes: readonly string[]
  readonly sensitiveScopes: readonly string[]
  readonly lifetimes: Lifetimes
  readonly scopeLifetimes: Readonly<Record<string, Partial<TokenLifetimes>>>
  readonly maxPendingAuthorizations: number
  /** Grants the token endpoint offers; those nobody may use are off. */
  readonly grantTypes: readonly string[]
  readonly openid: boolean
  /** Tokens come from another issuer: nothing is issued here. */
  readonly connectionsOnly: boolean
  readonly dynamicRegistration: boolean
  readonly clientIdMetadataDocuments: boolean
  readonly redirectUriSchemes: readonly string[]
  readonly store: Store
  readonly secrets: SecretRing
  /** Seals what goes into the store. */
  readonly sealer: Sealer
  readonly clients: ClientResolver
  readonly assertions: ClientAssertions
  /** Undefined when no issuer is trusted, and with it the grant that takes them. */
  readonly identityAssertions: IdentityAssertions | undefined
  /** Undefined when there are none, and with it introspection. */
  readonly resourceServers: ResourceServers | undefined
  readonly signingKeys: SigningKeys
  readonly tokens: TokenIssuer
  /** Reads opaque access tokens, also where new ones are JWTs. */
  readonly opaqueTokens: Pick<OpaqueAccessTokens, 'open'>
  readonly idTokens: IdTokenIssuer
  readonly accessTokens: Pick<AccessTokenVerifier, 'verifyAccessToken'>
  /** Undefined where proof of possession is off: tokens are bearer tokens then. */
  readonly dpop: DpopProofs | undefined
  readonly signIn: Login
  readonly connections: ConnectionPlanner
  /** By provider, those that tell what happens to accounts. */
  readonly securityEvents: ReadonlyMap<string, SecurityEventReceiver>
  /** Whether tokens of a connection that ends here are revoked at the provider. */
  readonly revokesUpstream: boolean
  readonly emit: EventSink
  /** Those of the request at hand, inside an endpoint. */
  readonly limits: Limits
  readonly clock: Clock
  readonly random: RandomBytes
}

/** What an endpoint learns about a request besides the request itself. */
export interface RequestInfo {
  /**
   * Address of the client, for limits and events; undefined when the host does not tell, and then no source is
   * limited. Behind proxies the host finds it out; no header is read here (R197).
   */
  remoteAddress?: string
}

/** One endpoint: Request in, Response out. Anything it throws becomes HTTP in `endpoints/respond.ts`. */
export type Endpoint = (context: Context, request: Request, info: RequestInfo) => Promise<Response>
