import { beforeEach, describe, expect, it } from 'vitest'
import type { Grant, Revocation } from '../records.ts'
import type { Store } from '../store.ts'
import { familySteps } from './family-steps.ts'
import { aGrant, now, operation, redeem, revoke, rotate, times } from './samples.ts'

/** Token families, and their revocation one by one, as a feed and by the many. */
export function describeFamilies(getStore: () => Store): void {
  const { openFamily, grant, isRevoked } = familySteps(getStore)
  let store: Store
  beforeEach(() => {
    store = getStore()
  })

  describe('families', () => {
    it('R115: a family that begins redeemed has no code, is found by its client, and ends with its token', async () => {
      const born = aGrant({
        userId: 'client:machine',
        clientId: 'machine',
        redirectUri: 'none',
        endsAt: now + 900,
        accessEndsAt: now + 900,
        code: { hash: 'code', challenge: 'none', expiresAt: now, failures: 0, redeemedAt: now },
      })
      await store.putGrant({ record: born, now })
      expect(await grant()).toEqual(born)
      expect(await store.listGrants({ clientId: 'machine', now })).toEqual([born])
      expect(await store.listGrants({ userId: 'machine', now })).toEqual([])
      expect(await grant(now + 899)).toEqual(born)
      expect(await store.revokeGrant(revoke())).toBe('revoked')
      expect(await store.listRevocations({ now })).toEqual([{ grantId: 'family', accessEndsAt: now + 900 }])
      expect(await store.listGrants({ clientId: 'machine', now })).toEqual([])
      expect(await grant(now + 899)).toMatchObject({ revokedBy: 'user' })
      expect(await grant(now + 900)).toBeUndefined()
    })

    it('R139: revoking ends refresh and is remembered for as long as an access token may live', async () => {
      await openFamily()
      expect(await store.revokeGrant(revoke())).toBe('revoked')
      expect(await store.revokeGrant(revoke())).toBe('already')
      expect(await store.rotateRefreshToken(rotate(0))).toEqual({ outcome: 'revoked' })
      expect(await store.listRevocations({ now: now + 899 })).toEqual([
        { grantId: 'family', accessEndsAt: now + 900 },
      ])
      expect(await store.listRevocations({ now: now + 900 })).toEqual([])
      await store.cleanupExpired({ now: now + 899 })
      expect(await grant(now + 899)).toMatchObject({ revokedAt: now, revokedBy: 'user' })
    })

    it('R139: the last access token of a family decides how long, not the newest', async () => {
      await openFamily({}, redeem({ accessEndsAt: now + 900 }))
      await store.rotateRefreshToken(rotate(0, { accessEndsAt: now + 60 }))
      await store.revokeGrant(revoke())
      expect(await store.listRevocations({ now })).toEqual([{ grantId: 'family', accessEndsAt: now + 900 }])
    })

    it('R164: a revocation whose reply was lost has the outcome of one', async () => {
      await openFamily()
      const once = revoke()
      expect(await store.revokeGrant(once)).toBe('revoked')
      expect(await store.revokeGrant(once)).toBe('revoked')
    })

    it('R164: one operation id for many families revokes each of them', async () => {
      const shared = operation()
      for (const id of ['a', 'b']) await store.putGrant({ record: aGrant({ id }), now })
      expect(await store.revokeGrant(revoke({ id: 'a', ...shared }))).toBe('revoked')
      expect(await store.revokeGrant(revoke({ id: 'b', ...shared }))).toBe('revoked')
      expect((await store.findGrant({ id: 'b', now }))?.revokedBy).toBe('user')
    })

    it('R141: a refresh that races with a revocation leaves nothing alive', async () => {
      await openFamily()
      const steps = times(30, i =>
        i === 15 ? store.revokeGrant(revoke()) : store.rotateRefreshToken(rotate(0, { genuine: true })),
      )
      await Promise.all(steps)
      expect(await isRevoked()).toBe(true)
      for (const presentedHash of ['refresh-0', 'refresh-1']) {
        const result = await store.rotateRefreshToken(rotate(0, { presentedHash }))
        expect(result).toEqual({ outcome: 'revoked' })
      }
    })

    it('does not know a family that never was or has ended', async () => {
      expect(await store.revokeGrant(revoke())).toBe('unknown')
      await openFamily()
      expect(await store.revokeGrant(revoke({ now: now + 86_400 }))).toBe('unknown')
    })

    it('lists the live families of a user or a client, newest first', async () => {
      const put = (id: string, over: Partial<Grant>) =>
        store.putGrant({ record: aGrant({ id, ...over }), now })
      await put('old', { createdAt: now - 10 })
      await put('new', { createdAt: now })
      await put('of another user', { userId: 'other' })
      await put('of another client', { clientId: 'other', createdAt: now - 5 })
      await put('revoked', {})
      await put('ended', { code: { ...aGrant().code, expiresAt: now } })
      await store.revokeGrant(revoke({ id: 'revoked' }))
      const ids = async (by: { userId: string } | { clientId: string }) =>
        (await store.listGrants({ ...by, now })).map(({ id }) => id)
      expect(await ids({ userId: 'user' })).toEqual(['new', 'of another client', 'old'])
      expect(await ids({ clientId: 'other' })).toEqual(['of another client'])
      expect(await ids({ userId: 'nobody' })).toEqual([])
    })

    it('hands out copies: changing a record found changes nothing in the store', async () => {
      const record = aGrant()
      await store.putGrant({ record, now })
      record.scopes.push('admin')
      ;(await grant())?.scopes.push('admin')
      expect((await grant())?.scopes).toEqual(aGrant().scopes)
    })
  })

  describe('revocation feed', () => {
    it('R139: whoever follows hears of every way a family ends, at once and once', async () => {
      const heard: Revocation[] = []
      let synced = 0
      const stop = store.watchRevocations({
        onRevoked: revocation => heard.push(revocation),
        onSynced: () => synced++,
      })
      for (const id of ['by user', 'by replay', 'by reuse']) await openFamily({ id }, redeem({ id }))
      await store.revokeGrant(revoke({ id: 'by user' }))
      expect(heard).toHaveLength(1)
      await store.revokeGrant(revoke({ id: 'by user' }))
      await store.redeemCode(redeem({ id: 'by replay' }))
      await store.rotateRefreshToken(rotate(7, { id: 'by reuse' }))
      expect(heard).toEqual(
        ['by user', 'by replay', 'by reuse'].map(grantId => ({ grantId, accessEndsAt: now + 900 })),
      )
      await expect.poll(() => synced, { timeout: 10_000 }).toBeGreaterThan(0)
      stop()
      await openFamily({ id: 'after' }, redeem({ id: 'after' }))
      await store.revokeGrant(revoke({ id: 'after' }))
      expect(heard).toHaveLength(3)
    })
  })

  describe('revocation of many', () => {
    /** Three users with three clients each, a family for each of both. */
    const families = [0, 1, 2].flatMap(user => [0, 1, 2].map(client => `user-${user} client-${client}`))
    beforeEach(async () => {
      for (const id of families) {
        const [userId = '', clientId = ''] = id.split(' ')
        await openFamily({ id, userId, clientId }, redeem({ id }))
      }
    })
    type Of = Parameters<Store['revokeGrants']>[0]['of']
    const walk = async (of: Of, limit = 100, between: () => Promise<unknown> = async () => {}) => {
      const revoked: string[] = []
      let cursor: string | undefined
      do {
        const step = { of, reason: 'administrator' as const, cursor, limit, now, ...operation() }
        const page = await store.revokeGrants(step)
        revoked.push(...page.revoked)
        cursor = page.cursor
        await between()
      } while (cursor !== undefined)
      return revoked.sort()
    }
    const of = (part: string) => families.filter(id => id.includes(part))

    it.each<[string, Of, string]>([
      ['a user', { userId: 'user-1' }, 'user-1'],
      ['a client', { clientId: 'client-1' }, 'client-1'],
      ['the tenant', 'tenant', ''],
      ['nobody', { userId: 'nobody' }, 'nobody'],
    ])('R141: all families of %s end, each once, and no others', async (_, whose, part) => {
      for (const limit of [1, 2, 100]) {
        const expected = limit === 1 ? of(part) : []
        expect(await walk(whose, limit), `pages of ${limit}`).toEqual(expected)
      }
      for (const id of families) {
        const found = await store.findGrant({ id, now })
        expect(found?.revokedBy, id).toBe(id.includes(part) ? 'administrator' : undefined)
        expect((await store.rotateRefreshToken(rotate(0, { id }))).outcome, id).toBe(
          id.includes(part) ? 'revoked' : 'rotated',
        )
      }
      const listed = await store.listRevocations({ now })
      expect(listed.map(({ grantId }) => grantId).sort()).toEqual(of(part))
    })

    it('R139: whoever follows hears of each', async () => {
      const heard: string[] = []
      const stop = store.watchRevocations({
        onRevoked: ({ grantId }) => heard.push(grantId),
        onSynced: () => {},
      })
      await walk({ userId: 'user-2' }, 2)
      expect(heard.sort()).toEqual(of('user-2'))
      stop()
    })

    it('what has ended for another reason stays ended for that reason', async () => {
      const id = families[0]!
      await store.revokeGrant(revoke({ id, reason: 'client' }))
      expect(await walk('tenant')).toEqual(families.slice(1))
      expect(await store.findGrant({ id, now })).toMatchObject({ revokedBy: 'client' })
    })

    it('R141: refreshes that race leave no live family, whoever comes first', async () => {
      let generation = 0
      const refreshAll = () =>
        Promise.all(families.map(id => store.rotateRefreshToken(rotate(generation, { id })))).then(() => {
          generation++
        })
      await Promise.all([refreshAll(), walk('tenant', 2, refreshAll), refreshAll()])
      for (const id of families) expect((await store.findGrant({ id, now }))?.revokedAt).toBe(now)
    })

    it('a walk that broke off is begun again', async () => {
      const step = { of: 'tenant', reason: 'tenant', cursor: undefined, limit: 2, now } as const
      const first = await store.revokeGrants({ ...step, ...operation() })
      expect([...first.revoked, ...(await walk('tenant'))].sort()).toEqual(families)
      expect(await store.listGrants({ userId: 'user-0', now })).toEqual([])
    })

    it('a code that nobody redeemed yet ends too', async () => {
      await store.putGrant({ record: aGrant(), now })
      expect(await walk({ userId: 'user' })).toEqual(['family'])
      expect(await store.redeemCode(redeem())).toBe('revoked')
    })
  })
}
