import { describe, expect, it } from 'vitest'
import { StoreUnavailableError } from '../errors.ts'
import { createMemoryStore } from './memory-store.ts'
import { aGrant, now } from './store-contract/samples.ts'
import { describeStoreContract } from './store-contract.ts'

const createStore = async () => {
  const store = createMemoryStore()
  return { store, countRecords: async () => store.size, close: () => store.close() }
}
describeStoreContract('memory store', createStore, { outlivesProcess: false })

describe('memory store', () => {
  const claim = (store: ReturnType<typeof createMemoryStore>, idHash: string, at = now) =>
    store.claimSingleUse({ kind: 'jti', idHash, expiresAt: at + 60, operationId: idHash, now: at })

  it('R171: is bounded: when full, new records are refused, none is lost, and ended ones make room', async () => {
    const store = createMemoryStore({ maxEntries: 3 })
    for (const id of ['a', 'b', 'c']) await claim(store, id)
    await expect(claim(store, 'd')).rejects.toThrow(StoreUnavailableError)
    expect(
      await store.claimSingleUse({ kind: 'jti', idHash: 'a', expiresAt: now + 60, operationId: 'x', now }),
    ).toBe('used')
    expect(await claim(store, 'd', now + 60)).toBe('claimed')
    expect(store.size).toBe(1)
  })

  it('R171: when full, it forgets outcomes of steps, the oldest first, and goes on taking steps', async () => {
    const store = createMemoryStore({ maxEntries: 3 })
    const ids = ['a', 'b', 'c']
    for (const id of ids) await store.putGrant({ record: aGrant({ id }), now })
    const redeem = (id: string) =>
      store.redeemCode({ id, codeHash: 'code', operationId: 'one', accessEndsAt: now + 900, now })
    for (const id of ids) expect(await redeem(id)).toBe('redeemed')
    expect(await redeem('a')).toBe('redeemed')
    const revoke = (id: string) => store.revokeGrant({ id, reason: 'user', operationId: 'two', now })
    expect(await revoke('a')).toBe('revoked')
    // The outcome of the first step made room; that of the second is still known.
    expect(await redeem('a')).toBe('revoked')
    expect(await redeem('b')).toBe('redeemed')
    expect(await revoke('b')).toBe('revoked')
    expect(await revoke('c')).toBe('revoked')
    expect(store.size).toBe(3 + 3 + 3)
  })

  it('R171: a record whose end has passed is gone as soon as somebody looks, without a timer', async () => {
    const store = createMemoryStore()
    await store.putClientTombstone({ clientIdHash: 'client', expiresAt: now + 1, now })
    expect(store.size).toBe(1)
    expect(await store.isClientDeleted({ clientIdHash: 'client', now: now + 1 })).toBe(false)
    expect(store.size).toBe(0)
  })

  it('R157: each step shows those who follow revocations that the feed is alive', async () => {
    const store = createMemoryStore()
    let synced = 0
    store.watchRevocations({ onRevoked: () => {}, onSynced: () => synced++ })
    expect(synced).toBe(1)
    await claim(store, 'a')
    expect(synced).toBe(2)
  })

  it('keeps two tenants apart by being two stores', () => {
    expect(createMemoryStore().tenant).toBe('default')
    expect(createMemoryStore({ tenant: 'sandbox' }).tenant).toBe('sandbox')
  })
})
