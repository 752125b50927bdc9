import type { JWK } from 'jose'
import { ConfigurationError } from '../errors.ts'
import type { SigningAlgorithm } from './signing-algorithm.ts'

/** Smallest RSA modulus that may sign, in bits (RFC 7518 §3.3, R174). */
export const minimumRsaBits = 2048

/** Public members per key type (RFC 7518 §6, RFC 8037 §2): a list of what goes out, so that nothing else can (R174). */
const publicMembers: Readonly<Record<string, readonly string[]>> = {
  EC: ['kty', 'crv', 'x', 'y'],
  RSA: ['kty', 'n', 'e'],
  OKP: ['kty', 'crv', 'x'],
}

/** The public members of a key, and nothing else it may hold. */
export function publicPart(jwk: { kty?: string } & Record<string, unknown>): JWK {
  const members = publicMembers[jwk.kty ?? ''] ?? []
  return Object.fromEntries(members.map(name => [name, jwk[name]])) as JWK
}

/** What a key must be for its algorithm, in words and as a check. */
const shapes: Readonly<Record<SigningAlgorithm, { words: string; fits: (jwk: JWK) => boolean }>> = {
  ES256: { words: 'an EC key on P-256', fits: ({ kty, crv }) => kty === 'EC' && crv === 'P-256' },
  EdDSA: { words: 'an OKP key on Ed25519', fits: ({ kty, crv }) => kty === 'OKP' && crv === 'Ed25519' },
  RS256: { words: `an RSA key of ${minimumRsaBits} bits or more`, fits: isStrongRsa },
  PS256: { words: `an RSA key of ${minimumRsaBits} bits or more`, fits: isStrongRsa },
}

/**
 * Checks that a key is one of the kind its algorithm needs, and long enough (R174).
 *
 * @throws {ConfigurationError} when it is not, or when there is no such algorithm
 */
export function assertSigningJwk(jwk: JWK, alg: SigningAlgorithm): void {
  if (!Object.hasOwn(shapes, alg)) {
    throw new ConfigurationError(`A signing key cannot be for ${alg}: use ES256, RS256, PS256 or EdDSA.`)
  }
  const { words, fits } = shapes[alg]
  if (!fits(jwk)) throw new ConfigurationError(`A signing key for ${alg} must be ${words}.`)
}

function isStrongRsa({ kty, n = '' }: JWK): boolean {
  const modulus = Buffer.from(n, 'base64url')
  const start = modulus.findIndex(byte => byte !== 0)
  const bits = start < 0 ? 0 : (modulus.length - start) * 8 - (Math.clz32(modulus[start]!) - 24)
  return kty === 'RSA' && bits >= minimumRsaBits
}
