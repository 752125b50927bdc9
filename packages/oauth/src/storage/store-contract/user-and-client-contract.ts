import { beforeEach, describe, expect, it } from 'vitest'
import type { Store } from '../store.ts'
import { hostileIds, now, times } from './samples.ts'

/** Users, disabled users and deleted clients. */
export function describeUsersAndClients(getStore: () => Store): void {
  let store: Store
  beforeEach(() => {
    store = getStore()
  })

  describe('users', () => {
    const user = { identityHash: 'identity', userId: 'first', expiresAt: now + 100, now }

    it('gives an identity the user id its first sign-in made, also in a race', async () => {
      const ids = await Promise.all(times(20, i => store.findOrPutUser({ ...user, userId: `user-${i}` })))
      expect(new Set(ids).size).toBe(1)
      expect(await store.findOrPutUser({ ...user, userId: 'later' })).toBe(ids[0])
    })

    it('renews the end of a user with each sign-in, and forgets one whose end has passed', async () => {
      await store.findOrPutUser(user)
      await store.findOrPutUser({ ...user, userId: 'second', now: now + 50, expiresAt: now + 150 })
      const late = { ...user, userId: 'third', expiresAt: now + 300 }
      expect(await store.findOrPutUser({ ...late, now: now + 149 })).toBe('first')
      expect(await store.findOrPutUser({ ...late, userId: 'fourth', now: now + 300 })).toBe('fourth')
    })

    it('finds who has signed in before, and makes no user by looking', async () => {
      const { identityHash } = user
      expect(await store.findUser({ identityHash, now })).toBeUndefined()
      expect(await store.findOrPutUser(user)).toBe('first')
      expect(await store.findUser({ identityHash, now: user.expiresAt - 1 })).toBe('first')
      expect(await store.findUser({ identityHash, now: user.expiresAt })).toBeUndefined()
      expect(await store.findUser({ identityHash: 'another', now })).toBeUndefined()
    })
  })

  describe('disabled users', () => {
    const mark = (userId: string) => store.putDisabledUser({ userId, expiresAt: now + 10, now })
    const isDisabled = (userId: string, at = now) => store.isUserDisabled({ userId, now: at })

    it('R109: a user is disabled from the mark to its end, and nobody else is', async () => {
      for (const userId of hostileIds) {
        expect(await isDisabled(userId)).toBe(false)
        await mark(userId)
        expect(await isDisabled(userId, now + 9)).toBe(true)
        expect(await isDisabled(userId, now + 10)).toBe(false)
      }
    })

    it('R109: a user whose mark is taken away is as before, also when it is taken away twice', async () => {
      await mark('user')
      await mark('other')
      await store.deleteDisabledUser({ userId: 'user', now })
      await store.deleteDisabledUser({ userId: 'user', now })
      expect(await isDisabled('user')).toBe(false)
      expect(await isDisabled('other')).toBe(true)
    })
  })

  describe('sign-outs', () => {
    const signOut = (at: number, userId?: string, expiresAt = now + 100) =>
      store.putSignOut({ ...(userId !== undefined && { userId }), at, expiresAt, now })
    const endOf = (userId: string, at = now) => store.findSignOut({ userId, now: at })

    it('R157: what a user began in browsers is over up to the latest sign-out, and nobody else’s is', async () => {
      for (const userId of hostileIds) {
        expect(await endOf(userId)).toBeUndefined()
        await signOut(now - 5, userId, now + 200)
        await signOut(now - 9, userId)
        expect(await endOf(userId)).toBe(now - 5)
        await signOut(now, userId)
        // One that is forgotten sooner takes nothing back.
        expect([await endOf(userId, now + 199), await endOf(userId, now + 200)]).toEqual([now, undefined])
      }
    })

    it('R157: a sign-out of everybody is one of each', async () => {
      await signOut(now - 5, 'user')
      await signOut(now - 7)
      expect([await endOf('user'), await endOf('other')]).toEqual([now - 5, now - 7])
      await signOut(now - 1)
      expect([await endOf('user'), await endOf('other'), await endOf('all')]).toEqual([
        now - 1,
        now - 1,
        now - 1,
      ])
      expect(await endOf('other', now + 100)).toBeUndefined()
    })
  })

  describe('clients', () => {
    it('R171: a client nobody deleted is not deleted, whatever it is called', async () => {
      for (const clientIdHash of hostileIds) {
        expect(await store.isClientDeleted({ clientIdHash, now })).toBe(false)
        await store.putClientTombstone({ clientIdHash, expiresAt: now + 10, now })
        expect(await store.isClientDeleted({ clientIdHash, now: now + 9 })).toBe(true)
        expect(await store.isClientDeleted({ clientIdHash, now: now + 10 })).toBe(false)
      }
    })
  })
}
