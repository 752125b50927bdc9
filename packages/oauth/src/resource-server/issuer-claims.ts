import { z } from 'zod'
import { sha256 } from '../protocol/hash.ts'
import type { AccessToken } from '../tokens/access-token.ts'
import { invalidToken } from '../tokens/read-access-token.ts'

/** Claims of a verified token, or of an introspection answer, as they came. */
export type IssuerClaims = Readonly<Record<string, unknown>>

const text = z.string().min(1).max(1000)
const at = z.number().nonnegative()
const scopeList = z.union([z.string(), z.array(z.string())])
const claimsSchema = z.object({
  sub: text,
  exp: at,
  // RFC 9068; azp of OpenID Connect (Keycloak, Auth0, Entra 2.0); cid of Okta; appid of Entra 1.0.
  client_id: text.optional(),
  azp: text.optional(),
  cid: text.optional(),
  appid: text.optional(),
  // RFC 9068; scp of Entra (text) and Okta (list).
  scope: scopeList.optional(),
  scp: scopeList.optional(),
  jti: text.optional(),
  sid: text.optional(),
  auth_time: at.optional(),
  // What tells a client that acts for itself: Auth0's gty, Entra's idtyp.
  gty: z.string().optional(),
  idtyp: z.string().optional(),
})

/** scope-token of RFC 6749 §3.3. */
const scopeToken = /^[\x21\x23-\x5b\x5d-\x7e]+$/

/**
 * Claims of a foreign issuer → an access token as ours look. The user's id is a hash of issuer and subject: no two
 * issuers' subjects are ever one user (R76).
 *
 * @throws {OAuthError} `invalid_token` when they do not say for whom or through which client
 */
export function toAccessToken(
  claims: IssuerClaims,
  { issuer, resource, value }: { issuer: string; resource: string; value: string },
): AccessToken {
  // R159: a token that is bound to a key proves nothing without the key, and nobody here asks for it.
  if (claims.cnf !== undefined) throw invalidToken('not valid', 'bound to a key')
  const parsed = claimsSchema.safeParse(claims)
  if (!parsed.success) throw invalidToken('not valid', 'malformed claims')
  const { sub, exp, client_id, azp, cid, appid, scope, scp, sid, auth_time, gty, idtyp } = parsed.data
  const clientId = client_id ?? azp ?? cid ?? appid
  if (clientId === undefined) throw invalidToken('not valid', 'no client')
  const jti = parsed.data.jti ?? sha256(value)
  const token = {
    clientId,
    subject: sub,
    scopes: Object.freeze([scope ?? [], scp ?? []].flatMap(toList).filter(name => scopeToken.test(name))),
    resource,
    issuer,
    grantId: sid ?? jti,
    jti,
    expiresAt: Math.floor(exp),
    authTime: auth_time === undefined ? undefined : Math.floor(auth_time),
  }
  // RFC 9068 §5: a client by itself is its own subject.
  const isClient =
    sub === clientId || sub === `${clientId}@clients` || gty === 'client-credentials' || idtyp === 'app'
  return Object.freeze(
    isClient
      ? { ...token, principal: 'client' as const, userId: undefined }
      : { ...token, principal: 'user' as const, userId: sha256(JSON.stringify([issuer, sub])) },
  )
}

const toList = (value: string | readonly string[]): readonly string[] =>
  typeof value === 'string' ? value.split(' ') : value
