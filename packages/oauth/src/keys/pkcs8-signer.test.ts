import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { calculateJwkThumbprint, compactVerify, importJWK } from 'jose'
import { describe, expect, it } from 'vitest'
import { ConfigurationError } from '../errors.ts'
import { signCompactJws } from './compact-jws.ts'
import { createPkcs8Signer } from './pkcs8-signer.ts'
import type { SigningAlgorithm } from './signing-algorithm.ts'

const toPem = (privateKey: KeyObject) => privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
const rsaPem = (modulusLength: number) => toPem(generateKeyPairSync('rsa', { modulusLength }).privateKey)
const ecPem = (namedCurve: string) => toPem(generateKeyPairSync('ec', { namedCurve }).privateKey)
const pems: Record<SigningAlgorithm, string> = {
  ES256: ecPem('P-256'),
  RS256: rsaPem(2048),
  PS256: rsaPem(3072),
  EdDSA: toPem(generateKeyPairSync('ed25519').privateKey),
}
const algorithms = Object.keys(pems) as SigningAlgorithm[]

const errorOf = (promise: Promise<unknown>): Promise<Error> =>
  promise.then(
    () => expect.unreachable(),
    error => error,
  )

describe('PKCS#8 signer', () => {
  it.each(algorithms)('R174: jose verifies what it signs with %s', async alg => {
    const signer = await createPkcs8Signer({ pem: pems[alg], alg })
    const key = await importJWK(signer.publicJwk, alg)
    // An ECDSA integer is a byte short now and then, and must still fill its half.
    for (let i = 0; i < (alg === 'ES256' ? 300 : 3); i++) {
      const jws = await signCompactJws(signer, { typ: 'at+jwt' }, { sub: 'üser', i })
      const { payload, protectedHeader } = await compactVerify(jws, key, { algorithms: [alg] })
      expect(JSON.parse(new TextDecoder().decode(payload))).toEqual({ sub: 'üser', i })
      expect(protectedHeader).toEqual({ typ: 'at+jwt', alg, kid: signer.kid })
    }
  })

  it.each(algorithms)('R174: what it tells of a key for %s is public', async alg => {
    const { publicJwk, kid } = await createPkcs8Signer({ pem: pems[alg], alg })
    const members = Object.keys(publicJwk).filter(name => !['kty', 'crv', 'x', 'y', 'n', 'e'].includes(name))
    expect(members).toEqual([])
    expect(kid).toBe(await calculateJwkThumbprint(publicJwk))
  })

  it('reads the key from a file, and can give it a name', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-key-'))
    const path = join(folder, 'signing-key.pem')
    writeFileSync(path, pems.ES256)
    const fromFile = await createPkcs8Signer({ path, alg: 'ES256', kid: '2026-01' })
    const fromText = await createPkcs8Signer({ pem: pems.ES256, alg: 'ES256' })
    expect(fromFile.kid).toBe('2026-01')
    expect(fromFile.publicJwk).toEqual(fromText.publicJwk)
    rmSync(folder, { recursive: true })
    const error = await errorOf(createPkcs8Signer({ path, alg: 'ES256' }))
    expect(error).toBeInstanceOf(ConfigurationError)
    expect(error.message).toContain(path)
  })

  it.each<[string, string, SigningAlgorithm]>([
    ['an RSA key of 1024 bits', rsaPem(1024), 'RS256'],
    ['an RSA key of 2040 bits', rsaPem(2040), 'PS256'],
    ['an RSA key for ES256', pems.RS256, 'ES256'],
    ['an EC key for RS256', pems.ES256, 'RS256'],
    ['another curve', ecPem('P-384'), 'ES256'],
    ['a curve of Bitcoin', ecPem('secp256k1'), 'ES256'],
    ['Ed448', toPem(generateKeyPairSync('ed448').privateKey), 'EdDSA'],
    ['an EC key for EdDSA', pems.ES256, 'EdDSA'],
    [
      'a key that is bound to PSS',
      toPem(generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).privateKey),
      'PS256',
    ],
    ['an algorithm there is none of', pems.RS256, 'HS256' as SigningAlgorithm],
    ['a name of Object.prototype', pems.RS256, 'toString' as SigningAlgorithm],
    ['no key', 'canary-no-key', 'ES256'],
    ['a public key', createPublicKey(pems.ES256).export({ type: 'spki', format: 'pem' }).toString(), 'ES256'],
    [
      'an encrypted key',
      createPrivateKey(pems.ES256)
        .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'canary' })
        .toString(),
      'ES256',
    ],
  ])('R174: %s is refused at start, in a sentence without the key', async (_, pem, alg) => {
    const error = await errorOf(createPkcs8Signer({ pem, alg }))
    expect(error).toBeInstanceOf(ConfigurationError)
    for (const line of pem.split('\n').filter(line => line.length > 10)) {
      expect(`${error.message} ${error.cause}`).not.toContain(line)
    }
  })
})
