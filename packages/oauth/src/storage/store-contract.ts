import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { StoreUnavailableError } from '../errors.ts'
import type { Store } from './store.ts'
import { describeCallTasks } from './store-contract/call-task-contract.ts'
import { describeChanges } from './store-contract/change-contract.ts'
import { describeAuthorizationCodes } from './store-contract/code-contract.ts'
import { describeConnections } from './store-contract/connection-contract.ts'
import { describeFamilies } from './store-contract/family-contract.ts'
import { familySteps } from './store-contract/family-steps.ts'
import { describePendingAuthorizations } from './store-contract/pending-authorization-contract.ts'
import { describeRefreshTokens } from './store-contract/refresh-token-contract.ts'
import {
  aCallTask,
  aCircuit,
  aConnection,
  aGrant,
  aPendingAuthorization,
  aSigningKey,
  hostileIds,
  now,
  operation,
  redeem,
  revoke,
  rotate,
  times,
} from './store-contract/samples.ts'
import { describeSingleUseAndSessions } from './store-contract/session-contract.ts'
import { describeSigningKeys } from './store-contract/signing-key-contract.ts'
import { describeUsersAndClients } from './store-contract/user-and-client-contract.ts'
import { describeWork } from './store-contract/work-contract.ts'

/** One store of its own per test, and what the suite may do with it. */
export interface StoreUnderTest {
  store: Store
  /** Closes the store and opens it again over the same records; needed when records outlive the process. */
  reopen?: () => Promise<Store>
  /** How many records are held, ended ones included. */
  countRecords(): Promise<number>
  close(): Promise<void>
}

/**
 * Declares the tests every adapter of the storage port passes, with vitest.
 *
 * @param name of the adapter, for the titles
 * @param createStore a new, empty store for each test
 * @param options.outlivesProcess whether records are still there after the store was closed. Default true
 */
export function describeStoreContract(
  name: string,
  createStore: () => Promise<StoreUnderTest>,
  { outlivesProcess = true }: { outlivesProcess?: boolean } = {},
): void {
  describe(`${name}: contract of the storage port`, () => {
    let underTest: StoreUnderTest
    let store: Store
    beforeEach(async () => {
      underTest = await createStore()
      store = underTest.store
    })
    afterEach(() => underTest.close())

    const getStore = () => store
    const { openFamily } = familySteps(getStore)

    describeUsersAndClients(getStore)
    describePendingAuthorizations(getStore)
    describeAuthorizationCodes(getStore)
    describeRefreshTokens(getStore)
    describeFamilies(getStore)
    describeConnections(getStore)
    describeWork(getStore)
    describeSigningKeys(getStore)
    describeSingleUseAndSessions(getStore)
    describeChanges(getStore)
    describeCallTasks(getStore)

    describe('statistics', () => {
      it('count what there is, and not what has ended', async () => {
        const none = {
          grants: 0,
          grantsWithAccess: 0,
          connections: { active: 0, dead: 0 },
          pendingAuthorizations: 0,
          signingKeys: 0,
        }
        expect(await store.stats({ now })).toEqual(none)
        for (const id of times(7, i => `redeemed-${i}`)) await openFamily({ id }, redeem({ id }))
        await store.putGrant({ record: aGrant({ id: 'code only' }), now })
        await store.revokeGrant(revoke({ id: 'redeemed-0' }))
        await store.putConnection({ record: aConnection(), now })
        await store.putConnection({ record: aConnection({ provider: 'linkedin', state: 'dead' }), now })
        await store.putConnection({ record: aConnection({ provider: 'ended', expiresAt: now + 1 }), now })
        await store.deleteConnection({ userId: 'user', provider: 'ended', account: 'default', now })
        await store.putPendingAuthorization({ record: aPendingAuthorization(), limit: 1, now })
        await store.putSigningKey({ record: aSigningKey('kid'), newestKid: undefined, now })
        expect(await store.stats({ now })).toEqual({
          grants: 7,
          grantsWithAccess: 6,
          connections: { active: 1, dead: 1 },
          pendingAuthorizations: 1,
          signingKeys: 1,
        })
        expect(await store.stats({ now: now + 900 })).toMatchObject({ grants: 6, grantsWithAccess: 0 })
        expect(await store.stats({ now: now + 86_400 })).toEqual({ ...none, signingKeys: 1 })
      })
    })

    it('R169: ids made to break out of a key name their own record and no other', async () => {
      for (const id of hostileIds) await openFamily({ id, clientId: id, userId: id }, redeem({ id }))
      for (const id of hostileIds) {
        expect((await store.findGrant({ id, now }))?.id).toBe(id)
        expect((await store.listGrants({ clientId: id, now })).map(grant => grant.id)).toEqual([id])
        expect((await store.listGrants({ userId: id, now })).map(grant => grant.id)).toEqual([id])
        expect(await store.rotateRefreshToken(rotate(0, { id }))).toEqual({ outcome: 'rotated' })
        expect(await store.revokeGrant(revoke({ id }))).toBe('revoked')
      }
    })

    it('R170: after flows have ended and were cleaned up, nothing is left of them', async () => {
      const { countRecords } = underTest
      const baseline = await countRecords()
      for (let i = 0; i < 5; i++) {
        const id = `family-${i}`
        await store.findOrPutUser({ identityHash: id, userId: id, expiresAt: now + 86_400, now })
        await store.putPendingAuthorization({ record: aPendingAuthorization({ id }), limit: 10, now })
        await store.stepPendingAuthorization({ id, fromStep: 0, next: undefined, now, ...operation() })
        await openFamily({ id, userId: id }, redeem({ id }))
        await store.rotateRefreshToken(rotate(0, { id }))
        if (i % 2) await store.revokeGrant(revoke({ id }))
        await store.putConnection({ record: aConnection({ userId: id, accountHash: id }), now })
        if (i % 2) await store.deleteConnection({ userId: id, provider: 'google', account: 'default', now })
        await store.claimSingleUse({ kind: 'jti', idHash: id, expiresAt: now + 60, now, ...operation() })
        const lease = { kind: 'connection_refresh', id, owner: id } as const
        await store.claimLease({ ...lease, endsAt: now + 30, takesOver: true, now })
        if (i % 2) await store.releaseLease({ ...lease, now })
        await store.replaceCircuit({ record: aCircuit({ id }), generation: 0, now })
        await store.putClientTombstone({ clientIdHash: id, expiresAt: now + 60, now })
        await store.putDisabledUser({ userId: id, expiresAt: now + 60, now })
        await store.putSignOut({ userId: id, at: now, expiresAt: now + 60, now })
        await store.putEndedSession({ idHash: id, expiresAt: now + 60, now })
        const event = { stream: id, position: 1, sealed: 'event', limit: 9 }
        await store.appendEvent({ ...event, expiresAt: now + 60, now })
        const subscription = { session: id, idHash: id, sealed: id, limit: 9 }
        await store.putSubscription({ ...subscription, expiresAt: now + 60, now })
        await store.announceChange({ sealed: id, now })
        await store.putCallTask({ record: aCallTask({ callerHash: id }), limit: 1, now })
      }
      expect(await countRecords()).toBeGreaterThan(baseline)
      await store.cleanupExpired({ now: now + 86_400 })
      expect(await countRecords()).toBe(baseline)
    })

    if (outlivesProcess)
      it('R106: everything is still there after the store was closed and opened again', async () => {
        await openFamily()
        await store.rotateRefreshToken(rotate(0))
        await store.rotateRefreshToken(rotate(1))
        await openFamily({ id: 'revoked' }, redeem({ id: 'revoked' }))
        await store.revokeGrant(revoke({ id: 'revoked' }))
        await store.findOrPutUser({ identityHash: 'identity', userId: 'user', expiresAt: now + 9, now })
        await store.putClientTombstone({ clientIdHash: 'client', expiresAt: now + 9, now })
        await store.putConnection({ record: aConnection({ accountHash: 'ada' }), now })
        await store.putSigningKey({ record: aSigningKey('kid'), newestKid: undefined, now })
        await store.putPendingAuthorization({ record: aPendingAuthorization(), limit: 1, now })
        const once = { kind: 'jti', idHash: 'id', expiresAt: now + 9, now } as const
        await store.claimSingleUse({ ...once, ...operation() })
        await store.putEndedSession({ idHash: 'id', expiresAt: now + 9, now })
        const event = { stream: 'stream', position: 1, sealed: 'event', limit: 9 }
        await store.appendEvent({ ...event, expiresAt: now + 9, now })
        const subscription = { session: 'session', idHash: 'id', sealed: 'followed', limit: 9 }
        await store.putSubscription({ ...subscription, expiresAt: now + 9, now })
        await store.putCallTask({ record: aCallTask(), limit: 1, now })

        store = await underTest.reopen!()
        expect(await store.listRevocations({ now })).toEqual([
          { grantId: 'revoked', accessEndsAt: now + 900 },
        ])
        expect(
          await store.findOrPutUser({ identityHash: 'identity', userId: 'b', expiresAt: now + 9, now }),
        ).toBe('user')
        expect(await store.isClientDeleted({ clientIdHash: 'client', now })).toBe(true)
        expect(await store.listConnections({ userId: 'user', now })).toHaveLength(1)
        expect(await store.findConnectionsByAccount({ accountHash: 'ada', now })).toHaveLength(1)
        expect(await store.listSigningKeys({ now })).toEqual([aSigningKey('kid')])
        expect(await store.findPendingAuthorization({ id: 'transaction', now })).toEqual(
          aPendingAuthorization(),
        )
        expect(await store.claimSingleUse({ ...once, ...operation() })).toBe('used')
        expect(await store.isSessionEnded({ idHash: 'id', now })).toBe(true)
        expect(await store.readEvents({ stream: 'stream', after: 0, now })).toHaveLength(1)
        expect(await store.listSubscriptions({ session: 'session', now })).toEqual(['followed'])
        expect(await store.findCallTask({ ...aCallTask(), now })).toEqual({ ...aCallTask(), generation: 1 })
        expect(await store.rotateRefreshToken(rotate(2))).toEqual({ outcome: 'rotated' })
        expect(await store.rotateRefreshToken(rotate(0))).toEqual({ outcome: 'reused' })
      })

    it('R92: a store that is closed answers nothing, and says so in one way', async () => {
      await openFamily()
      await store.check()
      await store.close()
      const steps: (() => Promise<unknown>)[] = [
        () => store.check(),
        () => store.findGrant({ id: 'family', now }),
        () => store.redeemCode(redeem()),
        () => store.rotateRefreshToken(rotate(0)),
        () => store.revokeGrant(revoke()),
        () => store.listRevocations({ now }),
        () => store.listSigningKeys({ now }),
        () => store.retireSigningKey({ kid: 'kid', retiresAt: now, now }),
        () => store.listAllConnections({ cursor: undefined, limit: 10, now }),
        () => store.findConnectionsByAccount({ accountHash: 'ada', now }),
        () => store.findConnectionsByToken({ tokenHash: 'token', now }),
        () => store.isSingleUseClaimed({ kind: 'jti', idHash: 'id', now }),
        () => store.findUser({ identityHash: 'identity', now }),
        () => store.isClientDeleted({ clientIdHash: 'client', now }),
        () => store.findCircuit({ id: 'circuit', now }),
        () => store.replaceCircuit({ record: aCircuit(), generation: 0, now }),
        () =>
          store.claimLease({
            kind: 'connection_refresh',
            id: 'id',
            owner: 'a',
            endsAt: now + 30,
            takesOver: true,
            now,
          }),
        () => store.isSessionEnded({ idHash: 'id', now }),
        () => store.readEvents({ stream: 'stream', after: 0, now }),
        () => store.findCallTask({ ...aCallTask(), now }),
      ]
      for (const step of steps) await expect(step()).rejects.toThrow(StoreUnavailableError)
    })
  })
}
