import { errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose'
import { z } from 'zod'
import type { Clock } from '../runtime.ts'
import { invalidToken } from '../tokens/read-access-token.ts'
import type { IssuerClaims } from './issuer-claims.ts'

/** Asymmetric algorithms only: with HS256 whoever knows a client secret could make tokens (R154). */
export const issuerAlgorithms: readonly string[] = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
]

/** How far the issuer's clock may be ahead of ours or behind it, in seconds. */
const clockToleranceSeconds = 10

/** Types of JWT that other issuers give access tokens: RFC 9068 §2.1, and what stood there before it. */
const accessTokenTypes: readonly string[] = ['at+jwt', 'application/at+jwt', 'jwt']

/**
 * Reads an access token that a foreign issuer signed: signature, type, issuer, audience and times.
 *
 * @throws {OAuthError} `invalid_token`; `temporarily_unavailable` when the issuer's keys cannot be had
 * @see RFC 9068 §4, RFC 8725
 */
export async function readIssuerToken(
  context: { issuer: string; audience: string; keys: JWTVerifyGetKey; clock: Clock },
  value: string,
): Promise<IssuerClaims> {
  try {
    const { payload, protectedHeader } = await jwtVerify(value, context.keys, {
      algorithms: [...issuerAlgorithms],
      issuer: context.issuer,
      audience: context.audience,
      requiredClaims: ['iss', 'sub', 'aud', 'exp'],
      clockTolerance: clockToleranceSeconds,
      currentDate: new Date(context.clock() * 1000),
    })
    if (!accessTokenTypes.includes((protectedHeader.typ ?? 'jwt').toLowerCase()) || isOtherKind(payload)) {
      throw invalidToken('not valid', 'another kind of token')
    }
    return payload
  } catch (error) {
    if (error instanceof errors.JWTExpired) throw invalidToken('expired', error.code)
    // What was in the token stays out of the error: jose hangs the payload on its own.
    if (error instanceof errors.JOSEError) throw invalidToken('not valid', error.code)
    throw error
  }
}

const words = z.object({ typ: z.string().optional(), token_use: z.string().optional() })

/**
 * ID tokens, logout tokens and security events are signed by the same keys. Not every issuer gives access tokens a
 * type of their own, so what gives the others away is looked for (R155): claims only they have, Keycloak's `typ`,
 * Cognito's `token_use`.
 */
function isOtherKind(payload: JWTPayload): boolean {
  if (['nonce', 'at_hash', 'c_hash', 's_hash', 'events'].some(name => payload[name] !== undefined))
    return true
  const { success, data } = words.safeParse(payload)
  if (!success) return true
  if (data.typ !== undefined && !['bearer', 'at+jwt', 'jwt'].includes(data.typ.toLowerCase())) return true
  return data.token_use !== undefined && data.token_use !== 'access'
}
