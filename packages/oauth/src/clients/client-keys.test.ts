import { describe, expect, it } from 'vitest'
import { OAuthError } from '../errors.ts'
import { createTestKey } from './client-assertion.fixture.ts'
import { type ClientKeySource, createClientKeys } from './client-keys.ts'
import type { DocumentAnswer } from './document-fetch.ts'

const url = 'https://client.example/jwks'
const first = createTestKey('first').publicJwk
const second = createTestKey('second').publicJwk

function setUp({ allowLoopback = false } = {}) {
  const time = { now: 1_800_000_000 }
  const fetched: string[] = []
  const host: { answer: () => Promise<DocumentAnswer> } = { answer: async () => serve(first) }
  const find = createClientKeys({
    clock: () => time.now,
    allowLoopback,
    fetchDocument: async where => {
      fetched.push(where)
      return host.answer()
    },
  })
  const count = (keyId: string | undefined = 'first', source: ClientKeySource = { jwksUri: url }) =>
    find(source, { keyId, algorithm: 'ES256' }).then(keys => keys.length)
  return { time, fetched, host, find, count }
}
const document = (body: string): DocumentAnswer => ({
  outcome: 'fetched',
  body,
  cacheControl: '',
  ageSeconds: 0,
})
const serve = (...keys: object[]) => document(JSON.stringify({ keys }))
const refusal = (promise: Promise<unknown>) =>
  promise.then(
    () => 'found',
    (error: unknown) => (error instanceof OAuthError ? [error.code, error.status, error.description] : error),
  )
const unavailable = [
  'temporarily_unavailable',
  503,
  'The keys of the client could not be read. Check its jwks_uri or try again in a moment.',
]

describe('client keys', () => {
  it.each<[string, object, string | undefined, string, number]>([
    ['by kid', first, 'first', 'ES256', 1],
    ['without a kid', first, undefined, 'ES256', 1],
    ['another kid', first, 'x', 'ES256', 0],
    ['another algorithm', first, 'first', 'RS256', 0],
    ['a key for another algorithm', { ...first, alg: 'ES512' }, 'first', 'ES256', 0],
    ['a key for this algorithm', { ...first, alg: 'ES256' }, 'first', 'ES256', 1],
    ['a key for encryption', { ...first, use: 'enc' }, 'first', 'ES256', 0],
    ['a key that is none', { ...first, x: 'AA' }, 'first', 'ES256', 0],
    ['a key on another curve', { ...first, crv: 'P-384' }, 'first', 'ES256', 0],
  ])('R116: finds %s', async (_, key, keyId, algorithm, expected) => {
    const { find, host, fetched } = setUp()
    host.answer = async () => serve(key)
    expect(await find({ jwksUri: url }, { keyId, algorithm })).toHaveLength(expected)
    expect(await find({ jwks: [key] }, { keyId, algorithm })).toHaveLength(expected)
    expect(fetched).toEqual([url])
  })

  it('keeps a set for five minutes, and asks again then', async () => {
    const { count, time, fetched } = setUp()
    await count()
    time.now += 299
    await count()
    expect(fetched).toHaveLength(1)
    time.now += 1
    await count()
    expect(fetched).toHaveLength(2)
  })

  it('a key that was added is found within half a minute, and strangers cannot make us ask more often', async () => {
    const { count, time, fetched, host } = setUp()
    expect(await count('second')).toBe(0)
    host.answer = async () => serve(first, second)
    for (let i = 0; i < 100; i++) expect(await count('second')).toBe(0)
    expect(fetched).toHaveLength(1)
    time.now += 30
    expect(await count('second')).toBe(1)
    expect(fetched).toHaveLength(2)
  })

  it('a host that is down stops nobody for a day', async () => {
    const { count, time, host } = setUp()
    await count()
    host.answer = () => Promise.reject(new Error('canary: connection refused'))
    time.now += 86_399
    expect(await count()).toBe(1)
    time.now += 1
    expect(await refusal(count())).toEqual(unavailable)
  })

  it('R32: strangers cannot make us ask a host that is down more often than every half minute', async () => {
    const { time, fetched, host, count } = setUp()
    await count()
    host.answer = () => Promise.reject(new Error('down'))
    time.now += 30
    for (let guess = 0; guess < 50; guess++) expect(await count(`guess-${guess}`)).toBe(0)
    expect(fetched).toHaveLength(2)
    expect(await count()).toBe(1)
    time.now += 30
    host.answer = async () => serve(first, second)
    expect(await count('second')).toBe(1)
    expect(fetched).toHaveLength(3)
  })

  it('a set that was withdrawn is gone at once when it is asked for again', async () => {
    const { count, time, host } = setUp()
    await count()
    host.answer = async () => ({ outcome: 'withdrawn' })
    time.now += 300
    expect(await refusal(count())).toEqual(unavailable)
  })

  it.each<[string, () => Promise<DocumentAnswer>]>([
    ['a host that cannot be reached', () => Promise.reject(new Error('canary: address is not public'))],
    ['no set', async () => ({ outcome: 'withdrawn' })],
    ['no JSON', async () => document('canary')],
    ['no key set', async () => document('{"canary":1}')],
    ['a list', async () => document('[]')],
    ['R18: a private key', async () => serve({ ...first, d: 'canary' })],
    ['R18: a symmetric key', async () => serve(first, { kty: 'oct', k: 'canary' })],
    ['too many keys', async () => serve(...Array<object>(21).fill(first))],
  ])('R38: %s: the same answer, and nothing is kept', async (_, answer) => {
    const { count, host, fetched } = setUp()
    host.answer = answer
    expect(await refusal(count())).toEqual(unavailable)
    host.answer = async () => serve(first)
    expect(await count()).toBe(1)
    expect(fetched).toHaveLength(2)
  })

  it('R18: a key of an unknown kind, or too small, is left out; the others count', async () => {
    const { count, host } = setUp()
    host.answer = async () => serve({ kty: 'AKP', kid: 'first' }, { kty: 'RSA', n: 'AQAB', e: 'AQAB' }, first)
    expect(await count()).toBe(1)
  })

  it.each([
    'http://client.example/jwks',
    'https://client.example:8443/jwks',
    'https://localhost:8443/jwks',
    'https://user:canary@client.example/jwks',
    'https://client.example/jwks#x',
    'https://CLIENT.example/jwks',
    'file:///etc/passwd',
    'canary',
  ])('R31: %s is never asked', async jwksUri => {
    const { count, fetched } = setUp()
    expect(await refusal(count('first', { jwksUri }))).toEqual(unavailable)
    expect(fetched).toEqual([])
  })

  it('R31: this machine is asked in tests only', async () => {
    const { count, fetched } = setUp({ allowLoopback: true })
    expect(await count('first', { jwksUri: 'https://localhost:8443/jwks' })).toBe(1)
    expect(fetched).toEqual(['https://localhost:8443/jwks'])
  })

  it('R30: without a replacement for the fetch, addresses that are not public are not connected to', async () => {
    const find = createClientKeys({ clock: () => 0 })
    const answer = find({ jwksUri: 'https://127.0.0.1/jwks' }, { keyId: undefined, algorithm: 'ES256' })
    expect(await refusal(answer)).toEqual(unavailable)
  })

  it('R32: one fetch at a time for a set, two for a host, eight in all', async () => {
    const { count, host, fetched } = setUp()
    let open = () => {}
    const opened = new Promise<void>(resolve => {
      open = resolve
    })
    host.answer = () => opened.then(() => serve(first))
    const same = Array.from({ length: 5 }, () => count())
    const sameHost = [1, 2].map(i => refusal(count('first', { jwksUri: `${url}/${i}` })))
    const others = Array.from({ length: 8 }, (_, i) =>
      refusal(count('first', { jwksUri: `https://host-${i}.example/jwks` })),
    )
    open()
    expect(await Promise.all(same)).toEqual([1, 1, 1, 1, 1])
    expect(await Promise.all(sameHost)).toEqual(['found', unavailable])
    expect((await Promise.all(others)).filter(answer => answer === 'found')).toHaveLength(6)
    expect(fetched).toHaveLength(8)
  })
})
