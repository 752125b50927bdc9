import {
  createMemoryStore,
  createSealer,
  createSecretRing,
  StoreUnavailableError,
  systemRandom,
} from '@sallyport/oauth'
import { describe, expect, it } from 'vitest'
import { createKeptSubscriptions, type SubscriptionKeeping } from './kept-subscriptions.ts'

const ring = createSecretRing(['a-secret-for-tests-that-is-long-enough-0123456789'])

function setUp(over: Partial<SubscriptionKeeping> = {}) {
  const told: string[] = []
  const errors: Error[] = []
  const keeping: SubscriptionKeeping = {
    store: createMemoryStore(),
    sealer: createSealer(ring, systemRandom, 'mcp-session'),
    tenant: 'default',
    clock: () => 1_800_000_000,
    replica: 'replica1',
    onError: error => errors.push(error),
    tellOthers: key => told.push(key),
    ...over,
  }
  const open = (key = 'session') => createKeptSubscriptions({ key, expiresAt: 1_800_000_900 }, keeping)
  return { open, told, errors, keeping }
}

describe('what a session follows', () => {
  it('is the same at every process once it has been read again', async () => {
    const { open, told } = setUp()
    const [a, b] = [open(), open()]
    await a.add('notes://1')
    await a.add('notes://2')
    await a.add('notes://2')
    await b.reload()
    expect([...b].sort()).toEqual(['notes://1', 'notes://2'])
    await b.delete('notes://1')
    expect([b.has('notes://1'), a.has('notes://1')]).toEqual([false, true])
    await a.reload()
    expect([...a]).toEqual(['notes://2'])
    expect(told).toEqual(['session', 'session', 'session'])
  })

  it('R22: has addresses of a length that can be kept for many sessions', async () => {
    const { open } = setUp()
    const session = open()
    await expect(session.add(`notes://${'x'.repeat(2_048)}`)).rejects.toThrow(/too long/)
    await session.add(`notes://${'x'.repeat(2_000)}`)
    expect([...session]).toHaveLength(1)
  })

  it('R160: is of no other session, even if somebody moved it there', async () => {
    const { open, keeping } = setUp()
    await open().add('notes://1')
    const other = open('other')
    await other.reload()
    expect([...other]).toEqual([])
    const [sealed = ''] = await keeping.store.listSubscriptions({ session: 'session', now: 1 })
    expect(Buffer.from(sealed).toString()).not.toContain('notes')
    await keeping.store.putSubscription({
      session: 'other',
      idHash: 'moved',
      sealed,
      limit: 9,
      expiresAt: 1_800_000_900,
      now: 1,
    })
    await other.reload()
    expect([...other]).toEqual([])
  })

  it('what is added while it is read again is not lost', async () => {
    const { open } = setUp()
    const session = open()
    await Promise.all([session.reload(), session.add('notes://1'), session.reload()])
    expect([...session]).toEqual(['notes://1'])
  })

  it('R171: has a limit', async () => {
    const store = createMemoryStore()
    const { open } = setUp({
      store: {
        putSubscription: step => store.putSubscription({ ...step, limit: 2 }),
        deleteSubscription: step => store.deleteSubscription(step),
        listSubscriptions: step => store.listSubscriptions(step),
      },
    })
    const session = open()
    await session.add('notes://1')
    await session.add('notes://2')
    await expect(session.add('notes://3')).rejects.toMatchObject({ code: -32602 })
    expect([...session]).toEqual(['notes://1', 'notes://2'])
  })

  it('R189: a store that fails refuses the subscription, in words that tell nothing of the inside', async () => {
    const fails = () => Promise.reject(new StoreUnavailableError('redis://10.0.0.1 said no'))
    const { open, errors } = setUp({
      store: { putSubscription: fails, deleteSubscription: fails, listSubscriptions: fails },
    })
    const session = open()
    for (const step of [session.add('notes://1'), session.delete('notes://1')]) {
      await expect(step).rejects.toMatchObject({
        code: -32603,
        message: 'The subscription cannot be kept now: try again.',
      })
    }
    expect(errors).toHaveLength(2)
    expect(session.has('notes://1')).toBe(false)
  })
})
