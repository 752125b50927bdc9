import type { JWK } from 'jose'
import type { TokenLifetimes } from '../protocol/lifetimes.ts'
import type { AssertionAlgorithm } from './assertion-algorithms.ts'
import type { AssertionRules } from './client-assertion.ts'

/** How a client authenticates at the token and revocation endpoints (RFC 7591 §2). */
export type ClientAuthenticationMethod =
  | 'none'
  | 'client_secret_basic'
  | 'client_secret_post'
  | 'private_key_jwt'

/** A client as the endpoints see it, whichever way it became known. */
export interface Client {
  clientId: string
  /** `configured` clients are trusted by the deployer; the others are strangers until the user consents. */
  kind: 'configured' | 'registered' | 'metadata-document'
  /** What the client calls itself. Unproven unless configured. */
  clientName: string | undefined
  /** For the consent page; absolute http(s) URLs. */
  clientUri: string | undefined
  policyUri: string | undefined
  tosUri: string | undefined
  redirectUris: readonly string[]
  /** Where a browser may go after a sign-out the client asked for; compared exactly. */
  postLogoutRedirectUris: readonly string[]
  grantTypes: readonly string[]
  tokenEndpointAuthMethod: ClientAuthenticationMethod
  /** Gets no token without a DPoP proof (RFC 9449 §5.2). */
  dpopBoundAccessTokens?: boolean | undefined
  /** Scopes the client may ask for; undefined when only the server's own list limits it. */
  scopes: readonly string[] | undefined
  /** Where its tokens and sessions are to end earlier than those of others. */
  lifetimes?: Partial<TokenLifetimes> | undefined
  /** Compares in constant time. Undefined for a client without a secret. */
  isSecret: ((presented: string) => boolean) | undefined
  /**
   * Present when the client may authenticate by `private_key_jwt`. With the method `none` it may, and need not: its
   * metadata document prefers the one and offers the other.
   */
  assertion?: AssertionRules | undefined
  /** Resources it may get tokens for by `client_credentials`; undefined: the server's first. */
  resources?: readonly string[] | undefined
}

/** A client the deployer configures (pre-registration). */
export interface ConfiguredClient {
  clientId: string
  clientName?: string
  /** Required for `authorization_code`. */
  redirectUris?: readonly string[]
  /** Where a browser may go after a sign-out the client asked for. Default: none. */
  postLogoutRedirectUris?: readonly string[]
  /** Makes the client confidential: `client_secret_basic` unless `tokenEndpointAuthMethod` says otherwise. */
  clientSecret?: string
  /** Public keys of a client that authenticates by `private_key_jwt`. Not together with `jwksUri`. */
  jwks?: { readonly keys: readonly JWK[] }
  /** Where those keys are: https, a public address, the usual port. */
  jwksUri?: string
  /** The only algorithm its assertions may have. Default: ES256, EdDSA, PS256 and RS256. */
  tokenEndpointAuthSigningAlg?: AssertionAlgorithm
  /**
   * Takes assertions whose audience is the token endpoint's URL, for a client that cannot send the issuer. Another
   * server it trusts could replay such an assertion here (R117). Default false.
   */
  acceptTokenEndpointAudience?: boolean
  /** Default: `private_key_jwt` with keys, `client_secret_basic` with a secret, otherwise `none`. */
  tokenEndpointAuthMethod?: ClientAuthenticationMethod
  /**
   * Default `authorization_code` and `refresh_token`. With `client_credentials` the client gets tokens for itself,
   * without a user: it must be confidential, and `scopes` say what it may have. With
   * `urn:ietf:params:oauth:grant-type:jwt-bearer` it may bring assertions of the option `enterpriseIssuers`: it must be
   * confidential.
   */
  grantTypes?: readonly string[]
  scopes?: readonly string[]
  /** Gives it no token without a DPoP proof (RFC 9449 §5.2). Default false: it may prove a key, and need not. */
  dpopBoundAccessTokens?: boolean
  /** Lifetimes of its tokens and sessions, in seconds; the shortest of these and all others that apply wins. */
  lifetimes?: Partial<TokenLifetimes>
  /** Resources it may get tokens for by `client_credentials`. Default: the server's first. */
  resources?: readonly string[]
}

/** client_id → client: configured, then client ID metadata document, then our own dynamic registration. */
export interface ClientResolver {
  /**
   * Undefined when the client is unknown, deleted, or its document is not acceptable.
   *
   * @throws {OAuthError} `temporarily_unavailable` when its document could not be fetched
   * @throws {StoreUnavailableError}
   */
  resolveClient(clientId: string): Promise<Client | undefined>
  /**
   * Whether the client has not been deleted, taken out of the configuration or switched off. Fetches nothing: a
   * metadata document counts as there.
   *
   * @throws {StoreUnavailableError}
   */
  isKnown(clientId: string): Promise<boolean>
}
