import { describe, expect, it } from 'vitest'
import { ConfigurationError } from '../errors.ts'
import type { SigningKey } from '../storage/records.ts'
import {
  findSigningKid,
  planRotation,
  resolveRotation,
  defaultSigningKeyRotation as rotation,
} from './signing-key-rotation.ts'

const day = 86_400
const start = 1_900_000_000
const key = (kid: string, over: Partial<SigningKey> = {}): SigningKey => ({
  version: 1,
  kid,
  alg: 'ES256',
  publicJwk: {},
  sealed: 'sealed',
  createdAt: start,
  activeAt: start,
  retiresAt: 0,
  ...over,
})
const state = (records: readonly SigningKey[], now: number) => ({
  records,
  algorithm: 'ES256' as const,
  now,
  rotation,
})
/** When the last token signed before `activeAt` has ended, and every cache is done with its key. */
const overlap = day + 300

describe('plan of the rotation', () => {
  it.each<[string, SigningKey[], number, ReturnType<typeof planRotation>]>([
    ['no key is there', [], start, { retire: [] }],
    ['the key is new', [key('a')], start, { retire: [] }],
    ['a second is missing', [key('a')], start + 89 * day - 1, { retire: [] }],
    [
      'the next one is to be published',
      [key('a')],
      start + 89 * day,
      { next: { activeAt: start + 90 * day }, retire: [] },
    ],
    [
      'nobody looked in time: still a day ahead',
      [key('a')],
      start + 200 * day,
      { next: { activeAt: start + 201 * day }, retire: [] },
    ],
    [
      'the next one is published and does not sign yet',
      [key('a'), key('b', { activeAt: start + 90 * day })],
      start + 90 * day - 1,
      { retire: [] },
    ],
    [
      'the next one begins to sign',
      [key('a'), key('b', { activeAt: start + 90 * day })],
      start + 90 * day,
      { retire: [{ kid: 'a', retiresAt: start + 90 * day + overlap }] },
    ],
    [
      'somebody looks late: the end is the same',
      [key('a'), key('b', { activeAt: start + 90 * day })],
      start + 100 * day,
      { retire: [{ kid: 'a', retiresAt: start + 90 * day + overlap }] },
    ],
    [
      'the old one is retiring already',
      [key('a', { retiresAt: start + 90 * day + overlap }), key('b', { activeAt: start + 90 * day })],
      start + 91 * day,
      { retire: [] },
    ],
    [
      'the algorithm was changed: the old key may be in use elsewhere',
      [key('a', { alg: 'RS256' }), key('b')],
      start + 80 * day,
      { retire: [] },
    ],
    [
      'the algorithm was changed, and nobody renewed the old key',
      [key('a', { alg: 'RS256' }), key('b', { activeAt: start + 80 * day })],
      start + 91 * day,
      { retire: [{ kid: 'a', retiresAt: start + 92 * day + overlap }] },
    ],
    [
      'the algorithm was changed, and others renew theirs',
      [key('a', { alg: 'RS256' }), key('c', { alg: 'RS256', activeAt: start + 90 * day }), key('b')],
      start + 88 * day,
      { retire: [] },
    ],
  ])('R174: when %s', (_, records, now, plan) => {
    expect(planRotation(state(records, now))).toEqual(plan)
  })
})

describe('the key that signs', () => {
  const published = key('b', { activeAt: start + 90 * day })
  it.each<[string, SigningKey[], number, string | undefined]>([
    ['nothing when no key is there', [], start, undefined],
    ['the old one until the new one begins', [key('a'), published], start + 90 * day - 1, 'a'],
    ['the new one from then on', [key('a'), published], start + 90 * day, 'b'],
    ['none of another algorithm', [key('a', { alg: 'RS256' })], start, undefined],
    ['one whose tokens end before it does', [key('a', { retiresAt: start + day })], start, 'a'],
    ['none whose tokens would outlive it', [key('a', { retiresAt: start + day - 1 })], start, undefined],
    ['one from a clock that is ahead, rather than another new one', [key('a')], start - 30, 'a'],
  ])('R174: is %s', (_, records, now, kid) => {
    expect(findSigningKid(state(records, now))).toBe(kid)
  })
})

describe('settings of the rotation', () => {
  it('are 90 days, and published a day ahead', () => {
    expect(resolveRotation()).toMatchObject({ publishAheadSeconds: 86_400, rotateAfterSeconds: 7_776_000 })
    expect(resolveRotation({ rotateAfterSeconds: 200_000 })).toMatchObject({
      publishAheadSeconds: 86_400,
      rotateAfterSeconds: 200_000,
    })
  })

  it.each([
    ['a key that signs before caches have it', { publishAheadSeconds: 299 }, 'publishAheadSeconds'],
    ['a key that is replaced before it signs', { rotateAfterSeconds: 90_000 }, 'rotateAfterSeconds'],
    ['half a second', { rotateAfterSeconds: 7_776_000.5 }, 'rotateAfterSeconds'],
    ['time that runs backwards', { cacheSeconds: -1 }, 'cacheSeconds'],
    ['no number', { tokenSeconds: Number.NaN }, 'tokenSeconds'],
  ])('R174: %s is refused', (_, configured, name) => {
    expect(() => resolveRotation(configured)).toThrow(ConfigurationError)
    expect(() => resolveRotation(configured)).toThrow(name)
  })
})
