import { calculateJwkThumbprint } from 'jose'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { ConfigurationError, StoreUnavailableError } from '../errors.ts'
import type { SallyportEvent } from '../events.ts'
import { systemRandom } from '../runtime.ts'
import { createMemoryStore, type MemoryStore } from '../storage/memory-store.ts'
import type { SigningKey } from '../storage/records.ts'
import type { SigningKeyStore } from '../storage/store.ts'
import { createSealer } from './sealer.ts'
import { createSecretRing } from './secret-ring.ts'
import type { SigningAlgorithm } from './signing-algorithm.ts'
import { createSigningKeys } from './signing-keys.ts'

const algorithms: SigningAlgorithm[] = ['ES256', 'RS256', 'PS256', 'EdDSA']
const older = 'an older secret, long enough to be one'
const newer = 'a newer secret, long enough to be one!'

let now: number
let store: MemoryStore
const clock = () => now
const open = (
  algorithm: SigningAlgorithm = 'ES256',
  {
    secrets = [newer],
    on = store as SigningKeyStore,
    emit,
  }: {
    secrets?: string[]
    on?: SigningKeyStore
    emit?: (event: SallyportEvent) => void
  } = {},
) =>
  createSigningKeys({
    store: { ...on, tenant: store.tenant },
    sealer: createSealer(createSecretRing(secrets), systemRandom),
    algorithm,
    clock,
    ...(emit && { emit }),
  })
const stored = () => store.listSigningKeys({ now })

beforeEach(() => {
  now = 1_900_000_000
  store = createMemoryStore()
})

describe('signing keys', () => {
  it.each(algorithms)(
    'R174: the JWKS of %s has public members only, and a thumbprint as kid',
    async algorithm => {
      const signingKeys = open(algorithm)
      const { kid } = await signingKeys.active()
      const { keys } = await signingKeys.jwks()
      expect(keys).toHaveLength(1)
      const allowed = ['kty', 'crv', 'x', 'y', 'n', 'e', 'use', 'alg', 'kid']
      expect(Object.keys(keys[0]!).filter(member => !allowed.includes(member))).toEqual([])
      expect(keys[0]).toMatchObject({ use: 'sig', alg: algorithm, kid })
      expect(await calculateJwkThumbprint(keys[0]!)).toBe(kid)
      expect(Object.keys((await stored())[0]!.publicJwk)).not.toContain('d')
    },
  )

  it.each(['RS256', 'PS256'] as const)('R174: a key for %s has 2048 bits or more', async algorithm => {
    const [key] = (await open(algorithm).jwks()).keys
    expect(Buffer.from(key!.n!, 'base64url').length).toBeGreaterThanOrEqual(256)
  })

  it('R162: the private key is in the store only sealed', async () => {
    await open().active()
    const dump = JSON.stringify(await stored())
    const [record] = await stored()
    const jwk = JSON.parse(
      createSealer(createSecretRing([newer]), systemRandom).open(record!.sealed, {
        tenant: 'default',
        kind: 'signing-key',
        id: record!.kid,
      })!.plaintext,
    )
    expect(jwk.d).toBeTypeOf('string')
    expect(dump).not.toContain(jwk.d)
  })

  it('R174: processes that start at once end up with one key', async () => {
    const all = Array.from({ length: 8 }, () => open())
    const active = await Promise.all(all.map(keys => keys.active()))
    expect(new Set(active.map(({ kid }) => kid)).size).toBe(1)
    expect(await stored()).toHaveLength(1)
  })

  it('of many requests that need the first key at once, one makes it', async () => {
    const events: SallyportEvent[] = []
    const keys = open('ES256', { emit: event => events.push(event) })
    const active = await Promise.all([keys.active(), keys.active(), keys.jwks(), keys.active()])
    expect(events).toEqual([{ type: 'signing_key_created', kid: active[0].kid }])
  })

  it('tokens signed before a restart verify after it', async () => {
    const { kid } = await open().active()
    const restarted = open()
    expect((await restarted.find(kid))?.alg).toBe('ES256')
    expect((await restarted.active()).kid).toBe(kid)
  })

  it('R174: another algorithm makes another key; the old one goes on verifying, with its own algorithm', async () => {
    const old = (await open('ES256').active()).kid
    const keys = open('EdDSA')
    const { kid, alg } = await keys.active()
    expect(alg).toBe('EdDSA')
    expect(kid).not.toBe(old)
    expect((await keys.find(old))?.alg).toBe('ES256')
    expect((await keys.jwks()).keys.map(key => key.alg)).toEqual(['ES256', 'EdDSA'])
    expect((await open('ES256').active()).kid, 'going back makes no third key').toBe(old)
  })

  it('R174: a retired key is neither published nor found', async () => {
    const { kid } = await open().active()
    const [record] = await stored()
    const retiring = createMemoryStore()
    await retiring.putSigningKey({ record: { ...record!, retiresAt: now + 100 }, newestKid: undefined, now })
    const keys = open('ES256', { on: retiring })
    expect(await keys.find(kid)).toBeDefined()
    now += 100
    expect(await keys.find(kid)).toBeUndefined()
    expect((await keys.jwks()).keys.map(key => key.kid)).not.toContain(kid)
    expect((await keys.active()).kid).not.toBe(kid)
  })

  it('R154: unknown kids make it look into the store once in five seconds, however many come', async () => {
    const keys = open()
    await keys.active()
    now += 60
    const list = vi.spyOn(store, 'listSigningKeys')
    const watched = open('ES256', { on: store })
    await watched.active()
    now += 60
    list.mockClear()
    for (let i = 0; i < 100; i++) expect(await watched.find(`unknown-${i}`)).toBeUndefined()
    expect(list).toHaveBeenCalledTimes(1)
    now += 5
    await watched.find('unknown')
    expect(list).toHaveBeenCalledTimes(2)
  })

  it('R154: a key another process made is found without a restart', async () => {
    const keys = open()
    await keys.active()
    const { kid } = await open('EdDSA').active()
    now += 5
    expect((await keys.find(kid))?.alg).toBe('EdDSA')
  })

  it('R178: keys sealed by an older secret still sign', async () => {
    const { kid } = await open('ES256', { secrets: [older] }).active()
    expect((await open('ES256', { secrets: [newer, older] }).active()).kid).toBe(kid)
  })

  it('R175: when the secret is lost, it says so, names SALLYPORT_SECRET, and makes no new key in silence', async () => {
    await open('ES256', { secrets: [older] }).active()
    const keys = open('ES256', { secrets: [newer] })
    for (const step of [() => keys.active(), () => keys.find('kid'), () => keys.jwks()]) {
      await expect(step()).rejects.toThrow(ConfigurationError)
      await expect(step()).rejects.toThrow('SALLYPORT_SECRET')
    }
    expect(await stored()).toHaveLength(1)
  })

  it.each<[string, (record: SigningKey) => SigningKey]>([
    ['the algorithm', record => ({ ...record, alg: 'RS256' })],
    ['the public key', record => ({ ...record, publicJwk: { kty: 'EC', crv: 'P-256', x: 'A', y: 'A' } })],
  ])('R174: whoever can write to the store cannot change %s of a key', async (_, change) => {
    const original = open()
    const { kid } = await original.active()
    const changed = createMemoryStore()
    await changed.putSigningKey({ record: change((await stored())[0]!), newestKid: undefined, now })
    const keys = open('ES256', { on: changed })
    expect((await keys.find(kid))?.alg).toBe('ES256')
    expect(await keys.jwks()).toEqual(await original.jwks())
  })

  it('R174: whoever may sign never holds the private key', async () => {
    const key = await open().active()
    expect(Object.keys(key).sort()).toEqual(['alg', 'kid', 'signJwt'])
    expect(key.signJwt).toBeTypeOf('function')
  })

  it('R92: a store that does not answer is told as such', async () => {
    await store.close()
    await expect(open().active()).rejects.toThrow(StoreUnavailableError)
    await expect(open().find('kid')).rejects.toThrow(StoreUnavailableError)
  })
})

describe('rotation of the signing keys', () => {
  const day = 86_400
  /** From the first key to the moment at which the second one begins to sign. */
  const publishSecond = async (keys = open()) => {
    const old = (await keys.active()).kid
    now += 89 * day
    await keys.rotateIfDue()
    const next = (await stored()).at(-1)!.kid
    expect(next).not.toBe(old)
    return { keys, old, next }
  }

  it('R174: the next key is published for a day before the first token names it', async () => {
    const { keys, old, next } = await publishSecond()
    expect((await keys.jwks()).keys.map(({ kid }) => kid)).toEqual([old, next])
    now += day - 1
    expect((await keys.active()).kid).toBe(old)
    now += 1
    expect((await keys.active()).kid).toBe(next)
  })

  it('R174: the old key verifies until the last token it signed has ended, then it is gone', async () => {
    const { keys, old, next } = await publishSecond()
    now += day
    await keys.rotateIfDue()
    now += day + 299
    expect((await keys.find(old))?.alg).toBe('ES256')
    expect((await keys.jwks()).keys.map(({ kid }) => kid)).toEqual([old, next])
    now += 1
    expect(await keys.find(old)).toBeUndefined()
    expect((await keys.jwks()).keys.map(({ kid }) => kid)).toEqual([next])
    expect((await stored()).map(({ kid }) => kid)).toEqual([next])
  })

  it('R174: of processes that find it due at once, one makes the next key and one retires the old one', async () => {
    const events: SallyportEvent[] = []
    const all = Array.from({ length: 6 }, () => open('ES256', { emit: event => events.push(event) }))
    await Promise.all(all.map(keys => keys.active()))
    for (const days of [89, 1, 2, 88]) {
      now += days * day
      await Promise.all(all.map(keys => keys.rotateIfDue()))
    }
    const kids = (await stored()).map(({ kid }) => kid)
    expect(kids).toHaveLength(2)
    expect(events.map(({ type }) => type)).toEqual([
      'signing_key_created',
      'signing_key_created',
      'signing_key_retired',
      'signing_key_created',
    ])
    expect(new Set((await Promise.all(all.map(keys => keys.active()))).map(({ kid }) => kid)).size).toBe(1)
  })

  it('R174: a server in use rotates by itself, and no request waits for it', async () => {
    const keys = open()
    const { kid } = await keys.active()
    now += 89 * day - 100
    await keys.active()
    now += 100
    const list = vi.spyOn(store, 'listSigningKeys')
    expect((await keys.active()).kid).toBe(kid)
    expect(list, 'this request has looked at nothing').not.toHaveBeenCalled()
    list.mockRestore()
    await expect.poll(async () => (await stored()).length).toBe(2)
  })

  it('R92: when the store is away at the time, requests go on, and somebody hears of it', async () => {
    const events: SallyportEvent[] = []
    let isAway = false
    const failing = {
      ...store,
      listSigningKeys: (step: { now: number }) =>
        isAway ? Promise.reject(new StoreUnavailableError('away')) : store.listSigningKeys(step),
    }
    const keys = open('ES256', { on: failing, emit: event => events.push(event) })
    const { kid } = await keys.active()
    isAway = true
    now += 3600
    expect((await keys.active()).kid).toBe(kid)
    expect(await keys.find(kid)).toBeDefined()
    expect((await keys.jwks()).keys).toHaveLength(1)
    await expect.poll(() => events).toContainEqual({ type: 'store_unavailable', step: 'rotateIfDue' })
    now += 43_200
    await expect(keys.active(), 'it might have been retired').rejects.toThrow(StoreUnavailableError)
  })

  it('R174: a process that slept through the rotation signs with the new key when it wakes', async () => {
    const { next } = await publishSecond(open())
    const sleeper = open()
    now -= 40 * day
    await sleeper.active()
    now += 60 * day
    await open().rotateIfDue()
    expect((await sleeper.active()).kid).toBe(next)
  })

  it('R174: a key that an administrator retires at once neither verifies nor signs a minute later', async () => {
    const keys = open()
    const { kid } = await keys.active()
    await store.retireSigningKey({ kid, retiresAt: now, now })
    now += 60
    await keys.active()
    await keys.rotateIfDue()
    expect((await keys.active()).kid).not.toBe(kid)
    expect(await keys.find(kid)).toBeUndefined()
  })

  it('R174: a process that stops while it makes the next key still publishes it ahead', async () => {
    const keys = open()
    await keys.rotateIfDue()
    await keys.active()
    now += 89 * day
    const generateKey = crypto.subtle.generateKey.bind(crypto.subtle)
    const stopped = vi.spyOn(crypto.subtle, 'generateKey').mockImplementation((async (
      ...parameters: Parameters<typeof generateKey>
    ) => {
      now += 3 * day
      return generateKey(...parameters)
    }) as typeof crypto.subtle.generateKey)
    await keys.rotateIfDue()
    stopped.mockRestore()
    expect((await stored()).map(({ activeAt }) => activeAt - now)).toEqual([-92 * day, day])
  })

  it('R174: another algorithm publishes ahead of its own rotation, and leaves the keys of others alone', async () => {
    const rsa = open('RS256')
    const { kid } = await rsa.active()
    const { keys } = await publishSecond(open('EdDSA'))
    await rsa.rotateIfDue()
    now += day
    await rsa.rotateIfDue()
    await keys.rotateIfDue()
    expect((await rsa.active()).kid).not.toBe(kid)
    expect((await stored()).filter(({ retiresAt }) => retiresAt !== 0)).toHaveLength(2)
    expect((await stored()).map(({ alg }) => alg).sort()).toEqual(['EdDSA', 'EdDSA', 'RS256', 'RS256'])
  })
})

describe('signing keys while the secret changes', () => {
  const sealedBy = async () => (await stored()).map(({ sealed }) => sealed.split('.')[1])
  const keyIdOf = (secret: string) => createSecretRing([secret]).keyIds[0]

  it('R178: the first read seals a key again by the newest secret, and then the older one can go', async () => {
    const { kid } = await open('ES256', { secrets: [older] }).active()
    const rotated = open('ES256', { secrets: [newer, older] })
    expect((await rotated.active()).kid).toBe(kid)
    await expect.poll(sealedBy).toEqual([keyIdOf(newer)])
    expect((await open('ES256', { secrets: [newer] }).active()).kid).toBe(kid)
    await expect(open('ES256', { secrets: [older] }).active()).rejects.toThrow('SALLYPORT_SECRET')
  })

  it('R178: a process that has not been given the newest secret yet keeps the keys it has', async () => {
    const behind = open('ES256', { secrets: [older] })
    const { kid } = await behind.active()
    await open('ES256', { secrets: [newer, older] }).rotateIfDue()
    expect(await sealedBy()).toEqual([keyIdOf(newer)])
    now += 60
    await behind.rotateIfDue()
    expect((await behind.active()).kid).toBe(kid)
    expect(await behind.find(kid)).toBeDefined()
    expect(await sealedBy(), 'and does not seal them back').toEqual([keyIdOf(newer)])
  })

  it('R178: a key whose secret was rotated away does not stop the others, and is reported once', async () => {
    await open('ES256', { secrets: [older] }).active()
    const [lost] = await stored()
    const unsealing = { ...store, resealSigningKey: async () => 'stale' as const }
    const both = open('ES256', { secrets: [newer, older], on: unsealing })
    await both.rotateIfDue()
    now += 89 * 86_400
    await both.rotateIfDue()
    now += 86_400
    const events: SallyportEvent[] = []
    const keys = open('ES256', { secrets: [newer], emit: event => events.push(event) })
    const { kid } = await keys.active()
    now += 60
    await keys.rotateIfDue()
    expect(kid).not.toBe(lost!.kid)
    expect(await keys.find(lost!.kid)).toBeUndefined()
    expect((await keys.jwks()).keys.map(key => key.kid)).toEqual([kid])
    expect(events.filter(({ type }) => type === 'record_unreadable')).toHaveLength(1)
  })

  it('R175: when the key that should sign cannot be opened, no other one takes its place in silence', async () => {
    await open('EdDSA', { secrets: [newer] }).active()
    const before = await stored()
    const keys = open('ES256', { secrets: [newer] })
    const foreign = createMemoryStore()
    await open('ES256', { secrets: [older], on: foreign }).active()
    const [record] = await foreign.listSigningKeys({ now })
    await store.putSigningKey({ record: record!, newestKid: before[0]!.kid, now })
    await expect(keys.active()).rejects.toThrow('SALLYPORT_SECRET')
    expect(await stored()).toHaveLength(2)
  })
})
