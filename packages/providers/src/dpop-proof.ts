import { base64url, exportJWK, generateKeyPair, importJWK, SignJWT } from 'jose'
import { z } from 'zod'

const text = z.string().min(1)

/** A private EC key on P-256 as a JWK: what a refresh token is bound to. Sealed with it, and never apart from it. */
export const dpopKeySchema: z.ZodType<DpopKey> = z.strictObject({
  kty: z.literal('EC'),
  crv: z.literal('P-256'),
  x: text,
  y: text,
  d: text,
})
export interface DpopKey {
  kty: 'EC'
  crv: 'P-256'
  x: string
  y: string
  d: string
}

/** Makes a key for the tokens of one connection. */
export async function createDpopKey(): Promise<DpopKey> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  const { kty, crv, x, y, d } = await exportJWK(privateKey)
  return dpopKeySchema.parse({ kty, crv, x, y, d })
}

/**
 * Proves possession of a key to a token endpoint, for one request.
 *
 * @see RFC 9449 §4.2
 */
export async function signDpopProof(
  key: DpopKey,
  { url, jti, now, nonce }: { url: string; jti: string; now: number; nonce: string | undefined },
): Promise<string> {
  const { d: _, ...jwk } = key
  const { origin, pathname } = new URL(url)
  return new SignJWT({ htm: 'POST', htu: origin + pathname, jti, iat: now, ...(nonce && { nonce }) })
    .setProtectedHeader({ typ: 'dpop+jwt', alg: 'ES256', jwk })
    .sign(await importJWK({ ...key }, 'ES256'))
}

/** What a proof of a code exchange is called at Google: so it is good for that code alone. */
export async function hashCode(code: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(code))
  return base64url.encode(new Uint8Array(digest))
}

/**
 * Nonces of one provider, to put into the next proof: the last one for each grant type, as those for codes and those for
 * refreshes are not the same. Each process learns its own.
 */
export type DpopNonces = Map<string, string>

/** The nonce in an answer (RFC 9449 §8.1), if it is one that a proof can carry. */
export function readNonce(headers: Headers): string | undefined {
  const nonce = headers.get('dpop-nonce')
  return nonce !== null && /^[\x21\x23-\x5b\x5d-\x7e]{1,1024}$/.test(nonce) ? nonce : undefined
}
