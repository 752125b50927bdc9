import { constants, createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { calculateJwkThumbprint, type JWK } from 'jose'
import { ConfigurationError } from '../errors.ts'
import { assertSigningJwk } from './jwk.ts'
import type { Signer } from './signer.ts'
import type { SigningAlgorithm } from './signing-algorithm.ts'

/** Where the key is, and what it is for. */
export type Pkcs8SignerOptions = ({ path: string } | { pem: string }) & {
  alg: SigningAlgorithm
  /** Default: the thumbprint of the public key (RFC 7638). */
  kid?: string
}

/** Hash and form of the signature, per algorithm (RFC 7518 §3.3 to §3.5, RFC 8037 §3.1). */
const forms: Readonly<Record<SigningAlgorithm, { hash: 'sha256' | null; options: object }>> = {
  ES256: { hash: 'sha256', options: { dsaEncoding: 'ieee-p1363' } },
  RS256: { hash: 'sha256', options: { padding: constants.RSA_PKCS1_PADDING } },
  PS256: { hash: 'sha256', options: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 } },
  EdDSA: { hash: null, options: {} },
}

// With a callback it signs on a thread of its own, so that an RSA key does not hold up other requests.
const signAsync = promisify<string | null, Uint8Array, object, Buffer>(sign as never)

/**
 * Creates a signer over a private key in a PEM file, such as a mounted secret: the smallest there is, and the
 * pattern for a signer over an HSM or KMS. Make a key with
 * `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out signing-key.pem`.
 *
 * @throws {ConfigurationError} when there is no such file, it holds no unencrypted PKCS#8 key, or the key is not
 *   one for the algorithm (RSA: at least 2048 bits)
 */
export async function createPkcs8Signer(options: Pkcs8SignerOptions): Promise<Signer> {
  const key = readPrivateKey('pem' in options ? options.pem : await readPem(options.path))
  const { alg } = options
  const publicJwk = exportPublicJwk(key)
  assertSigningJwk(publicJwk, alg)
  const { hash, options: form } = forms[alg]
  return {
    kid: options.kid ?? (await calculateJwkThumbprint(publicJwk)),
    alg,
    publicJwk,
    sign: data => signAsync(hash, data, { key, ...form }),
  }
}

async function readPem(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    throw new ConfigurationError(`The signing key cannot be read: check the file ${path}.`, { cause })
  }
}

function readPrivateKey(pem: string): KeyObject {
  try {
    return createPrivateKey({ key: pem, format: 'pem' })
  } catch {
    // Not even the reason: it may be made of what was read.
    throw new ConfigurationError(
      'The signing key is not an unencrypted private key in PKCS#8 PEM: make one with "openssl genpkey".',
    )
  }
}

function exportPublicJwk(key: KeyObject): JWK {
  try {
    return createPublicKey(key).export({ format: 'jwk' }) as JWK
  } catch {
    throw new ConfigurationError('The signing key is of a kind that no JWK can hold: use EC, RSA or Ed25519.')
  }
}
