import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import type { JWK } from 'jose'

/** Keys of clients and proofs made with them at once, so that a test can take any claim or header apart. */
export interface DpopKey {
  privateKey: KeyObject
  publicJwk: JWK
  jkt: string
}

/** An EC key on P-256. */
export function createDpopKey(): DpopKey {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { kty, crv, x, y } = publicKey.export({ format: 'jwk' })
  return {
    privateKey,
    publicJwk: { kty, crv, x, y } as JWK,
    jkt: hash(JSON.stringify({ crv, kty, x, y })),
  }
}

/** SHA-256 in base64url. */
const hash = (value: string) => createHash('sha256').update(value).digest('base64url')

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

let counter = 0

/** A good proof; `claims` and `header` replace or, undefined, remove members. */
export function signProof(
  key: DpopKey,
  proof: {
    method?: string
    url: string
    now: number
    accessToken?: string
    claims?: Record<string, unknown>
    header?: Record<string, unknown>
    /** Signs it instead of the key that the header names. */
    signer?: (input: Buffer) => Buffer
  },
): string {
  const { method = 'POST', url, now, accessToken, claims, header } = proof
  const { signer = (input: Buffer) => sign('sha256', input, es256(key)) } = proof
  const input = [
    encode({ typ: 'dpop+jwt', alg: 'ES256', jwk: key.publicJwk, ...header }),
    encode({
      jti: `proof-${counter++}`,
      htm: method,
      htu: url,
      iat: now,
      ...(accessToken !== undefined && { ath: hash(accessToken) }),
      ...claims,
    }),
  ].join('.')
  return `${input}.${signer(Buffer.from(input)).toString('base64url')}`
}

const es256 = ({ privateKey }: DpopKey) => ({ key: privateKey, dsaEncoding: 'ieee-p1363' }) as const
