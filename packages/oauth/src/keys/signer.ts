import type { JWK } from 'jose'
import type { SigningAlgorithm } from './signing-algorithm.ts'

/**
 * A signing key that is kept elsewhere: in an HSM, a KMS, a file. It signs in place of the keys in the store, and
 * whoever runs it rotates it: put the new one second, so that it is published, wait a day, put it first, and take
 * the old one away when the tokens it signed have ended.
 */
export interface Signer {
  /** Names the key in tokens and in the JWKS. */
  readonly kid: string
  /** The one algorithm of the key. */
  readonly alg: SigningAlgorithm
  /** The public key; what else it holds is not published. */
  readonly publicJwk: JWK
  /**
   * Signs bytes, which it hashes itself, in the form RFC 7518 §3 and RFC 8037 §3.1 want: ES256 as `r || s` of 64
   * bytes and not as DER, PS256 with SHA-256 and a salt of 32 bytes, EdDSA as 64 bytes. When it rejects, or takes
   * longer than 2.5 seconds, requests are answered 503.
   */
  sign(data: Uint8Array): Promise<Uint8Array>
}
