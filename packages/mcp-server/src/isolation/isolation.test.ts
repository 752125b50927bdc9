import { Agent } from 'node:http'
import { createMemoryStore, developmentSignIn } from '@sallyport/oauth'
import { assert, asyncProperty, integer } from 'fast-check'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { createServer } from '../create-server.ts'
import { createTestClient } from '../sign-in.fixture.ts'
import { type Call, drawCalls, otherThan, users, type Who } from './calls.fixture.ts'
import { createHttpUser } from './http-user.fixture.ts'
import { roundsEra } from './rounds-era.fixture.ts'
import { sessionsEra } from './sessions-era.fixture.ts'
import { createRandom, createTurnstile } from './turnstile.fixture.ts'
import type { Era, World } from './world.fixture.ts'

const rounds = 1_000
/** How many rounds are under way at once, with a call of each user in each. */
const width = 10
/** Nothing here takes that long: whatever is still under way then has got lost. In milliseconds. */
const lostMs = 300_000

const eras = [
  ['2025-11-25', sessionsEra],
  ['2026-07-28', roundsEra],
] as const

it.each(eras)(
  'R160, R161: revision %s over HTTP: of two users with the same JSON-RPC ids, neither meets progress, logs, questions or cancellations of the other in 1000 interleaved rounds',
  (_, era) =>
    assert(
      asyncProperty(integer(), seed => playRounds(era, seed)),
      { numRuns: 1, endOnFailure: true },
    ),
  lostMs + 30_000,
)

async function playRounds(era: Era, seed: number): Promise<void> {
  const random = createRandom(seed)
  const calls = drawCalls(rounds, random)
  const secrets = { ada: `ada-${random()}`, bob: `bob-${random()}` }
  const turnstile = createTurnstile(random)
  const strange: unknown[] = []
  const names = new Map<string, Who>()
  /** JSON-RPC ids of the calls that run, and how often both users had one of the same. */
  const running: Record<Who, Set<unknown>> = { ada: new Set(), bob: new Set() }
  let together = 0
  const textOf: World['textOf'] = ({ who, round }, at) => `${secrets[who]} ${round}.${at}`

  const server = createServer({
    name: 'isolation',
    version: '1.0.0',
    port: 0,
    signIn: developmentSignIn(),
    store: createMemoryStore({ tenant: 'default' }),
    secrets: 'a-secret-for-tests-that-is-long-enough-0123456789',
    environment: {},
    logLevel: 'silent',
  })
  server.tool('work', {
    description: 'Does what was drawn for this round of this user',
    auth: {},
    input: z.object({ round: z.number() }),
    run: async ({ round }, { caller, elicit, log, progress, request, signal }) => {
      const who = names.get(caller.userId)
      const call = who && calls.get(round)?.[who]
      if (!call) throw new Error(`nobody's call: ${caller.userId} ${round}`)
      const { id } = request
      if (running[otherThan(who)].has(id)) together++
      running[who].add(id)
      const onAbort = () => {
        if (!call.isGivenUp) strange.push(`${call.name} was aborted, and its user had not given it up`)
        call.onAborted()
      }
      signal.addEventListener('abort', onAbort, { once: true })
      try {
        for (const [at, step] of call.steps.entries()) {
          const text = textOf(call, at)
          if (step === 'ask') {
            const { content } = await elicit({ message: text, schema: z.object({ word: z.string() }) })
            if (content?.word !== text) strange.push(`${call.name} was answered ${content?.word}`)
            continue
          }
          await turnstile.pass(call.name)
          if (step === 'log') await log.toClient('info', text)
          else await progress(at, call.steps.length, text)
          // Whoever gives up has read this, and says so.
          if (call.givenUpAt !== at) continue
          await call.aborted
          return 'nobody reads this'
        }
        return textOf(call, 'end')
      } finally {
        running[who].delete(id)
        // What was answered has nothing left to abort, though its connection may still close.
        signal.removeEventListener('abort', onAbort)
      }
    },
  })
  await server.start({ silent: true, handleSignals: false })

  // One pool of connections, as behind a proxy: what belongs to a connection is not of one user.
  const agent = new Agent({ keepAlive: true })
  const lost = AbortSignal.timeout(lostMs)
  const browser = createTestClient(
    request => fetch(request, { redirect: 'manual' }),
    new URL(server.url).origin,
  )
  const connect = async (who: Who) => {
    const token = String((await browser.signIn({ name: who })).access_token)
    names.set(JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).sub, who)
    return createHttpUser({ url: server.url, token, agent, forbidden: secrets[otherThan(who)], signal: lost })
  }
  const world: World = {
    people: { ada: await connect('ada'), bob: await connect('bob') },
    turnstile,
    textOf,
    sessions: {},
    questions: { ada: new Set(), bob: new Set() },
    strange,
  }
  const one = async (call: Call) => {
    turnstile.enter(call.name)
    await era.play(call, world)
    turnstile.leave(call.name)
  }
  const lane = async (first: number) => {
    for (let round = first; round <= rounds; round += width) {
      const both = calls.get(round)
      if (both) await Promise.all(users.map(who => one(both[who])))
    }
  }
  try {
    await era.open(world)
    await Promise.race([
      Promise.all(Array.from({ length: width }, (_, index) => lane(index + 1))),
      new Promise((_, reject) => {
        lost.addEventListener('abort', () =>
          reject(
            new Error(
              `after ${lostMs} ms, for these calls something is still to come: ${turnstile.moving()}`,
            ),
          ),
        )
      }),
    ])
    expect(strange).toEqual([])
    // Otherwise nothing would have been shown.
    expect(names.size).toBe(2)
    expect(together).toBeGreaterThan(rounds / 4)
    if (era === sessionsEra) {
      const { ada, bob } = world.questions
      expect(Math.min(ada.size, bob.size)).toBeGreaterThan(rounds / 4)
      expect([...ada].filter(id => bob.has(id))).toEqual([])
    }
  } finally {
    agent.destroy()
    await server.close()
  }
}
