import { calculateJwkThumbprint, decodeProtectedHeader, errors, importJWK, type JWK, jwtVerify } from 'jose'
import { z } from 'zod'
import { sha256 } from './hash.ts'

/** JWS algorithms of proofs: asymmetric, and nothing else is ever tried (RFC 9449 §11.6). */
export const dpopAlgorithms = ['ES256', 'Ed25519', 'EdDSA', 'PS256', 'RS256'] as const

/** Longest proof that is looked at, in characters: an RSA key of 8192 bits fits. */
const maxLength = 4_096

/**
 * How far the clocks of client and server may be apart, and how old a proof may be, in seconds. The DPoP profile of MCP
 * names this number, and clients count on it.
 */
export const dpopWindowSeconds = 300

/** Three parts of base64url: two headers arrive joined by a comma, which no JWS contains (RFC 9449 §4.3, 1 and 2). */
const compactJws = /^[\w-]+\.[\w-]+\.[\w-]+$/

/** A SHA-256 in base64url: `jkt`, `dpop_jkt`, `ath`. */
const thumbprint = /^[\w-]{43}$/

/** Whether a value can be the thumbprint of a key. */
export const isThumbprint = (value: string): boolean => thumbprint.test(value)

const text = z.string().min(1)
const privateMembers: readonly string[] = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']
const jwkSchema = z
  .looseObject({ kty: z.enum(['EC', 'OKP', 'RSA']), crv: text.optional() })
  .refine(jwk => !privateMembers.some(name => name in jwk))
const headerSchema = z
  .object({ alg: z.enum(dpopAlgorithms), jwk: jwkSchema })
  .refine(({ alg, jwk }) => fits(jwk, alg))
const claimsSchema = z.object({
  jti: text,
  htm: text,
  htu: text,
  iat: z.number(),
  ath: text.optional(),
  nonce: text.optional(),
})

/** What of a request a proof must be for. */
export interface ProvenRequest {
  method: string
  /** As the server is known by configuration, whatever host the request names. */
  url: string
  /** Seconds since the epoch. */
  now: number
  /** The token that is presented with it; absent at the token endpoint. */
  accessToken?: string
}

/** A proof that is in order; whether it has been used before, and whether its nonce is one, is the caller's to ask. */
export interface ProvenKey {
  outcome: 'valid'
  /** SHA-256 thumbprint of the key (RFC 7638), base64url. */
  jkt: string
  jti: string
  nonce: string | undefined
  /** From when on it is too old for anybody, seconds since the epoch. */
  endsAt: number
}

/** Why a proof is none. */
export type DpopProblem = 'malformed' | 'signature' | 'request' | 'time' | 'access_token'

/**
 * Checks a DPoP proof against the request it came with.
 *
 * @param value of the DPoP header
 * @see RFC 9449 §4.3
 */
export async function checkDpopProof(
  value: string,
  { method, url, now, accessToken }: ProvenRequest,
): Promise<ProvenKey | { outcome: 'invalid'; problem: DpopProblem }> {
  const invalid = (problem: DpopProblem) => ({ outcome: 'invalid', problem }) as const
  if (value.length > maxLength || !compactJws.test(value)) return invalid('malformed')
  const header = headerSchema.safeParse(attempt(() => decodeProtectedHeader(value)))
  if (!header.success) return invalid('malformed')
  const { alg, jwk } = header.data
  const key = publicPart(jwk)
  let payload: unknown
  try {
    const verified = await jwtVerify(value, await importJWK(key, alg), {
      algorithms: [alg],
      // R119: a JWT of another kind is no proof, whoever signed it.
      typ: 'dpop+jwt',
      currentDate: new Date(now * 1000),
    })
    payload = verified.payload
  } catch (error) {
    if (error instanceof errors.JWTExpired) return invalid('time')
    return invalid(error instanceof errors.JWSSignatureVerificationFailed ? 'signature' : 'malformed')
  }
  const claims = claimsSchema.safeParse(payload)
  if (!claims.success) return invalid('malformed')
  const { jti, htm, htu, iat, ath, nonce } = claims.data
  if (htm !== method || withoutQuery(htu) !== withoutQuery(url)) return invalid('request')
  if (Math.abs(now - iat) > dpopWindowSeconds) return invalid('time')
  if (accessToken !== undefined && ath !== sha256(accessToken)) return invalid('access_token')
  const jkt = await calculateJwkThumbprint(key, 'sha256')
  return { outcome: 'valid', jkt, jti, nonce, endsAt: Math.floor(iat) + dpopWindowSeconds + 1 }
}

/** What a verifier needs of a key, and nothing else its sender put there. */
const keyMembers = ['kty', 'crv', 'x', 'y', 'n', 'e'] as const
const publicPart = (jwk: Readonly<Record<string, unknown>>): JWK =>
  Object.fromEntries(keyMembers.filter(name => typeof jwk[name] === 'string').map(name => [name, jwk[name]]))

/** Whether a key is of the kind an algorithm works with (RFC 7518 §3.1, RFC 8037 §3.1); jose sees to its size. */
function fits({ kty, crv }: { kty: string; crv?: string | undefined }, algorithm: string): boolean {
  switch (algorithm) {
    case 'ES256':
      return kty === 'EC' && crv === 'P-256'
    case 'EdDSA':
    case 'Ed25519':
      return kty === 'OKP' && crv === 'Ed25519'
    default:
      return kty === 'RSA'
  }
}

/** A URL in the spelling of every parser, without query and fragment (RFC 9449 §4.3); undefined when it is none. */
function withoutQuery(value: string): string | undefined {
  if (!URL.canParse(value)) return undefined
  const url = new URL(value)
  url.search = ''
  url.hash = ''
  return url.href
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}
