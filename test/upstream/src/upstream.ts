import type { Control } from './control.ts'
import type { SeenProof } from './dpop.ts'
import type { RefreshTokens, UpstreamKind } from './kinds.ts'
import type { SecurityEventTransmitter } from './security-events.ts'

export interface UpstreamOptions {
  kind: UpstreamKind
  clientId: string
  clientSecret: string
  redirectUris: readonly string[]
  /** Port of the OpenID provider on 127.0.0.1. Default: any free one. */
  port?: number
  /** Sign-in and consent pass without a form. Default false; `control.autoConsent` changes it. */
  autoConsent?: boolean
  /**
   * When a refresh token is issued. Google goes by `access_type` and first consent whatever is said here.
   * Default: as the provider does for most, see `kinds.ts`; a LinkedIn partner, a GitHub App and a Slack app with
   * token rotation are `always`.
   */
  refreshTokens?: RefreshTokens
  /** Single-use refresh tokens: a used one ends the grant at once, without tolerance. Default: as the provider does. */
  rotateRefreshTokens?: boolean
  /** Google: live refresh tokens per account; the oldest dies silently. Default 100. */
  refreshTokenCap?: number
  /**
   * Resource → scopes: where it is the issuer of other people's resource servers (RFC 8707). Their access tokens are
   * JWTs, and clients register themselves, as MCP clients do. Default: none.
   */
  resources?: Readonly<Record<string, readonly string[]>>
}

export interface Upstream {
  kind: UpstreamKind
  /** Issuer identifier, as in `iss` of id_tokens. */
  issuer: string
  /** Origin of the OpenID provider. */
  origin: string
  endpoints: Record<'authorize' | 'token' | 'userinfo' | 'jwks' | 'revoke', string>
  /** Origin of the API, another one than the provider's. */
  apiOrigin: string
  control: Control
  /** DPoP proofs it was shown, at Google. */
  proofs: readonly SeenProof[]
  /** Sends what only Google does. */
  securityEvents: SecurityEventTransmitter
  close(): Promise<void>
}
