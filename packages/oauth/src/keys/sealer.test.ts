import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { systemRandom } from '../runtime.ts'
import { createSealer } from './sealer.ts'
import { createSecretRing } from './secret-ring.ts'

const older = 'an older secret, long enough to be one'
const newer = 'a newer secret, long enough to be one!'
const sealerOf = (...secrets: string[]) => createSealer(createSecretRing(secrets), systemRandom)
const context = { tenant: 'default', kind: 'connection', id: 'user:google' }

describe('sealer', () => {
  it('gives back what was sealed, whatever it is', () => {
    const sealer = sealerOf(newer)
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), plaintext => {
        expect(sealer.open(sealer.seal(plaintext, context), context)).toEqual({ plaintext, stale: false })
      }),
    )
  })

  it('R162: shows nothing of the value, and not even that two values are the same', () => {
    const sealer = sealerOf(newer)
    const [a, b] = [sealer.seal('upstream token', context), sealer.seal('upstream token', context)]
    expect(a).not.toBe(b)
    for (const form of ['upstream', Buffer.from('upstream').toString('base64url')])
      expect(a).not.toContain(form)
  })

  it.each([
    ['tenant', { ...context, tenant: 'sandbox' }],
    ['kind', { ...context, kind: 'signing-key' }],
    ['id', { ...context, id: 'another:google' }],
    ['split of tenant and kind', { ...context, tenant: 'default","connection', kind: '' }],
  ])('R162: a sealed value that was moved to another %s does not open', (_, elsewhere) => {
    const sealer = sealerOf(newer)
    expect(sealer.open(sealer.seal('value', context), elsewhere)).toBeUndefined()
  })

  it('R162: two sealed values that were swapped do not open', () => {
    const sealer = sealerOf(newer)
    const mine = sealer.seal('mine', context)
    const theirs = sealer.seal('theirs', { ...context, id: 'another:google' })
    expect(sealer.open(theirs, context)).toBeUndefined()
    expect(sealer.open(mine, { ...context, id: 'another:google' })).toBeUndefined()
  })

  it('R178: an older secret opens what it sealed, and says that it is worth sealing again', () => {
    const sealed = sealerOf(older).seal('value', context)
    const rotated = sealerOf(newer, older)
    expect(rotated.open(sealed, context)).toEqual({ plaintext: 'value', stale: true })
    const again = rotated.seal('value', context)
    expect(sealerOf(newer).open(again, context)).toEqual({ plaintext: 'value', stale: false })
    expect(sealerOf(newer).open(sealed, context)).toBeUndefined()
  })

  it('R178: a value that names another key of the ring does not open', () => {
    const ring = createSecretRing([newer, older])
    const sealer = createSealer(ring, systemRandom)
    const [version, , body] = sealer.seal('value', context).split('.')
    expect(sealer.open([version, ring.keyIds[1], body].join('.'), context)).toBeUndefined()
  })

  it('a value changed in any place does not open, and never throws', () => {
    const sealer = sealerOf(newer)
    const sealed = sealer.seal('value', context)
    const bodyAt = sealed.lastIndexOf('.') + 1
    fc.assert(
      fc.property(fc.nat(sealed.length - 1), fc.constantFrom('A', 'B', '.', ''), (at, character) => {
        const changed = sealed.slice(0, at) + character + sealed.slice(at + 1)
        // The last character may hold spare bits: another spelling of the same bytes.
        const isSame = Buffer.from(changed.slice(bodyAt), 'base64url').equals(
          Buffer.from(sealed.slice(bodyAt), 'base64url'),
        )
        if (isSame && changed.startsWith(sealed.slice(0, bodyAt))) return
        expect(sealer.open(changed, context)).toBeUndefined()
      }),
    )
  })

  it.each(['', '.', 's1', 's1..', 's1.key.', 's2.a.b', 's1.a.b.c', 'x'.repeat(10_000)])(
    'R172: %j is no sealed value',
    value => {
      expect(sealerOf(newer).open(value, context)).toBeUndefined()
    },
  )

  it('R177: no form of JWE opens, whatever it asks for, and nothing is done for one', () => {
    const ring = createSecretRing([newer])
    const derive = vi.spyOn(ring, 'derive')
    const sealer = createSealer(ring, systemRandom)
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    for (const header of [
      { alg: 'PBES2-HS256+A128KW', enc: 'A256GCM', p2c: 2 ** 31, p2s: 'AAAA' },
      { alg: 'RSA1_5', enc: 'A256GCM' },
      { alg: 'dir', enc: 'A256GCM', zip: 'DEF' },
      { alg: 'dir', enc: 'A256GCM', kid: ring.keyIds[0] },
    ]) {
      for (const start of [encode(header), 's1']) {
        expect(sealer.open(`${start}.AAAA.${'A'.repeat(16)}.AAAA.${'A'.repeat(22)}`, context)).toBeUndefined()
      }
    }
    expect(derive).not.toHaveBeenCalled()
  })

  it('R177: a megabyte is refused before anything is made of it', () => {
    const ring = createSecretRing([newer])
    const sealer = createSealer(ring, systemRandom)
    const largest = sealer.seal('x'.repeat(190_000), context)
    expect(sealer.open(largest, context)?.plaintext).toHaveLength(190_000)
    const derive = vi.spyOn(ring, 'derive')
    expect(sealer.open(`s1.${ring.keyIds[0]}.${'A'.repeat(1_000_000)}`, context)).toBeUndefined()
    expect(derive).not.toHaveBeenCalled()
    expect(() => sealer.seal('x'.repeat(200_000), context), 'what nobody could open').toThrow(RangeError)
  })

  it('a sealer for large values opens what it seals', () => {
    const sealer = createSealer(createSecretRing([newer]), systemRandom, 'call-task', 1_400_000)
    expect(sealer.open(sealer.seal('x'.repeat(1_000_000), context), context)?.plaintext).toHaveLength(
      1_000_000,
    )
    expect(() => sealer.seal('x'.repeat(1_100_000), context)).toThrow(RangeError)
  })

  it('R175: values of one purpose do not open for another', () => {
    const ring = createSecretRing([newer])
    const page = createSealer(ring, systemRandom, 'consent-page')
    expect(createSealer(ring, systemRandom).open(page.seal('value', context), context)).toBeUndefined()
  })
})
