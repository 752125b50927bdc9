import { base64url } from 'jose'

const sha = (algorithm: 'SHA-256' | 'SHA-512', bytes: ArrayBuffer | Uint8Array<ArrayBuffer>) =>
  crypto.subtle.digest(algorithm, bytes)
const utf8 = (text: string) => new TextEncoder().encode(text)

/** How a provider may name a refresh token without saying it (OAuth Event Types 1.0, as Google has it). */
export type TokenIdentifierAlgorithm = 'prefix' | 'hash_base64_sha512_sha512'

/** Length of a `prefix`, in characters. */
const prefixLength = 16

/** The hash a token is found by in the store, from the name a provider gives it. */
export async function hashTokenName(
  issuer: string,
  algorithm: TokenIdentifierAlgorithm,
  name: string,
): Promise<string> {
  // Base64 is written with and without padding, and with either alphabet.
  const canonical =
    algorithm === 'prefix' ? name : name.replaceAll('-', '+').replaceAll('_', '/').replace(/=+$/, '')
  const text = JSON.stringify(['refresh_token', issuer, algorithm, canonical])
  return base64url.encode(new Uint8Array(await sha('SHA-256', utf8(text))))
}

/** The hashes of every name that a provider may give a refresh token. */
export async function hashTokenNames(issuer: string, refreshToken: string): Promise<string[]> {
  const double = await sha('SHA-512', await sha('SHA-512', utf8(refreshToken)))
  return Promise.all([
    hashTokenName(issuer, 'prefix', refreshToken.slice(0, prefixLength)),
    hashTokenName(issuer, 'hash_base64_sha512_sha512', base64url.encode(new Uint8Array(double))),
  ])
}
