import type { Client } from '../clients/client.ts'
import type { Context } from '../context.ts'
import type { Parameters } from '../protocol/parameters.ts'

/** Answer of the token endpoint (RFC 6749 §5.1). */
export interface TokenResponse {
  access_token: string
  token_type: 'Bearer' | 'DPoP'
  /** Seconds from now. */
  expires_in: number
  refresh_token?: string
  /** When `openid` is among the scopes (OpenID Connect Core §3.1.3.3, §12.2). */
  id_token?: string
  /** What the access token carries; absent only when that is nothing, for which the syntax has no word. */
  scope?: string
}

/**
 * One value of `grant_type`. The client is authenticated and registered for it.
 *
 * @param consumeAuthentication called once, after every check that uses nothing up, and before the step that does
 *   (R91): it uses up a client assertion and a proof of possession
 * @param dpopJkt thumbprint of the key the client has proven to hold: the access token is to be bound to it
 */
export type GrantHandler = (
  context: Context,
  client: Client,
  parameters: Parameters,
  consumeAuthentication: () => Promise<void>,
  dpopJkt: string | undefined,
) => Promise<TokenResponse>
