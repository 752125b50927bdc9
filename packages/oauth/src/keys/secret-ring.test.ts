import { describe, expect, it } from 'vitest'
import { ConfigurationError } from '../errors.ts'
import { createSecretRing, type KeyPurpose } from './secret-ring.ts'

const older = 'an older secret, long enough to be one'
const newer = 'a newer secret, long enough to be one!'
const purposes: KeyPurpose[] = [
  'seal',
  'client-id',
  'client-secret',
  'refresh-token',
  'access-token',
  'authorization-code',
  'consent-page',
  'connect-link',
]

describe('secret ring', () => {
  it.each([
    ['none at all', []],
    ['one of 31 bytes', [`${'x1'.repeat(15)}y`]],
    ['an empty one', ['']],
    ['a short one behind a good one', [newer, 'hunter2']],
    ['one letter over and over', ['a'.repeat(64)]],
    ['a word out of documentation', ['changeme-changeme-changeme-changeme']],
    ['another word out of documentation', ['secret-secret-secret-secret-secret-secret']],
  ])('R175: %s is refused with a message that names SALLYPORT_SECRET and not the secret', (_, secrets) => {
    expect(() => createSecretRing(secrets)).toThrow(ConfigurationError)
    try {
      createSecretRing(secrets)
    } catch (error) {
      expect(String(error)).toContain('SALLYPORT_SECRET')
      for (const secret of secrets.filter(Boolean)) expect(String(error)).not.toContain(secret)
    }
  })

  it('R175: no two purposes and no two secrets share a key', () => {
    const ring = createSecretRing([newer, older])
    const keys = ring.keyIds.flatMap(id =>
      purposes.map(purpose => ring.derive(purpose, id)?.export().toString('hex')),
    )
    expect(keys.every(key => key?.length === 64)).toBe(true)
    expect(new Set(keys).size).toBe(2 * purposes.length)
  })

  it('has no key of a secret it does not hold', () => {
    const [keyId] = createSecretRing([older]).keyIds
    expect(createSecretRing([newer]).derive('seal', keyId!)).toBeUndefined()
  })

  it('R175: the public name of a secret tells nothing of the secret', () => {
    const ring = createSecretRing([newer, older])
    expect(ring.keyIds.map(id => id.length)).toEqual([8, 8])
    expect(newer).not.toContain(ring.keyIds[0])
  })

  it('R178: what an older secret signed stays valid until that secret leaves the ring', () => {
    const tag = createSecretRing([older]).mac('client-id', 'value')
    expect(createSecretRing([newer, older]).verifyMac('client-id', 'value', tag)).toBe(true)
    expect(createSecretRing([newer]).verifyMac('client-id', 'value', tag)).toBe(false)
  })

  it.each<[string, KeyPurpose, string, (tag: Buffer) => Uint8Array]>([
    ['for another purpose', 'client-secret', 'value', tag => tag],
    ['of another value', 'client-id', 'other', tag => tag],
    ['with one bit turned', 'client-id', 'value', tag => tag.with(31, tag[31]! ^ 1)],
    ['cut short', 'client-id', 'value', tag => tag.subarray(0, 16)],
    ['of no length', 'client-id', 'value', () => new Uint8Array()],
  ])('a MAC %s does not verify', (_, purpose, value, change) => {
    const ring = createSecretRing([newer])
    expect(ring.verifyMac(purpose, value, change(ring.mac('client-id', 'value')))).toBe(false)
  })
})
