import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createFileStore } from './file-store.ts'
import { createMemoryStore } from './memory-store.ts'
import type { RotateOutcome, Store } from './store.ts'

/** What can happen to one token family; `token` counts back from the newest one that was ever minted. */
type Action =
  | { type: 'redeem' }
  | { type: 'rotate'; token: number; graceSeconds: number; parallel: number }
  | { type: 'guess' }
  | { type: 'repeat' }
  | { type: 'revoke' }
  | { type: 'wait'; seconds: number }
  | { type: 'cleanup' }

const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 1, arbitrary: fc.constant<Action>({ type: 'redeem' }) },
  {
    weight: 8,
    arbitrary: fc.record({
      type: fc.constant('rotate' as const),
      token: fc.oneof(
        { weight: 4, arbitrary: fc.constant(0) },
        { weight: 2, arbitrary: fc.nat(2) },
        fc.nat(6),
      ),
      graceSeconds: fc.constantFrom(0, 10),
      parallel: fc.constantFrom(1, 1, 3),
    }),
  },
  { weight: 1, arbitrary: fc.constant<Action>({ type: 'guess' }) },
  { weight: 2, arbitrary: fc.constant<Action>({ type: 'repeat' }) },
  { weight: 1, arbitrary: fc.constant<Action>({ type: 'revoke' }) },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('wait' as const),
      seconds: fc.constantFrom(1, 9, 10, 60, 3_600),
    }),
  },
  { weight: 1, arbitrary: fc.constant<Action>({ type: 'cleanup' }) },
)
const actions = fc.array(action, { maxLength: 40 })

const start = 1_900_000_000
const idleSeconds = 7_200
const absoluteSeconds = 20_000

/**
 * A family as its user would describe it: a chain of tokens of which the last one counts. Written without a look at
 * the store's rules; where the two disagree, one of them is wrong.
 */
function createModel() {
  const chain = ['token-0']
  let rotatedAt = Number.NEGATIVE_INFINITY
  let idleEndsAt = Math.min(start + idleSeconds, start + absoluteSeconds)
  let accessEndsAt = start + 900
  let isRevoked = false
  return {
    chain,
    get isRevoked() {
      return isRevoked
    },
    isGone: (now: number) => now >= Math.max(start + 600, idleEndsAt, accessEndsAt),
    revoke: () => {
      isRevoked = true
    },
    rotate(token: string, successor: string, graceSeconds: number, now: number): RotateOutcome['outcome'] {
      if (this.isGone(now)) return 'unknown'
      if (isRevoked) return 'revoked'
      const age = chain.length - 1 - chain.indexOf(token)
      const isInGrace = age === 1 && graceSeconds > 0 && now - rotatedAt < graceSeconds
      if (age > 0 && !isInGrace) {
        isRevoked = true
        return 'reused'
      }
      if (now >= idleEndsAt) return 'expired'
      if (age === 1) return 'grace'
      chain.push(successor)
      rotatedAt = now
      idleEndsAt = Math.min(now + idleSeconds, start + absoluteSeconds)
      accessEndsAt = Math.max(accessEndsAt, now + 900)
      return 'rotated'
    },
  }
}

/** Does all the actions to a store, and checks it against the model; tells everything the store answered. */
async function play(store: Store, script: readonly Action[]): Promise<unknown[]> {
  const model = createModel()
  const answers: unknown[] = []
  let now = start
  let counter = 0
  let last: (() => Promise<unknown>) | undefined
  let lastAnswer: unknown
  let lastAt = start
  const step = async <T>(send: () => Promise<T>): Promise<T> => {
    const answer = await send()
    last = send
    lastAnswer = answer
    lastAt = now
    answers.push(answer)
    return answer
  }
  const rotation = (presentedHash: string, graceSeconds: number, genuine = true) => {
    const id = `token-${++counter}`
    return {
      id: 'family',
      presentedHash,
      genuine,
      successorHash: id,
      replay: `reply with ${id}`,
      graceSeconds,
      idleEndsAt: now + idleSeconds,
      accessEndsAt: Math.min(now + 900, start + absoluteSeconds),
      operationId: `rotation-${id}`,
      now,
    }
  }
  const redemption = (operationId: string) => ({
    id: 'family',
    codeHash: 'code',
    refresh: { hash: 'token-0', idleEndsAt: now + idleSeconds },
    accessEndsAt: now + 900,
    operationId,
    now,
  })

  await store.putGrant({
    record: {
      version: 1,
      id: 'family',
      userId: 'user',
      clientId: 'client',
      redirectUri: 'https://client.example/',
      resource: 'https://server.example/mcp',
      scopes: ['a'],
      authTime: now,
      amr: [],
      createdAt: now,
      endsAt: start + absoluteSeconds,
      accessEndsAt: 0,
      code: { hash: 'code', challenge: 'challenge', expiresAt: now + 600, failures: 0 },
    },
    now,
  })
  expect(await store.redeemCode(redemption('first'))).toBe('redeemed')

  for (const action of script) {
    switch (action.type) {
      case 'redeem': {
        const again = redemption(`again-${++counter}`)
        const outcome = await step(() => store.redeemCode(again))
        if (model.isGone(now)) expect(outcome).toBe('unknown')
        else expect(outcome).toBe(model.isRevoked ? 'revoked' : 'replayed')
        model.revoke()
        break
      }
      case 'rotate': {
        const token = model.chain.at(-1 - (action.token % model.chain.length))!
        const sent = Array.from({ length: action.parallel }, () => rotation(token, action.graceSeconds))
        const results = await Promise.all(sent.map(one => step(() => store.rotateRefreshToken(one))))
        const expected = sent.map(one => model.rotate(token, one.successorHash, action.graceSeconds, now))
        expect(results.map(({ outcome }) => outcome)).toEqual(expected)
        for (const result of results) {
          if (result.outcome === 'grace') expect(result.replay).toBe(`reply with ${model.chain.at(-1)}`)
        }
        break
      }
      case 'guess': {
        const before = await store.findGrant({ id: 'family', now })
        expect((await store.rotateRefreshToken(rotation('guess', 10, false))).outcome).toBe('unknown')
        expect(await store.findGrant({ id: 'family', now })).toEqual(before)
        break
      }
      // A reply was lost, and the very same step is sent again, within the two minutes in which that can happen.
      case 'repeat': {
        const before = await store.findGrant({ id: 'family', now })
        if (last && now - lastAt < 120) expect(await last()).toEqual(lastAnswer)
        expect(await store.findGrant({ id: 'family', now })).toEqual(before)
        break
      }
      case 'revoke': {
        const revocation = { id: 'family', reason: 'user' as const, operationId: `revoke-${++counter}`, now }
        const outcome = await step(() => store.revokeGrant(revocation))
        if (model.isGone(now)) expect(outcome).toBe('unknown')
        else expect(outcome).toBe(model.isRevoked ? 'already' : 'revoked')
        model.revoke()
        break
      }
      case 'wait':
        now += action.seconds
        break
      case 'cleanup':
        await store.cleanupExpired({ now })
        break
    }
    const grant = await store.findGrant({ id: 'family', now })
    answers.push(grant)
    if (!grant) continue
    expect(grant.revokedAt !== undefined, 'a revoked family stays revoked').toBe(model.isRevoked)
    expect(grant.refresh?.currentHash, 'one head').toBe(model.chain.at(-1))
    expect(grant.refresh?.idleEndsAt).toBeLessThanOrEqual(start + absoluteSeconds)
  }

  // However it went: of all tokens ever minted, at most one can be traded in.
  const minted = Array.from({ length: counter + 1 }, (_, i) => `token-${i}`)
  let traded = 0
  for (const token of [...minted].reverse()) {
    const { outcome } = await store.rotateRefreshToken(rotation(token, 0))
    if (outcome === 'rotated') traded++
  }
  expect(traded).toBeLessThanOrEqual(model.isRevoked ? 0 : 1)
  return answers
}

async function withFileStores<T>(count: number, use: (stores: Store[]) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-property-'))
  const stores = Array.from({ length: count }, () => createFileStore({ directory }))
  try {
    return await use(stores)
  } finally {
    for (const store of stores) await store.close()
    rmSync(directory, { recursive: true })
  }
}

/** Sends each step to the next of several stores, as a load balancer would. */
function alternate(stores: Store[]): Store {
  let next = 0
  return new Proxy(stores[0]!, {
    get: (_, name) => Reflect.get(stores[next++ % stores.length]!, name),
  })
}

describe('a token family, whatever happens to it', () => {
  it('R104, R141: has one live token at most, and never comes back to life (memory)', async () => {
    await fc.assert(
      fc.asyncProperty(actions, async script => {
        await play(createMemoryStore(), script)
      }),
      { numRuns: 500 },
    )
  })

  it('R163: has the same fate in the file store, also when processes take turns', async () => {
    await fc.assert(
      fc.asyncProperty(actions, fc.constantFrom(1, 2), async (script, processes) => {
        const inMemory = await play(createMemoryStore(), script)
        const inFile = await withFileStores(processes, stores => play(alternate(stores), script))
        expect(inFile).toEqual(inMemory)
      }),
      { numRuns: 60 },
    )
  }, 60_000)
})
