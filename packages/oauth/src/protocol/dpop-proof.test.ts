import { constants, createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import fc from 'fast-check'
import type { JWK } from 'jose'
import { describe, expect, it } from 'vitest'
import { createDpopKey, signProof } from '../dpop.fixture.ts'
import { checkDpopProof, dpopAlgorithms, isThumbprint } from './dpop-proof.ts'
import { sha256 } from './hash.ts'

const now = 1_800_000_000
const url = 'https://mcp.example.com/oauth/token'
const key = createDpopKey()
const accessToken = 'canary-access-token'

type Change = Partial<Parameters<typeof signProof>[1]>
const proof = (change: Change = {}) => signProof(key, { url, now, ...change })
const check = (value: string, change: Partial<Parameters<typeof checkDpopProof>[1]> = {}) =>
  checkDpopProof(value, { method: 'POST', url, now, ...change })
const problemOf = async (...parameters: Parameters<typeof check>) => {
  const result = await check(...parameters)
  return result.outcome === 'invalid' ? result.problem : result.outcome
}

describe('checkDpopProof', () => {
  it('R159: a proof for this request tells its key, its id and its end', async () => {
    expect(await check(proof({ claims: { jti: 'one', nonce: 'n' } }))).toEqual({
      outcome: 'valid',
      jkt: key.jkt,
      jti: 'one',
      nonce: 'n',
      endsAt: now + 301,
    })
  })

  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  const okp = generateKeyPairSync('ed25519').privateKey
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
  const { RSA_PKCS1_PSS_PADDING: padding } = constants
  /** Each algorithm with a key of its kind, and how it signs. */
  const kinds: Record<(typeof dpopAlgorithms)[number], [KeyObject, (input: Buffer) => Buffer]> = {
    ES256: [ec, input => sign('sha256', input, { key: ec, dsaEncoding: 'ieee-p1363' })],
    EdDSA: [okp, input => sign(null, input, okp)],
    Ed25519: [okp, input => sign(null, input, okp)],
    RS256: [rsa, input => sign('sha256', input, rsa)],
    PS256: [rsa, input => sign('sha256', input, { key: rsa, padding, saltLength: 32 })],
  }
  const publicPart = (privateKey: KeyObject): JWK => {
    const { kty, crv, x, y, n, e } = privateKey.export({ format: 'jwk' })
    return JSON.parse(JSON.stringify({ kty, crv, x, y, n, e })) as JWK
  }
  it.each(dpopAlgorithms)('R159: %s is taken, with a key of its kind only', async alg => {
    const [key, signer] = kinds[alg]
    const jwk = publicPart(key)
    expect(await problemOf(proof({ header: { alg, jwk }, signer }))).toBe('valid')
    for (const other of dpopAlgorithms.filter(name => kinds[name][0] !== key)) {
      expect(await problemOf(proof({ header: { alg: other, jwk }, signer }))).toBe('malformed')
    }
  })

  it.each([
    ['no type', { typ: undefined }],
    ['the type of an access token', { typ: 'at+jwt' }],
    ['the type of any JWT', { typ: 'JWT' }],
    ['a critical extension nobody knows', { crit: ['x'], x: 1 }],
  ])('R119, R159: with %s it is another kind of JWT', async (_, header) => {
    expect(await problemOf(proof({ header }))).toBe('malformed')
  })

  it.each([
    ['alg none', { alg: 'none' }],
    ['a shared secret', { alg: 'HS256' }],
    ['an algorithm that is not offered', { alg: 'ES384' }],
    ['no algorithm', { alg: undefined }],
    ['no key', { jwk: undefined }],
    ['a key that is none', { jwk: 'key' }],
    ['a symmetric key', { jwk: { kty: 'oct', k: 'AAAA' } }],
    ['a private key', { jwk: key.privateKey.export({ format: 'jwk' }) }],
    ['a key with one private member', { jwk: { ...key.publicJwk, dp: 'AQAB' } }],
    ['a key of another curve', { jwk: { ...key.publicJwk, crv: 'P-384' } }],
  ])('R159: with %s it is no proof', async (_, header) => {
    expect(await problemOf(proof({ header }))).toBe('malformed')
  })

  it('R159: HMAC under the public key is no signature, whatever the header says', async () => {
    const secret = JSON.stringify(key.publicJwk)
    const signer = (input: Buffer) => createHmac('sha256', secret).update(input).digest()
    expect(await problemOf(proof({ header: { alg: 'HS256' }, signer }))).toBe('malformed')
    expect(await problemOf(proof({ signer }))).toBe('signature')
  })

  it('R159: an RSA key of less than 2048 bits proves nothing', async () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 1024 })
    const signer = (input: Buffer) => sign('sha256', input, privateKey)
    const header = { alg: 'RS256', jwk: publicPart(privateKey) }
    expect(await problemOf(proof({ header, signer }))).toBe('malformed')
  })

  it('R159: the key in the header, and no other, has signed it', async () => {
    const other = createDpopKey()
    expect(await problemOf(proof({ header: { jwk: other.publicJwk } }))).toBe('signature')
    const [header, claims] = proof().split('.')
    const [, , signature] = proof().split('.')
    expect(await problemOf(`${header}.${claims}.${signature}`)).toBe('signature')
    expect(await problemOf(`${header}.${claims}.`)).toBe('malformed')
  })

  it.each(['jti', 'htm', 'htu', 'iat'])('R159: without %s it is no proof', async name => {
    expect(await problemOf(proof({ claims: { [name]: undefined } }))).toBe('malformed')
    expect(await problemOf(proof({ claims: { [name]: name === 'iat' ? `${now}` : 7 } }))).toBe('malformed')
    expect(await problemOf(proof({ claims: { [name]: '' } }))).toBe('malformed')
  })

  it.each(['GET', 'post', 'POST ', 'OPTIONS'])('R159: htm %j is for another method', async htm => {
    expect(await problemOf(proof({ claims: { htm } }))).toBe('request')
  })

  it.each([
    'https://mcp.example.com/oauth/token?a=b',
    'https://mcp.example.com/oauth/token#x',
    'https://mcp.example.com/oauth/token?',
    'HTTPS://MCP.example.com:443/oauth/token',
    'https://mcp.example.com/oauth/./token',
  ])('R159: htu %s is the same URL', async htu => {
    expect(await problemOf(proof({ claims: { htu } }))).toBe('valid')
  })

  it.each([
    'https://evil.example/oauth/token',
    'http://mcp.example.com/oauth/token',
    'https://mcp.example.com:8443/oauth/token',
    'https://mcp.example.com/oauth/token/',
    'https://mcp.example.com/oauth/TOKEN',
    'https://mcp.example.com/mcp',
    'https://mcp.example.com',
    'https://user@mcp.example.com/oauth/token',
    'https://mcp.example.com.evil.example/oauth/token',
    '/oauth/token',
    'not a url',
  ])('R159: htu %s is another URL', async htu => {
    expect(await problemOf(proof({ claims: { htu } }))).toBe('request')
  })

  it('R159: it is good for five minutes, and by a clock five minutes ahead', async () => {
    for (const iat of [now - 300, now, now + 300, now + 0.5]) {
      expect(await problemOf(proof({ claims: { iat } }))).toBe('valid')
    }
    for (const iat of [now - 301, now + 301, 0, -now, 1e300]) {
      expect(await problemOf(proof({ claims: { iat } }))).toBe('time')
    }
  })

  it('R159: it is remembered for as long as it is good', async () => {
    for (const iat of [now - 300, now - 299.5, now, now + 300]) {
      const value = proof({ claims: { iat } })
      const result = await check(value)
      if (result.outcome !== 'valid') throw new Error(result.problem)
      expect(await problemOf(value, { now: result.endsAt })).toBe('time')
    }
  })

  it('a proof that says when it ends ends then', async () => {
    expect(await problemOf(proof({ claims: { exp: now } }))).toBe('time')
    expect(await problemOf(proof({ claims: { exp: now + 1 } }))).toBe('valid')
  })

  it('R159: beside an access token it is for this token', async () => {
    expect(await problemOf(proof({ accessToken }), { accessToken })).toBe('valid')
    for (const ath of [undefined, sha256('another'), accessToken, `${sha256(accessToken)}=`]) {
      expect(await problemOf(proof({ claims: { ath } }), { accessToken })).toBe('access_token')
    }
  })

  it('R159: two headers, joined as they arrive, are no proof', async () => {
    expect(await problemOf(`${proof()}, ${proof()}`)).toBe('malformed')
    expect(await problemOf(`${proof()},${proof()}`)).toBe('malformed')
    expect(await problemOf(` ${proof()}`)).toBe('malformed')
  })

  it('R159: what is longer than any proof is not looked at', async () => {
    expect(await problemOf(proof({ claims: { padding: 'x'.repeat(2_000) } }))).toBe('valid')
    expect(await problemOf(proof({ claims: { padding: 'x'.repeat(4_096) } }))).toBe('malformed')
    expect(await problemOf('a'.repeat(1_000_000))).toBe('malformed')
  })

  it('R159: whatever comes, nothing is thrown, and what is no proof is refused', async () => {
    const anything = fc.oneof(fc.jsonValue(), fc.constantFrom('', 'ES256', 'dpop+jwt', now, url, null))
    const member = fc.constantFrom('typ', 'alg', 'jwk', 'crit', 'b64', 'kid', 'jti', 'htm', 'htu', 'iat')
    await fc.assert(
      fc.asyncProperty(member, anything, async (name, value) => {
        const change = { [name]: value }
        const changed = proof({ header: change, claims: change })
        const { outcome } = await check(changed)
        if (['jwk', 'crit', 'htm'].includes(name)) expect(outcome).toBe('invalid')
      }),
      { numRuns: 50 },
    )
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary' }), async value => {
        expect((await check(value)).outcome).toBe('invalid')
      }),
    )
  }, 60_000)

  it('R159: any changed character of the signed part makes it worthless', async () => {
    const value = proof()
    const signed = value.lastIndexOf('.')
    await fc.assert(
      fc.asyncProperty(fc.nat(signed - 1), fc.constantFrom('A', 'b', '9', '_'), async (at, character) => {
        fc.pre(value[at] !== character && value[at] !== '.')
        expect((await check(value.slice(0, at) + character + value.slice(at + 1))).outcome).toBe('invalid')
      }),
      { numRuns: 50 },
    )
  }, 60_000)
})

it('a thumbprint is a SHA-256 in base64url', () => {
  expect(isThumbprint(key.jkt)).toBe(true)
  for (const value of ['', key.jkt.slice(1), `${key.jkt}A`, `${key.jkt}\n`, '+'.repeat(43)]) {
    expect(isThumbprint(value)).toBe(false)
  }
})
