import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { StoreUnavailableError } from '../errors.ts'
import type {
  Circuit,
  Connection,
  Grant,
  PendingAuthorization,
  Revocation,
  SigningKey,
  Task,
} from './records.ts'
import type { Store } from './store.ts'

/** One store of its own per test, and what the suite may do with it. */
export interface StoreUnderTest {
  store: Store
  /** Closes the store and opens it again over the same records; needed when records outlive the process. */
  reopen?: () => Promise<Store>
  /** How many records are held, ended ones included. */
  countRecords(): Promise<number>
  close(): Promise<void>
}

/** An arbitrary moment, in seconds since the epoch: the suite never looks at a clock. */
const now = 1_900_000_000

const hostileIds: readonly string[] = [
  '__proto__',
  'constructor',
  '*',
  'a:b',
  '{x}',
  'a b\r\nDEL x',
  "'; DROP TABLE records; --",
  '["a","b"]',
  'ключ 🔑',
  'x'.repeat(10_240),
]

let counter = 0
/** An operation id; unlike any other. */
const operation = () => ({ operationId: `operation-${counter++}` })

const aGrant = (over: Partial<Grant> = {}): Grant => ({
  version: 1,
  id: 'family',
  userId: 'user',
  clientId: 'client',
  redirectUri: 'https://client.example/callback',
  resource: 'https://server.example/mcp',
  scopes: ['notes:read', 'notes:write'],
  authTime: now - 5,
  amr: ['pwd'],
  acr: 'silver',
  createdAt: now,
  endsAt: now + 2_592_000,
  accessEndsAt: 0,
  code: {
    hash: 'code',
    challenge: 'challenge',
    nonce: 'nonce',
    dpopJkt: 'jkt',
    expiresAt: now + 600,
    failures: 0,
  },
  ...over,
})

const aPendingAuthorization = (over: Partial<PendingAuthorization> = {}): PendingAuthorization => ({
  version: 1,
  id: 'transaction',
  step: 0,
  steppedBy: 'operation',
  sealed: 'sealed',
  expiresAt: now + 600,
  ...over,
})

type ConnectionWrite = Omit<Connection, 'generation'>
const aConnection = (over: Partial<ConnectionWrite> = {}): ConnectionWrite => ({
  version: 1,
  userId: 'user',
  provider: 'google',
  account: 'default',
  writtenBy: `write-${counter++}`,
  state: 'active',
  scopes: ['calendar'],
  sealed: 'sealed',
  accessEndsAt: now + 3600,
  updatedAt: now,
  expiresAt: now + 86_400,
  ...over,
})

type CircuitWrite = Omit<Circuit, 'generation'>
const aCircuit = (over: Partial<CircuitWrite> = {}): CircuitWrite => ({
  version: 1,
  id: 'google client',
  writtenBy: `write-${counter++}`,
  state: 'open',
  failures: 5,
  openings: 1,
  until: now + 20,
  expiresAt: now + 3600,
  ...over,
})

const aTask = (over: Partial<Task> = {}): Task => ({
  version: 1,
  kind: 'refresh',
  provider: 'google',
  id: 'task',
  userId: 'user',
  account: 'default',
  writtenBy: `write-${counter++}`,
  dueAt: now,
  expiresAt: now + 86_400,
  attempts: 0,
  ...over,
})

const aSigningKey = (kid: string, over: Partial<SigningKey> = {}): SigningKey => ({
  version: 1,
  kid,
  alg: 'ES256',
  publicJwk: { kty: 'EC', crv: 'P-256', x: 'x', y: 'y' },
  sealed: 'sealed',
  createdAt: now,
  activeAt: now,
  retiresAt: 0,
  ...over,
})

const redeem = (over: Partial<Parameters<Store['redeemCode']>[0]> = {}) => ({
  id: 'family',
  codeHash: 'code',
  now,
  refresh: { hash: 'refresh-0', idleEndsAt: now + 86_400 },
  accessEndsAt: now + 900,
  ...operation(),
  ...over,
})

/** The rotation from one generation to the next, ten seconds of grace. */
const rotate = (generation: number, over: Partial<Parameters<Store['rotateRefreshToken']>[0]> = {}) => ({
  id: 'family',
  presentedHash: `refresh-${generation}`,
  genuine: true,
  successorHash: `refresh-${generation + 1}`,
  replay: `reply-${generation + 1}`,
  graceSeconds: 10,
  idleEndsAt: now + 86_400,
  accessEndsAt: now + 900,
  now,
  ...operation(),
  ...over,
})

const revoke = (over: Partial<Parameters<Store['revokeGrant']>[0]> = {}) => ({
  id: 'family',
  reason: 'user' as const,
  now,
  ...operation(),
  ...over,
})

const times = <T>(count: number, step: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => step(i))
const tally = (outcomes: readonly string[]): Record<string, number> => {
  const counts: Record<string, number> = {}
  for (const outcome of outcomes) counts[outcome] = (counts[outcome] ?? 0) + 1
  return counts
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

    const openFamily = async (over: Partial<Grant> = {}, redeemed = redeem()) => {
      await store.putGrant({ record: aGrant(over), now })
      expect(await store.redeemCode(redeemed)).toBe('redeemed')
    }
    const grant = (at = now) => store.findGrant({ id: 'family', now: at })
    const isRevoked = async () => (await grant())?.revokedAt !== undefined

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

    describe('pending authorizations', () => {
      const step = (over: Partial<Parameters<Store['stepPendingAuthorization']>[0]> = {}) => ({
        id: 'transaction',
        fromStep: 0,
        next: aPendingAuthorization({ step: 1 }),
        now,
        ...operation(),
        ...over,
      })
      const put = (over: Partial<PendingAuthorization> = {}, at = now) =>
        store.putPendingAuthorization({ record: aPendingAuthorization(over), limit: 3, now: at })
      const find = (at = now) => store.findPendingAuthorization({ id: 'transaction', now: at })

      it('finds what was stored until its end', async () => {
        expect(await put()).toBe('stored')
        expect(await find(now + 599)).toEqual(aPendingAuthorization())
        expect(await find(now + 600)).toBeUndefined()
      })

      it('R60: at the limit nothing is stored and nobody else loses a sign-in; ended ones make room', async () => {
        expect(await Promise.all(times(5, i => put({ id: `t${i}` }))).then(tally)).toEqual({
          stored: 3,
          full: 2,
        })
        expect(await put({ id: 't0' }), 'sent twice, counted once').toBe('stored')
        const found = await Promise.all(times(5, i => store.findPendingAuthorization({ id: `t${i}`, now })))
        expect(found.filter(Boolean)).toHaveLength(3)
        expect(await put({ id: 'late', expiresAt: now + 1200 }, now + 600)).toBe('stored')
      })

      it('R163: of 20 requests that take a step at once, one takes it', async () => {
        await put()
        const outcomes = await Promise.all(times(20, () => store.stepPendingAuthorization(step())))
        expect(tally(outcomes)).toEqual({ taken: 1, stale: 19 })
        expect((await find())?.step).toBe(1)
      })

      it.each([
        ['to the next step', aPendingAuthorization({ step: 1 })],
        ['to the end', undefined],
      ])('R164: a step %s sent again has the effect of one', async (_, next) => {
        await put()
        const once = step({ next })
        expect(await store.stepPendingAuthorization(once)).toBe('taken')
        expect(await store.stepPendingAuthorization(once)).toBe('taken')
        expect(await find()).toEqual(next)
        expect(await store.stepPendingAuthorization(step({ next }))).toBe(next ? 'stale' : 'unknown')
      })

      it('a record sent again does not take back a step', async () => {
        await put()
        await store.stepPendingAuthorization(step())
        await put()
        expect((await find())?.step).toBe(1)
      })

      it('does not know a transaction that never was or has ended', async () => {
        expect(await store.stepPendingAuthorization(step())).toBe('unknown')
        await put()
        expect(await store.stepPendingAuthorization(step({ now: now + 600 }))).toBe('unknown')
      })
    })

    describe('authorization codes', () => {
      it('R95: of 50 parallel redemptions of one code, one succeeds', async () => {
        await store.putGrant({ record: aGrant(), now })
        const outcomes = await Promise.all(times(50, () => store.redeemCode(redeem())))
        expect(outcomes.filter(outcome => outcome === 'redeemed')).toHaveLength(1)
        expect(outcomes).toContain('replayed')
      })

      it('keeps what the redemption brought', async () => {
        await openFamily()
        expect(await grant()).toEqual(
          aGrant({
            accessEndsAt: now + 900,
            code: { ...aGrant().code, redeemedAt: now },
            refresh: { generation: 0, currentHash: 'refresh-0', idleEndsAt: now + 86_400 },
          }),
        )
      })

      it('R96: a second redemption revokes the family, wherever its refresh token has been rotated to', async () => {
        await openFamily()
        await store.rotateRefreshToken(rotate(0))
        await store.rotateRefreshToken(rotate(1))
        expect(await store.redeemCode(redeem({ now: now + 700 }))).toBe('replayed')
        expect(await grant()).toMatchObject({ revokedAt: now + 700, revokedBy: 'code_replayed' })
        expect(await store.rotateRefreshToken(rotate(2))).toEqual({ outcome: 'revoked' })
        expect(await store.redeemCode(redeem())).toBe('revoked')
      })

      it('R97: a guessed code of a known family changes nothing', async () => {
        await openFamily()
        const before = await grant()
        expect(await store.redeemCode(redeem({ codeHash: 'guess' }))).toBe('unknown')
        await store.countFailedRedemption({ id: 'family', codeHash: 'guess', limit: 1, now, ...operation() })
        expect(await grant()).toEqual(before)
      })

      it('R164: a redemption whose reply was lost is sent again and still succeeds', async () => {
        await store.putGrant({ record: aGrant(), now })
        const once = redeem()
        expect(await store.redeemCode(once)).toBe('redeemed')
        const after = await grant()
        expect(await store.redeemCode(once)).toBe('redeemed')
        expect(await grant()).toEqual(after)
      })

      it('R164: a grant sent again after its code was redeemed does not make the code new', async () => {
        await openFamily()
        await store.putGrant({ record: aGrant(), now })
        expect(await store.redeemCode(redeem())).toBe('replayed')
      })

      it('R57: a code that nobody redeemed in time is gone', async () => {
        await store.putGrant({ record: aGrant(), now })
        expect(await grant(now + 599)).toBeDefined()
        expect(await grant(now + 600)).toBeUndefined()
        expect(await store.redeemCode(redeem({ now: now + 600 }))).toBe('unknown')
      })

      it('a code of a revoked or an unknown family is not redeemed', async () => {
        expect(await store.redeemCode(redeem())).toBe('unknown')
        await store.putGrant({ record: aGrant(), now })
        await store.revokeGrant(revoke())
        expect(await store.redeemCode(redeem())).toBe('revoked')
        expect(await store.listRevocations({ now }), 'no access token to refuse').toEqual([])
      })

      it('R102: the code is spent after as many wrong verifiers as the limit says, each counted once', async () => {
        await store.putGrant({ record: aGrant(), now })
        const fail = (id = operation()) =>
          store.countFailedRedemption({ id: 'family', codeHash: 'code', limit: 5, now, ...id })
        const again = operation()
        await fail(again)
        await fail(again)
        for (let i = 0; i < 3; i++) await fail()
        expect((await grant())?.code.failures).toBe(4)
        await fail()
        expect(await store.redeemCode(redeem())).toBe('unknown')
      })

      it('R97: wrong verifiers after the redemption do not touch the family', async () => {
        await openFamily()
        const before = await grant()
        for (let i = 0; i < 5; i++) {
          await store.countFailedRedemption({ id: 'family', codeHash: 'code', limit: 2, now, ...operation() })
        }
        expect(await grant()).toEqual(before)
      })
    })

    describe('refresh tokens', () => {
      it.each([20, 50])(
        'R104: %i parallel uses with a grace get one successor and its very reply',
        async n => {
          await openFamily()
          const outcomes = await Promise.all(
            times(n, i =>
              store.rotateRefreshToken(rotate(0, { successorHash: `successor-${i}`, replay: `reply-${i}` })),
            ),
          )
          expect(tally(outcomes.map(({ outcome }) => outcome))).toEqual({ rotated: 1, grace: n - 1 })
          const winner = outcomes.findIndex(({ outcome }) => outcome === 'rotated')
          expect((await grant())?.refresh).toMatchObject({
            generation: 1,
            currentHash: `successor-${winner}`,
          })
          const replays = outcomes.flatMap(result => (result.outcome === 'grace' ? [result.replay] : []))
          expect(new Set(replays)).toEqual(new Set([`reply-${winner}`]))
        },
      )

      it('R104: parallel uses without a grace have one success, and the family ends', async () => {
        await openFamily()
        const outcomes = await Promise.all(
          times(20, i =>
            store.rotateRefreshToken(rotate(0, { graceSeconds: 0, successorHash: `successor-${i}` })),
          ),
        )
        expect(tally(outcomes.map(({ outcome }) => outcome))).toEqual({ rotated: 1, reused: 1, revoked: 18 })
        expect(await grant()).toMatchObject({ revokedBy: 'refresh_token_reused' })
      })

      it.each([
        ['the grace has passed', 1, { now: now + 10 }, 'reused'],
        ['the grace has not passed', 1, { now: now + 9 }, 'grace'],
        ['the successor was used', 2, { now: now + 1 }, 'reused'],
        ['there is no grace', 1, { graceSeconds: 0 }, 'reused'],
      ] as const)('R105: a used token presented when %s', async (_, rotations, over, outcome) => {
        await openFamily()
        for (let i = 0; i < rotations; i++) await store.rotateRefreshToken(rotate(i))
        const before = await grant()
        expect((await store.rotateRefreshToken(rotate(0, over))).outcome).toBe(outcome)
        if (outcome === 'grace') expect(await grant(), 'the grace extends nothing').toEqual(before)
        else expect(await isRevoked()).toBe(true)
      })

      it('R105: the grace does not outlive the idle end', async () => {
        await openFamily({}, redeem({ refresh: { hash: 'refresh-0', idleEndsAt: now + 5 } }))
        await store.rotateRefreshToken(rotate(0, { idleEndsAt: now + 5 }))
        expect(await store.rotateRefreshToken(rotate(0, { now: now + 5 }))).toEqual({ outcome: 'expired' })
        expect(await isRevoked()).toBe(false)
      })

      it('R103: a token two generations old ends the family, and with it the newest token', async () => {
        await openFamily()
        for (let i = 0; i < 5; i++) await store.rotateRefreshToken(rotate(i))
        expect(await store.rotateRefreshToken(rotate(1))).toEqual({ outcome: 'reused' })
        expect(await store.rotateRefreshToken(rotate(5))).toEqual({ outcome: 'revoked' })
        expect(await grant()).toMatchObject({ revokedAt: now, revokedBy: 'refresh_token_reused' })
      })

      it('R106: a used token still ends the family when it was rotated away long ago', async () => {
        await openFamily({ endsAt: 0 })
        let at = now
        for (let i = 0; i < 40; i++) {
          at += 80_000
          const step = rotate(i, { now: at, idleEndsAt: at + 86_400, accessEndsAt: at + 900 })
          expect(await store.rotateRefreshToken(step)).toEqual({ outcome: 'rotated' })
          await store.cleanupExpired({ now: at })
        }
        expect(await store.rotateRefreshToken(rotate(0, { now: at + 86_399 }))).toEqual({ outcome: 'reused' })
      })

      it('R97: a guessed token of a known family changes nothing; also not of a revoked one', async () => {
        await openFamily()
        const guess = () => rotate(0, { presentedHash: 'guess', genuine: false })
        const before = await grant()
        expect(await store.rotateRefreshToken(guess())).toEqual({ outcome: 'unknown' })
        expect(await grant()).toEqual(before)
        await store.revokeGrant(revoke())
        expect(await store.rotateRefreshToken(guess())).toEqual({ outcome: 'unknown' })
      })

      it('a token whose secret has left the ring rotates as long as it is the current one', async () => {
        await openFamily()
        expect(await store.rotateRefreshToken(rotate(0, { genuine: false }))).toEqual({ outcome: 'rotated' })
      })

      it('R110: idle time ends a token and slides with its use, up to the absolute end', async () => {
        await openFamily(
          { endsAt: now + 250 },
          redeem({ refresh: { hash: 'refresh-0', idleEndsAt: now + 100 } }),
        )
        const at = (second: number) => ({ now: now + second, idleEndsAt: now + second + 100 })
        expect(await store.rotateRefreshToken(rotate(0, at(99)))).toEqual({ outcome: 'rotated' })
        expect(await store.rotateRefreshToken(rotate(1, at(199)))).toEqual({ outcome: 'expired' })
        expect(await isRevoked()).toBe(false)
      })

      it('R110: no chain of refreshes goes past the absolute end', async () => {
        await openFamily(
          { endsAt: now + 250 },
          redeem({ refresh: { hash: 'refresh-0', idleEndsAt: now + 1000 } }),
        )
        expect((await grant())?.refresh?.idleEndsAt).toBe(now + 250)
        const far = { idleEndsAt: now + 9000, accessEndsAt: now + 250 }
        await store.rotateRefreshToken(rotate(0, { ...far, now: now + 249 }))
        expect((await grant())?.refresh?.idleEndsAt).toBe(now + 250)
        const late = await store.rotateRefreshToken(rotate(1, { ...far, now: now + 250 }))
        expect(['expired', 'unknown']).toContain(late.outcome)
      })

      it('R164: a rotation whose reply was lost is sent again and still succeeds, however much came between', async () => {
        await openFamily()
        const lost = rotate(0)
        const lostInGrace = rotate(0)
        expect(await store.rotateRefreshToken(lost)).toEqual({ outcome: 'rotated' })
        const inGrace = await store.rotateRefreshToken(lostInGrace)
        expect(inGrace).toEqual({ outcome: 'grace', replay: 'reply-1' })
        for (let i = 1; i < 5; i++) await store.rotateRefreshToken(rotate(i))
        const before = await grant()
        expect(await store.rotateRefreshToken(lost)).toEqual({ outcome: 'rotated' })
        expect(await store.rotateRefreshToken(lostInGrace)).toEqual(inGrace)
        expect(await grant()).toEqual(before)
      })

      it('R164: reuse found by a step whose reply was lost is told when it is sent again', async () => {
        await openFamily()
        await store.rotateRefreshToken(rotate(0))
        const reuse = rotate(0, { graceSeconds: 0 })
        expect(await store.rotateRefreshToken(reuse)).toEqual({ outcome: 'reused' })
        expect(await store.rotateRefreshToken(reuse)).toEqual({ outcome: 'reused' })
      })

      it('R108: rotation does not touch what was granted', async () => {
        await openFamily()
        await store.rotateRefreshToken(rotate(0))
        const { scopes, resource, clientId, userId, endsAt } = aGrant()
        expect(await grant()).toMatchObject({ scopes, resource, clientId, userId, endsAt })
      })

      it('R111: a family without refresh tokens rotates nothing', async () => {
        const { refresh: _, ...withoutRefresh } = redeem()
        await openFamily({}, withoutRefresh as ReturnType<typeof redeem>)
        expect(await store.rotateRefreshToken(rotate(0))).toEqual({ outcome: 'unknown' })
        expect((await grant())?.refresh).toBeUndefined()
        expect(await grant(now + 900), 'ends with its access token').toBeUndefined()
      })
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

    describe('connections', () => {
      const key = { userId: 'user', provider: 'google', account: 'default' }
      const put = (over: Partial<ConnectionWrite> = {}) =>
        store.putConnection({ record: aConnection(over), now })

      it('counts generations, and finds what was written last until its end', async () => {
        expect(await put()).toBe(1)
        const second = aConnection({ sealed: 'second' })
        expect(await store.putConnection({ record: second, now })).toBe(2)
        expect(await store.findConnection({ ...key, now: now + 86_399 })).toEqual({
          ...second,
          generation: 2,
        })
        expect(await store.findConnection({ ...key, now: now + 86_400 })).toBeUndefined()
      })

      it('a refresh writes only over the generation it began with; of 20, one', async () => {
        await put()
        const outcomes = await Promise.all(
          times(20, () => store.replaceConnection({ record: aConnection(), generation: 1, now })),
        )
        expect(tally(outcomes)).toEqual({ replaced: 1, stale: 19 })
        expect((await store.findConnection({ ...key, now }))?.generation).toBe(2)
      })

      it('keeps what is known of its failures and its end', async () => {
        const record = aConnection({
          consentEndsAt: now + 7200,
          failure: { errorClass: 'transient', at: now, count: 3, nextAttemptAt: now + 4 },
          missingScopes: ['mail'],
          endedAt: now,
          endReason: 'lost',
        })
        await store.putConnection({ record, now })
        expect(await store.findConnection({ ...key, now })).toEqual({ ...record, generation: 1 })
      })

      it('R164: a write whose reply was lost is sent again and counts once', async () => {
        const record = aConnection({
          failure: { errorClass: 'transient', at: now, count: 3, nextAttemptAt: now + 4 },
        })
        expect(await store.putConnection({ record, now })).toBe(1)
        expect(await store.putConnection({ record, now })).toBe(1)
        const refreshed = aConnection()
        expect(await store.replaceConnection({ record: refreshed, generation: 1, now })).toBe('replaced')
        expect(await store.replaceConnection({ record: refreshed, generation: 1, now })).toBe('replaced')
        expect((await store.findConnection({ ...key, now }))?.generation).toBe(2)
      })

      it('R180: a refresh that began before the user disconnected and connected again writes nothing', async () => {
        const generation = await put()
        await store.deleteConnection({ ...key, now })
        expect(await store.findConnection({ ...key, now })).toBeUndefined()
        expect(await store.replaceConnection({ record: aConnection(), generation, now })).toBe('stale')
        await put({ sealed: 'another account' })
        expect(await store.replaceConnection({ record: aConnection(), generation, now })).toBe('stale')
        expect((await store.findConnection({ ...key, now }))?.sealed).toBe('another account')
      })

      it('keeps users, providers and accounts apart, whatever they are called', async () => {
        await put({ provider: 'b', account: 'c' })
        for (const userId of hostileIds) await put({ userId, provider: 'a', account: 'b' })
        for (const userId of hostileIds) {
          const found = await store.listConnections({ userId, now })
          expect(found.map(connection => connection.userId)).toEqual([userId])
        }
        expect(
          await store.findConnection({ userId: 'user', provider: 'a', account: 'b', now }),
        ).toBeUndefined()
      })

      const findOf = (accountHash: string, at = now) =>
        store
          .findConnectionsByAccount({ accountHash, now: at })
          .then(found =>
            found.map(({ userId, provider, account }) => `${userId} ${provider} ${account}`).sort(),
          )

      it("finds whose connections an account's are, of all users, dead ones too", async () => {
        expect(await findOf('ada')).toEqual([])
        await put({ accountHash: 'ada' })
        await put({ accountHash: 'ada', userId: 'another', account: 'work', state: 'dead' })
        await put({ accountHash: 'bob', account: 'second' })
        await put({ account: 'of an earlier version' })
        expect(await findOf('ada')).toEqual(['another google work', 'user google default'])
        expect(await store.findConnectionsByAccount({ accountHash: 'bob', now })).toEqual([
          await store.findConnection({ ...key, account: 'second', now }),
        ])
      })

      it('finds a connection by the account it is of now, and no longer by the one it was of', async () => {
        await put({ accountHash: 'ada' })
        await put({ accountHash: 'bob' })
        expect([await findOf('ada'), await findOf('bob')]).toEqual([[], ['user google default']])
        const record = aConnection({ accountHash: 'ada' })
        expect(await store.replaceConnection({ record, generation: 2, now })).toBe('replaced')
        expect([await findOf('ada'), await findOf('bob')]).toEqual([['user google default'], []])
        const late = aConnection({ accountHash: 'bob' })
        expect(await store.replaceConnection({ record: late, generation: 1, now })).toBe('stale')
        expect([await findOf('ada'), await findOf('bob')]).toEqual([['user google default'], []])
      })

      it('finds by the account until the connection ends or is deleted, and as long as it is renewed', async () => {
        await put({ accountHash: 'ada', expiresAt: now + 60 })
        await put({ accountHash: 'ada', expiresAt: now + 90, account: 'second' })
        await put({ accountHash: 'ada', expiresAt: now + 90, account: 'third' })
        await store.deleteConnection({ ...key, account: 'third', now })
        expect(await findOf('ada', now + 59)).toEqual(['user google default', 'user google second'])
        expect(await findOf('ada', now + 60)).toEqual(['user google second'])
        const record = aConnection({ accountHash: 'ada', account: 'second', expiresAt: now + 600 })
        await store.replaceConnection({ record, generation: 1, now: now + 30 })
        expect(await findOf('ada', now + 599)).toEqual(['user google second'])
        expect(await findOf('ada', now + 600)).toEqual([])
        // A shorter life than it had.
        await put({ accountHash: 'ada', expiresAt: now + 90, account: 'second' })
        expect(await findOf('ada', now + 90)).toEqual([])
      })

      it('R169: names made to break out of a list are found as they are', async () => {
        for (const id of hostileIds) await put({ accountHash: id, userId: id, account: id })
        for (const id of hostileIds) expect(await findOf(id)).toEqual([`${id} google ${id}`])
      })

      /** The connections of all pages, by whose they are; `between` runs after each page. */
      const walk = async (limit: number, between: () => Promise<unknown> = async () => {}) => {
        const found: string[] = []
        let cursor: string | undefined
        do {
          const page = await store.listAllConnections({ cursor, limit, now })
          found.push(...page.connections.map(({ userId, provider }) => `${userId} ${provider}`))
          cursor = page.cursor
          await between()
        } while (cursor !== undefined)
        return new Set(found)
      }

      it.each([1, 3, 7, 100])('R178: in pages of %i every connection of every user is found', async limit => {
        expect(await walk(limit)).toEqual(new Set())
        const names = times(7, i => ({ userId: `user-${i % 3}`, provider: `provider-${i}` }))
        for (const name of names) await put(name)
        await put({ userId: 'ended', expiresAt: now })
        await put({ userId: 'gone' })
        await store.deleteConnection({ ...key, userId: 'gone', now })
        await store.putGrant({ record: aGrant(), now })
        expect(await walk(limit)).toEqual(new Set(names.map(name => `${name.userId} ${name.provider}`)))
      })

      it('R178: a connection that is there all the time is found, whatever comes, goes and changes meanwhile', async () => {
        for (const i of times(6, i => i)) await put({ userId: `stays-${i}` })
        for (const i of times(6, i => i)) await put({ userId: `goes-${i}` })
        let step = 0
        const found = await walk(2, async () => {
          await store.deleteConnection({ ...key, userId: `goes-${step % 6}`, now })
          await put({ userId: `stays-${step % 6}` })
          // Comes to an end, so that the walk does too.
          if (step < 20) await put({ userId: `comes-${step}` })
          step++
        })
        expect([...found]).toEqual(expect.arrayContaining(times(6, i => `stays-${i} google`)))
      })
    })

    describe('leases', () => {
      type Claim = Parameters<Store['claimLease']>[0]
      const lease = { kind: 'connection_refresh', id: 'id' } as const
      const claim = (over: Partial<Claim> = {}) =>
        store.claimLease({
          ...lease,
          owner: `owner-${counter++}`,
          endsAt: now + 30,
          takesOver: true,
          now,
          ...over,
        })
      const claimed = { outcome: 'claimed', isTakenOver: false }

      it('R180: of 50 parallel claims, one succeeds; the others learn until when', async () => {
        const outcomes = await Promise.all(times(50, () => claim()))
        expect(tally(outcomes.map(({ outcome }) => outcome))).toEqual({ claimed: 1, held: 49 })
        expect(outcomes).toContainEqual({ outcome: 'held', endsAt: now + 30 })
      })

      it('R180: what was given back can be claimed at once, and only its owner gives it back', async () => {
        await claim({ owner: 'a' })
        await store.releaseLease({ ...lease, owner: 'b', now })
        expect(await claim({ owner: 'b' })).toEqual({ outcome: 'held', endsAt: now + 30 })
        await store.releaseLease({ ...lease, owner: 'a', now })
        expect(await claim({ owner: 'b' })).toEqual(claimed)
        await store.releaseLease({ ...lease, owner: 'a', now })
        expect(await claim({ owner: 'c' })).toEqual({ outcome: 'held', endsAt: now + 30 })
      })

      it('R180: after its end it is taken over, and whoever does knows that it was not given back', async () => {
        await claim({ owner: 'a' })
        expect(await claim({ now: now + 29 })).toMatchObject({ outcome: 'held' })
        const late = { now: now + 30, endsAt: now + 60 }
        expect(await claim({ ...late, takesOver: false })).toEqual({ outcome: 'abandoned' })
        expect(await claim({ ...late, owner: 'b' })).toEqual({ outcome: 'claimed', isTakenOver: true })
        // The one that was late gives back nothing of its successor's.
        await store.releaseLease({ ...lease, owner: 'a', now: now + 30 })
        expect(await claim({ ...late, owner: 'c' })).toEqual({ outcome: 'held', endsAt: now + 60 })
      })

      it('R181: an owner that comes back late can still say that it is done', async () => {
        await claim({ owner: 'a' })
        await store.releaseLease({ ...lease, owner: 'a', now: now + 40 })
        expect(await claim({ now: now + 40, endsAt: now + 70, takesOver: false })).toEqual(claimed)
      })

      it('that it was not given back is forgotten after ten minutes', async () => {
        await claim()
        const late = { endsAt: now + 700, takesOver: false }
        expect(await claim({ ...late, now: now + 629 })).toEqual({ outcome: 'abandoned' })
        expect(await claim({ ...late, now: now + 630 })).toEqual(claimed)
      })

      it('R164: a claim whose reply was lost is sent again and still succeeds', async () => {
        expect(await claim({ owner: 'a' })).toEqual(claimed)
        expect(await claim({ owner: 'a' })).toEqual(claimed)
        const late = { owner: 'b', now: now + 30, endsAt: now + 60 }
        for (const _ of [1, 2]) {
          expect(await claim(late)).toEqual({ outcome: 'claimed', isTakenOver: true })
        }
      })

      it('keeps ids apart, whatever they are called', async () => {
        for (const id of hostileIds) expect(await claim({ id, owner: id })).toEqual(claimed)
        for (const id of hostileIds) await store.releaseLease({ ...lease, id, owner: id, now })
        for (const id of hostileIds) expect(await claim({ id })).toEqual(claimed)
      })
    })

    describe('circuits', () => {
      const id = 'google client'
      const replace = (generation: number, over: Partial<CircuitWrite> = {}, at = now) =>
        store.replaceCircuit({ record: aCircuit(over), generation, now: at })

      it('is absent until one is written, counts generations, and ends', async () => {
        expect(await store.findCircuit({ id, now })).toBeUndefined()
        const first = aCircuit()
        expect(await store.replaceCircuit({ record: first, generation: 0, now })).toBe('replaced')
        expect(await store.findCircuit({ id, now })).toEqual({ ...first, generation: 1 })
        expect(await replace(1, { state: 'half_open' })).toBe('replaced')
        expect(await store.findCircuit({ id, now })).toMatchObject({ state: 'half_open', generation: 2 })
        expect(await store.findCircuit({ id, now: now + 3600 })).toBeUndefined()
        expect(await replace(0, { expiresAt: now + 7200 }, now + 3600)).toBe('replaced')
      })

      it('R182: of 20 processes that want to probe an open one, one may', async () => {
        await replace(0)
        const outcomes = await Promise.all(times(20, () => replace(1, { state: 'half_open' })))
        expect(tally(outcomes)).toEqual({ replaced: 1, stale: 19 })
        expect(await replace(0)).toBe('stale')
      })

      it('R164: a write whose reply was lost is sent again and counts once', async () => {
        const record = aCircuit()
        expect(await store.replaceCircuit({ record, generation: 0, now })).toBe('replaced')
        expect(await store.replaceCircuit({ record, generation: 0, now })).toBe('replaced')
        expect(await store.findCircuit({ id, now })).toMatchObject({ generation: 1 })
      })

      it('keeps ids apart, whatever they are called', async () => {
        for (const hostile of hostileIds) expect(await replace(0, { id: hostile })).toBe('replaced')
        for (const hostile of hostileIds) {
          expect((await store.findCircuit({ id: hostile, now }))?.id).toBe(hostile)
        }
      })
    })

    describe('tasks', () => {
      const queue = { kind: 'refresh', provider: 'google' } as const
      const put = (over: Partial<Task> = {}, replaces = true) =>
        store.putTask({ record: aTask(over), replaces, now })
      const claim = (over: Partial<Parameters<Store['claimTasks']>[0]> = {}) =>
        store.claimTasks({
          ...queue,
          owner: `owner-${counter++}`,
          limit: 10,
          until: now + 60,
          now,
          ...over,
        })
      const ids = (tasks: readonly Task[]) => tasks.map(({ id }) => id)
      const replace = (over: Partial<Parameters<Store['replaceTask']>[0]>) =>
        store.replaceTask({ ...queue, id: 'task', writtenBy: '', next: undefined, now, ...over })

      it('R180: what is due is claimed once, longest due first, and by nobody else until the claim ends', async () => {
        for (const [i, dueAt] of [now, now - 20, now + 1, now - 10].entries()) {
          await put({ id: `task-${i}`, dueAt })
        }
        expect(ids(await claim({ limit: 2 }))).toEqual(['task-1', 'task-3'])
        expect(ids(await claim())).toEqual(['task-0'])
        expect(await claim({ now: now + 1, until: now + 90 })).toMatchObject([{ id: 'task-2' }])
        expect(ids(await claim({ now: now + 60, until: now + 120 })).sort()).toEqual([
          'task-0',
          'task-1',
          'task-3',
        ])
      })

      it('R180: of 20 processes that claim the same 30 tasks, each gets others', async () => {
        for (const i of times(30, i => i)) await put({ id: `task-${i}` })
        const claims = await Promise.all(times(20, () => claim({ limit: 3 })))
        const all = claims.flatMap(ids)
        expect(all).toHaveLength(30)
        expect(new Set(all).size).toBe(30)
      })

      it('a claim gives back all that was written, named after its owner', async () => {
        const record = aTask({ attempts: 3, sealed: 'sealed', accessEndsAt: 0 })
        await store.putTask({ record, replaces: false, now })
        expect(await claim({ owner: 'owner' })).toEqual([{ ...record, writtenBy: 'owner', dueAt: now + 60 }])
      })

      it('R164: a claim whose reply was lost is sent again and gets the same tasks', async () => {
        for (const i of times(5, i => i)) await put({ id: `task-${i}`, dueAt: now - i })
        const first = await claim({ owner: 'owner', limit: 2 })
        expect(ids(await claim({ owner: 'owner', limit: 2 })).sort()).toEqual(ids(first).sort())
        expect(await claim()).toHaveLength(3)
        expect(ids(await claim({ owner: 'owner', limit: 2 })).sort()).toEqual(ids(first).sort())
      })

      it('one that is there stays as it is, unless it is to be replaced', async () => {
        expect(await put({ dueAt: now + 5 }, false)).toBe('stored')
        expect(await put({}, false)).toBe('exists')
        expect(await claim()).toEqual([])
        expect(await put({}, true)).toBe('stored')
        expect(ids(await claim())).toEqual(['task'])
      })

      it('whoever holds a claim puts it off or ends it; who was replaced meanwhile does neither', async () => {
        await put()
        const [task] = await claim({ owner: 'a' })
        const next = { ...task!, writtenBy: 'later', dueAt: now + 30, attempts: 1 }
        expect(await replace({ writtenBy: 'a', next })).toBe('replaced')
        expect(await claim({ now: now + 29, until: now + 90 })).toEqual([])
        expect(await replace({ writtenBy: 'a', next: { ...next, writtenBy: 'too late' } })).toBe('stale')
        expect(await replace({ writtenBy: 'a' })).toBe('stale')
        const [again] = await claim({ owner: 'b', now: now + 30, until: now + 90 })
        expect(again).toMatchObject({ attempts: 1 })
        expect(await replace({ writtenBy: 'b' })).toBe('replaced')
        expect(await claim({ now: now + 1000, until: now + 1060 })).toEqual([])
        expect(await replace({ writtenBy: 'b', next })).toBe('stale')
      })

      it('R164: a change whose reply was lost is sent again and counts once', async () => {
        const record = aTask()
        for (const _ of [1, 2]) expect(await store.putTask({ record, replaces: false, now })).toBe('stored')
        const [task] = await claim({ owner: 'a' })
        const next = { ...task!, writtenBy: 'next', dueAt: now + 5 }
        for (const _ of [1, 2]) expect(await replace({ writtenBy: 'a', next })).toBe('replaced')
        for (const _ of [1, 2]) expect(await replace({ writtenBy: 'next' })).toBe('replaced')
      })

      it('R170: one that has ended is never claimed', async () => {
        await put({ expiresAt: now + 10, dueAt: now + 5 })
        await put({ id: 'stays', dueAt: now + 5 })
        expect(ids(await claim({ now: now + 10, until: now + 70 }))).toEqual(['stays'])
        const again = { record: aTask({ expiresAt: now + 100 }), replaces: false, now: now + 10 }
        expect(await store.putTask(again)).toBe('stored')
      })

      it('keeps kinds, providers and ids apart, whatever they are called', async () => {
        for (const id of hostileIds) {
          await put({ id, provider: id })
          await put({ id, provider: id, kind: 'revocation' })
          await put({ id })
        }
        for (const provider of hostileIds) {
          expect(ids(await claim({ provider }))).toEqual([provider])
          expect(ids(await claim({ provider, kind: 'revocation' }))).toEqual([provider])
          expect(await claim({ provider, kind: 'expiry_notice' })).toEqual([])
        }
        expect(ids(await claim({ limit: 100 })).sort()).toEqual([...hostileIds].sort())
      })

      it.each([1, 3, 100])(
        'R178: in pages of %i every task of a kind is found, claimed or not',
        async limit => {
          const names = times(7, i => ({ id: `task-${i}`, provider: `provider-${i % 3}` }))
          for (const name of names) await put({ ...name, kind: 'revocation', sealed: 'sealed' })
          await put()
          await put({ kind: 'revocation', id: 'ended', expiresAt: now })
          await claim({ kind: 'revocation', provider: 'provider-1' })
          const found = new Set<string>()
          let cursor: string | undefined
          do {
            const page = await store.listTasks({ kind: 'revocation', cursor, limit, now })
            for (const { id } of page.tasks) found.add(id)
            cursor = page.cursor
          } while (cursor !== undefined)
          expect([...found].sort()).toEqual(names.map(({ id }) => id))
        },
      )
    })

    describe('signing keys', () => {
      const put = (record: SigningKey, newestKid: string | undefined) =>
        store.putSigningKey({ record, newestKid, now })

      it('R174: of processes that make the first key at once, one stores its own', async () => {
        const outcomes = await Promise.all(times(10, i => put(aSigningKey(`kid-${i}`), undefined)))
        expect(tally(outcomes)).toEqual({ stored: 1, stale: 9 })
        expect(await store.listSigningKeys({ now })).toHaveLength(1)
      })

      it('lists keys oldest first, and a retired one no more', async () => {
        await put(aSigningKey('old', { retiresAt: now + 100 }), undefined)
        expect(await put(aSigningKey('new'), undefined)).toBe('stale')
        // Another machine's clock may be behind: the order of keys is the order in which they came.
        expect(await put(aSigningKey('new', { createdAt: now - 5 }), 'old')).toBe('stored')
        expect(await put(aSigningKey('new', { createdAt: now - 5 }), 'old'), 'sent again').toBe('stored')
        const kids = async (at: number) => (await store.listSigningKeys({ now: at })).map(({ kid }) => kid)
        expect(await kids(now + 99)).toEqual(['old', 'new'])
        expect(await kids(now + 100)).toEqual(['new'])
      })

      it('R174: of processes that publish the next key at once, one stores its own', async () => {
        await put(aSigningKey('old'), undefined)
        const outcomes = await Promise.all(times(10, i => put(aSigningKey(`kid-${i}`), 'old')))
        expect(tally(outcomes)).toEqual({ stored: 1, stale: 9 })
      })

      it('R174: a key that is retired stays until its end, and stays in its place', async () => {
        await put(aSigningKey('old'), undefined)
        await put(aSigningKey('new'), 'old')
        const retire = (over: Partial<Parameters<Store['retireSigningKey']>[0]> = {}) =>
          store.retireSigningKey({ kid: 'old', retiresAt: now + 100, now, ...over })
        expect(tally(await Promise.all(times(10, () => retire())))).toEqual({ retired: 1, already: 9 })
        expect(await store.listSigningKeys({ now })).toEqual([
          aSigningKey('old', { retiresAt: now + 100 }),
          aSigningKey('new'),
        ])
        expect(await retire({ retiresAt: now + 101 }), 'an end is not put off').toBe('already')
        expect(await retire({ retiresAt: now + 50 }), 'but brought forward').toBe('retired')
        expect(await store.listSigningKeys({ now: now + 49 })).toHaveLength(2)
        expect(await store.listSigningKeys({ now: now + 50 })).toEqual([aSigningKey('new')])
        expect(await retire({ now: now + 50 })).toBe('unknown')
        expect(await retire({ kid: 'never' })).toBe('unknown')
        expect(await put(aSigningKey('next'), 'new'), 'the newest is who it was').toBe('stored')
      })

      it('R178: of processes that seal a key again at once, one does, and changes nothing else', async () => {
        await put(aSigningKey('old', { retiresAt: now + 100 }), undefined)
        await put(aSigningKey('new'), 'old')
        const reseal = (sealed: string, over: Partial<Parameters<Store['resealSigningKey']>[0]> = {}) =>
          store.resealSigningKey({ kid: 'old', sealed, expectedSealed: 'sealed', now, ...over })
        const outcomes = await Promise.all(times(10, i => reseal(`again-${i}`)))
        expect(tally(outcomes)).toEqual({ resealed: 1, stale: 9 })
        const sealed = `again-${outcomes.indexOf('resealed')}`
        const keys = [aSigningKey('old', { retiresAt: now + 100, sealed }), aSigningKey('new')]
        expect(await store.listSigningKeys({ now })).toEqual(keys)
        expect(await reseal(sealed), 'sent again').toBe('resealed')
        expect(await store.listSigningKeys({ now })).toEqual(keys)
        expect(await reseal('x', { kid: 'never' })).toBe('stale')
        expect(await reseal('x', { expectedSealed: sealed, now: now + 100 }), 'retired').toBe('stale')
      })

      it('R178: sealing a key again does not bring it back when it is retired meanwhile', async () => {
        await put(aSigningKey('kid'), undefined)
        await Promise.all([
          store.resealSigningKey({ kid: 'kid', sealed: 'again', expectedSealed: 'sealed', now }),
          store.retireSigningKey({ kid: 'kid', retiresAt: now + 100, now }),
        ])
        expect(await store.listSigningKeys({ now })).toEqual([
          aSigningKey('kid', { sealed: 'again', retiresAt: now + 100 }),
        ])
      })
    })

    describe('single use', () => {
      const claim = (over: Partial<Parameters<Store['claimSingleUse']>[0]> = {}) =>
        store.claimSingleUse({
          kind: 'jti',
          idHash: 'id',
          expiresAt: now + 60,
          now,
          ...operation(),
          ...over,
        })

      it('R163: of 50 parallel claims of one id, one succeeds', async () => {
        expect(tally(await Promise.all(times(50, () => claim())))).toEqual({ claimed: 1, used: 49 })
      })

      it('R164: a claim whose reply was lost is sent again and still succeeds', async () => {
        const once = operation()
        expect(await claim(once)).toBe('claimed')
        expect(await claim(once)).toBe('claimed')
        expect(await claim()).toBe('used')
      })

      it('keeps kinds apart, and remembers until the end', async () => {
        expect(await claim()).toBe('claimed')
        expect(await claim({ kind: 'connect-link' })).toBe('claimed')
        expect(await claim({ now: now + 59 })).toBe('used')
        expect(await claim({ now: now + 60, expiresAt: now + 120 })).toBe('claimed')
      })
    })

    describe('sessions', () => {
      const append = (position: number, over: Partial<Parameters<Store['appendEvent']>[0]> = {}) =>
        store.appendEvent({
          stream: 'session:stream',
          position,
          sealed: `event ${position}`,
          limit: 3,
          expiresAt: now + 60,
          now,
          ...over,
        })
      const read = (over: Partial<Parameters<Store['readEvents']>[0]> = {}) =>
        store.readEvents({ stream: 'session:stream', after: 0, now, ...over })
      const events = (...positions: number[]) =>
        positions.map(position => ({ position, sealed: `event ${position}` }))

      it('a session that was ended stays ended for as long as its id is valid', async () => {
        expect(await store.isSessionEnded({ idHash: 'id', now })).toBe(false)
        await store.putEndedSession({ idHash: 'id', expiresAt: now + 60, now })
        expect(await store.isSessionEnded({ idHash: 'id', now: now + 59 })).toBe(true)
        expect(await store.isSessionEnded({ idHash: 'id', now: now + 60 })).toBe(false)
        expect(await store.isSessionEnded({ idHash: 'other', now })).toBe(false)
      })

      it('a client that comes back gets the events behind the last one it saw, in order', async () => {
        await append(2)
        await append(1)
        await append(3)
        expect(await read()).toEqual(events(1, 2, 3))
        expect(await read({ after: 2 })).toEqual(events(3))
        expect(await read({ after: 3 })).toEqual([])
      })

      it('keeps streams apart', async () => {
        await append(1)
        for (const stream of hostileIds) await append(1, { stream, sealed: stream })
        expect(await read()).toEqual(events(1))
        for (const stream of hostileIds) {
          expect(await read({ stream })).toEqual([{ position: 1, sealed: stream }])
        }
      })

      it('R171: keeps the last events only, whatever comes', async () => {
        for (let position = 1; position <= 10; position++) await append(position)
        expect(await read()).toEqual(events(8, 9, 10))
        expect(await read({ after: 9 })).toEqual(events(10))
      })

      it('R164: an event sent again is there once, and none takes the place of another', async () => {
        await append(1)
        await append(1)
        await append(1, { sealed: 'another' })
        expect(await read()).toEqual(events(1))
      })

      it('an event whose end has passed is gone', async () => {
        await append(1)
        await append(2, { expiresAt: now + 90 })
        expect(await read({ now: now + 60 })).toEqual(events(2))
        expect(await read({ now: now + 90 })).toEqual([])
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
        await store.putEndedSession({ idHash: id, expiresAt: now + 60, now })
        const event = { stream: id, position: 1, sealed: 'event', limit: 9 }
        await store.appendEvent({ ...event, expiresAt: now + 60, now })
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
      ]
      for (const step of steps) await expect(step()).rejects.toThrow(StoreUnavailableError)
    })
  })
}
