import { createHash, timingSafeEqual } from 'node:crypto'

/** Whether a `code_challenge` can be one of S256: 32 bytes in base64url, 43 characters (R43, RFC 7636 §4.2). */
export function isS256CodeChallenge(value: string): boolean {
  return /^[A-Za-z0-9_-]{43}$/.test(value)
}

/** Whether a `code_verifier` has the form RFC 7636 §4.1 gives it: 43 to 128 unreserved characters (R99). */
export function isCodeVerifier(value: string): boolean {
  return /^[A-Za-z0-9._~-]{43,128}$/.test(value)
}

/** Whether the S256 challenge is that of the verifier; the comparison takes constant time (R99, RFC 7636 §4.6). */
export function matchesCodeChallenge(verifier: string, challenge: string): boolean {
  const expected = createHash('sha256').update(verifier, 'utf8').digest('base64url')
  const presented = Buffer.from(challenge)
  return presented.byteLength === expected.length && timingSafeEqual(presented, Buffer.from(expected))
}
