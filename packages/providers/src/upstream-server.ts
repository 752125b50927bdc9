import type { Revocation } from './revoke.ts'

/** The authorization server of a provider: constant, or what its discovery document says. */
export interface UpstreamServer {
  /**
   * Values of `iss` that are this provider; the first is the canonical one identities are kept under (R76). One with
   * `{tenantid}` stands for every tenant: the claim `tid` fills it in.
   */
  issuers: readonly [string, ...string[]]
  /** Tenants whose users may come, where issuers are per tenant. Default: all. */
  tenants?(tenantId: string): boolean
  authorizationEndpoint: string
  tokenEndpoint: string
  /** Keys of its id_tokens; absent for a provider without OpenID Connect. */
  jwksUri?: string
  /** How the client secret is sent: `client_secret_post` or `client_secret_basic`. */
  clientAuthentication: 'post' | 'basic'
  /** JWS algorithms accepted on an id_token. */
  idTokenAlgorithms: readonly string[]
  /** Whether a refresh token can be had by asking for it, or for consent again. */
  givesRefreshTokens: boolean
  /** Scope that asks for a refresh token, where a scope does. */
  offlineScope?: string
  /** Whether asking once is enough: forced consent would not bring what a first request did not. Default false. */
  offlineNeedsNoConsent?: boolean
  /** How a grant is taken back; absent where the provider has no way to. */
  revocation?: Revocation
  /** Whether every authorization response carries `iss` (RFC 9207 §3); one without it is then refused. */
  sendsIssuer: boolean
}
