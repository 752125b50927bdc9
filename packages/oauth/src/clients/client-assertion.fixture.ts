import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import type { JWK } from 'jose'

/** Keys of clients, and assertions made with them: signed at once, so that a test can take any claim or header apart. */
export interface TestKey {
  privateKey: KeyObject
  publicJwk: JWK
}

export const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

export function createTestKey(kid: string): TestKey {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { privateKey, publicJwk: { ...publicKey.export({ format: 'jwk' }), kid } as JWK }
}

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** A JWS in compact form, ES256 whatever the header says. */
export function signJws(key: KeyObject, header: object, claims: object): string {
  const input = `${encode(header)}.${encode(claims)}`
  return `${input}.${sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
}

let counter = 0

/** A good assertion; `claims` and `header` replace or, undefined, remove members. */
export function signAssertion(assertion: {
  clientId: string
  key: TestKey
  audience: string
  now: number
  claims?: Record<string, unknown>
  header?: Record<string, unknown>
}): string {
  const { clientId, key, audience, now, claims, header } = assertion
  return signJws(
    key.privateKey,
    { alg: 'ES256', kid: key.publicJwk.kid, ...header },
    {
      iss: clientId,
      sub: clientId,
      aud: audience,
      iat: now,
      exp: now + 300,
      jti: `assertion-${counter++}`,
      ...claims,
    },
  )
}
