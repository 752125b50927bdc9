import fc from 'fast-check'
import { expect, it } from 'vitest'
import { systemRandom } from '../runtime.ts'
import { createMemoryStore } from '../storage/memory-store.ts'
import { createSealer } from './sealer.ts'
import { createSecretRing } from './secret-ring.ts'
import type { SigningAlgorithm } from './signing-algorithm.ts'
import { createSigningKeys } from './signing-keys.ts'

const day = 86_400
const tokenSeconds = day
const secret = 'a secret that is long enough to be one'

/** Processes of a fleet: one is configured with another algorithm, and no two clocks agree. */
const fleet: readonly { algorithm: SigningAlgorithm; skewSeconds: number }[] = [
  { algorithm: 'ES256', skewSeconds: 0 },
  { algorithm: 'ES256', skewSeconds: 120 },
  { algorithm: 'ES256', skewSeconds: -120 },
  { algorithm: 'EdDSA', skewSeconds: 30 },
]

const step = fc.record({
  seconds: fc.oneof(
    { weight: 3, arbitrary: fc.integer({ min: 5, max: 3600 }) },
    { weight: 3, arbitrary: fc.integer({ min: 3600, max: day }) },
    { weight: 1, arbitrary: fc.integer({ min: day, max: 120 * day }) },
  ),
  // Who is not asked for long has slept.
  signs: fc.uniqueArray(fc.nat(fleet.length - 1)),
  verifies: fc.uniqueArray(fc.nat(fleet.length - 1)),
  isScheduled: fc.integer({ min: 0, max: 9 }).map(n => n === 0),
})

it('R174: whoever signs, sleeps or rotates, whenever: every process has the key of every token until it ends', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async steps => {
      let now = 1_900_000_000
      const store = createMemoryStore()
      const processes = fleet.map(({ algorithm, skewSeconds }) => {
        const clock = () => now + skewSeconds
        const sealer = createSealer(createSecretRing([secret]), systemRandom)
        return { clock, keys: createSigningKeys({ store, sealer, algorithm, clock }) }
      })
      let tokens: { kid: string; endsAt: number }[] = []
      for (const { seconds, signs, verifies, isScheduled } of steps) {
        now += seconds
        for (const i of verifies) {
          const { clock, keys } = processes[i]!
          const found = await Promise.all(
            tokens.filter(({ endsAt }) => clock() < endsAt).map(({ kid }) => keys.find(kid)),
          )
          expect(found).not.toContain(undefined)
        }
        tokens = tokens.filter(({ endsAt }) => now - 120 < endsAt)
        const signed = await Promise.all(
          signs.map(async i => {
            const { clock, keys } = processes[i]!
            return { kid: (await keys.active()).kid, endsAt: clock() + tokenSeconds }
          }),
        )
        tokens.push(...signed)
        if (isScheduled) await Promise.all(processes.map(({ keys }) => keys.rotateIfDue()))
      }
      // Keys do not pile up: of each algorithm one that signs, one that comes, and those that go.
      expect((await store.listSigningKeys({ now })).length).toBeLessThanOrEqual(8)
    }),
    { numRuns: 120 },
  )
}, 30_000)
