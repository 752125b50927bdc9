import { decodeProtectedHeader, errors, jwtVerify } from 'jose'
import { z } from 'zod'
import { OAuthError } from '../errors.ts'
import type { SigningKeys } from '../keys/signing-keys.ts'
import type { Clock } from '../runtime.ts'
import type { OpaqueAccessTokens } from './opaque-access-token.ts'

/** Longest token that is looked at, in characters: far more than ours have, little enough to parse for anybody. */
const maxLength = 8_192

const at = z.int().nonnegative()
const text = z.string().min(1)
const claimsSchema = z.object({
  iss: text,
  sub: text,
  // R153: one audience, as a string. An array is another resource's token as well as ours.
  aud: text,
  client_id: text,
  scope: z.string(),
  iat: at,
  exp: at,
  nbf: at.optional(),
  jti: text,
  sid: text,
  auth_time: at.optional(),
  /** The key it is bound to (RFC 9449 §6.1). What is bound in another way is for nobody. */
  cnf: z.strictObject({ jkt: text }).optional(),
})
/** Claims of an access token of ours, as they are on the wire (RFC 9068 §2.2). */
export type AccessTokenClaims = z.infer<typeof claimsSchema>

/**
 * Reads an access token, readable or opaque whatever the server issues now: signature, type, issuer, audience and
 * times. Whether its family has been revoked is the caller's to ask.
 *
 * @param resources audiences, one of which the token must have
 * @returns its claims, and the key whose signature proves them
 * @throws {OAuthError} `invalid_token` (RFC 6750 §3.1)
 * @throws {StoreUnavailableError} when the keys cannot be had
 * @see RFC 9068 §4, RFC 8725
 */
export async function readAccessToken(
  context: {
    issuer: string
    signingKeys: Pick<SigningKeys, 'find'>
    opaqueTokens: Pick<OpaqueAccessTokens, 'open'>
    clock: Clock
  },
  value: string,
  resources: readonly string[],
): Promise<{ kid: string; claims: AccessTokenClaims }> {
  if (value.length > maxLength) throw invalidToken('not valid', 'too long')
  const jwt = context.opaqueTokens.open(value)
  if (jwt === undefined) throw invalidToken('not valid', 'not sealed by us')
  const kid = readKeyId(jwt)
  const key = kid === undefined ? undefined : await context.signingKeys.find(kid)
  if (kid === undefined || !key) throw invalidToken('not valid', 'no key of ours')
  try {
    const { payload } = await jwtVerify(jwt, key.publicKey, {
      // R154: the algorithm of the key, never that of the header.
      algorithms: [key.alg],
      // R119, R155: ID tokens and whatever else our keys sign have another type.
      typ: 'at+jwt',
      issuer: context.issuer,
      audience: [...resources],
      requiredClaims: ['iss', 'sub', 'aud', 'exp', 'iat', 'jti', 'client_id', 'sid'],
      currentDate: new Date(context.clock() * 1000),
    })
    return { kid, claims: claimsSchema.parse(payload) }
  } catch (error) {
    if (error instanceof errors.JWTExpired) throw invalidToken('expired', error.code)
    // What was in the token stays out of the error: jose hangs the payload on its own.
    if (error instanceof errors.JOSEError) throw invalidToken('not valid', error.code)
    if (error instanceof z.ZodError) throw invalidToken('not valid', 'malformed claims')
    throw error
  }
}

/** The refusal of an access token; the cause is for us. */
export function invalidToken(reason: 'not valid' | 'expired' | 'revoked', cause: string): OAuthError {
  return new OAuthError('invalid_token', `The access token is ${reason}.`, { cause })
}

function readKeyId(jwt: string): string | undefined {
  try {
    const { kid } = decodeProtectedHeader(jwt)
    return typeof kid === 'string' ? kid : undefined
  } catch {
    return undefined
  }
}
