import { type CryptoKey, compactVerify, exportJWK, generateKeyPair, importJWK, jwtVerify } from 'jose'
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { ConfigurationError, OAuthError } from '../errors.ts'
import type { SallyportEvent } from '../events.ts'
import type { Signer } from './signer.ts'
import { createSignerKeys } from './signer-keys.ts'
import type { SigningAlgorithm } from './signing-algorithm.ts'

/** What Web Crypto calls it; the signatures it makes are in the form JOSE wants. */
const webCryptoNames = {
  ES256: { name: 'ECDSA', hash: 'SHA-256' },
  RS256: { name: 'RSASSA-PKCS1-v1_5' },
  PS256: { name: 'RSA-PSS', saltLength: 32 },
  EdDSA: { name: 'Ed25519' },
}
const algorithms = Object.keys(webCryptoNames) as SigningAlgorithm[]

const createSigner = async (alg: SigningAlgorithm, over: Partial<Signer> = {}): Promise<Signer> => {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  return {
    kid: `kid-${alg}`,
    alg,
    publicJwk: await exportJWK(publicKey),
    sign: async data =>
      new Uint8Array(
        await crypto.subtle.sign(webCryptoNames[alg], privateKey as CryptoKey, new Uint8Array(data)),
      ),
    ...over,
  }
}
const errorOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => expect.unreachable(),
    error => error,
  )

let first: Signer
let second: Signer
beforeAll(async () => {
  first = await createSigner('ES256')
  second = await createSigner('RS256')
})
afterEach(() => void vi.useRealTimers())

describe('signing keys over signers', () => {
  it.each(algorithms)('R174: jose verifies a token signed outside with %s', async alg => {
    const keys = createSignerKeys({ signers: [await createSigner(alg)] })
    const { kid, signJwt } = await keys.active()
    const token = await signJwt({ sub: 'user', aud: 'здесь' }, { typ: 'at+jwt' })
    const [jwk] = (await keys.jwks()).keys
    const { payload, protectedHeader } = await jwtVerify(token, await importJWK(jwk!, alg), {
      algorithms: [alg],
      typ: 'at+jwt',
    })
    expect(payload).toEqual({ sub: 'user', aud: 'здесь' })
    expect(protectedHeader).toEqual({ typ: 'at+jwt', alg, kid })
    const found = await keys.find(kid)
    expect(found?.alg).toBe(alg)
    await expect(jwtVerify(token, found!.publicKey)).resolves.toBeDefined()
  })

  it('R174: the first signs, all are published and found, and nobody else', async () => {
    const keys = createSignerKeys({ signers: [first, second] })
    expect((await keys.active()).kid).toBe('kid-ES256')
    expect((await keys.jwks()).keys.map(({ kid, alg, use }) => [kid, alg, use])).toEqual([
      ['kid-ES256', 'ES256', 'sig'],
      ['kid-RS256', 'RS256', 'sig'],
    ])
    expect((await keys.find('kid-RS256'))?.alg).toBe('RS256')
    expect(await keys.find('kid-PS256')).toBeUndefined()
    await expect(keys.rotateIfDue()).resolves.toBeUndefined()
  })

  it('R174: a private member in a public key is not published', async () => {
    const publicJwk = { ...first.publicJwk, d: 'canary', k: 'canary', oct: 'canary' }
    const document = await createSignerKeys({ signers: [{ ...first, publicJwk }] }).jwks()
    expect(JSON.stringify(document)).not.toContain('canary')
  })

  it('R174: a token cannot choose another kid or algorithm than the signer has', async () => {
    const { signJwt } = await createSignerKeys({ signers: [first] }).active()
    const header = { typ: 'at+jwt', alg: 'none', kid: 'other' }
    const { protectedHeader } = await compactVerify(
      await signJwt({}, header),
      await importJWK(first.publicJwk, 'ES256'),
    )
    expect(protectedHeader).toEqual({ typ: 'at+jwt', alg: 'ES256', kid: 'kid-ES256' })
  })

  it.each<[string, () => readonly Signer[]]>([
    ['no signer', () => []],
    ['two of one kid', () => [first, { ...second, kid: first.kid }]],
    ['one without a kid', () => [{ ...first, kid: '' }]],
    ['a key of another kind', () => [{ ...first, publicJwk: second.publicJwk }]],
    [
      'an RSA key that is too short',
      () => [{ ...second, publicJwk: { kty: 'RSA', e: 'AQAB', n: 'v'.repeat(340) } }],
    ],
    [
      'an RSA key of 2047 bits',
      () => [{ ...second, publicJwk: { kty: 'RSA', e: 'AQAB', n: `f${'_'.repeat(341)}` } }],
    ],
    [
      'an RSA key that is long by its zeros only',
      () => [{ ...second, publicJwk: { kty: 'RSA', e: 'AQAB', n: 'A'.repeat(100) + 'v'.repeat(340) } }],
    ],
    ['a second one that is bad', () => [first, { ...second, alg: 'EdDSA' }]],
  ])('R174: %s is refused', (_, signers) => {
    expect(() => createSignerKeys({ signers: signers() })).toThrow(ConfigurationError)
  })

  const toDer = (raw: Uint8Array) => {
    const integer = (half: Uint8Array) => {
      const bytes = half[0]! > 127 ? [0, ...half] : [...half]
      return [2, bytes.length, ...bytes]
    }
    const body = [...integer(raw.subarray(0, 32)), ...integer(raw.subarray(32))]
    return new Uint8Array([48, body.length, ...body])
  }
  it.each<[string, (data: Uint8Array) => Promise<unknown>]>([
    ['in DER', async data => toDer(await first.sign(data))],
    [
      'of a hash',
      async data => first.sign(new Uint8Array(await crypto.subtle.digest('SHA-256', new Uint8Array(data)))),
    ],
    ['by another key', async data => (await createSigner('ES256')).sign(data)],
    ['of nothing', async () => new Uint8Array()],
    ['that are no bytes', async () => undefined],
  ])('signatures %s are told at start, and not in each request', async (_, sign) => {
    const keys = createSignerKeys({ signers: [{ ...first, sign: sign as Signer['sign'] }] })
    const error = await errorOf(keys.active())
    expect(error).toBeInstanceOf(ConfigurationError)
    expect(String(error)).toContain('kid-ES256')
  })

  it('a signer is tried out once, however many requests come', async () => {
    const sign = vi.fn(first.sign)
    const keys = createSignerKeys({ signers: [{ ...first, sign }] })
    await Promise.all([keys.active(), keys.active(), keys.active()])
    await keys.active()
    expect(sign).toHaveBeenCalledTimes(1)
  })

  it('R92: a signer that fails means try again, says nothing of itself, and works again later', async () => {
    const events: SallyportEvent[] = []
    let isDown = true
    const sign: Signer['sign'] = async data => {
      if (isDown) throw new RangeError('canary')
      return first.sign(data)
    }
    const keys = createSignerKeys({ signers: [{ ...first, sign }], emit: event => events.push(event) })
    const error = await errorOf(keys.active())
    expect(error).toBeInstanceOf(OAuthError)
    expect(error).toMatchObject({ code: 'temporarily_unavailable', status: 503 })
    expect(String(error)).not.toContain('canary')
    expect(events).toEqual([{ type: 'signer_failed', kid: 'kid-ES256', errorName: 'RangeError' }])
    isDown = false
    const { signJwt } = await keys.active()
    isDown = true
    expect(await errorOf(signJwt({}, { typ: 'at+jwt' }))).toMatchObject({ status: 503 })
  })

  it('R92: a signer that hangs does not hang a request', async () => {
    vi.useFakeTimers()
    const events: SallyportEvent[] = []
    const sign = () => new Promise<never>(() => {})
    const keys = createSignerKeys({ signers: [{ ...first, sign }], emit: event => events.push(event) })
    const error = errorOf(keys.active())
    await vi.advanceTimersByTimeAsync(2_500)
    expect(await error).toMatchObject({ code: 'temporarily_unavailable' })
    expect(events).toEqual([{ type: 'signer_failed', kid: 'kid-ES256', errorName: 'TimeoutError' }])
  })
})
