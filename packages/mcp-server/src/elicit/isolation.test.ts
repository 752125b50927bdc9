import type { Client } from '@modelcontextprotocol/client'
import { createMemoryStore, developmentSignIn } from '@sallyport/oauth'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { createServer } from '../create-server.ts'
import type { Server } from '../server.ts'
import { createTestClient } from '../sign-in.fixture.ts'
import { connectAskable, eras, firstText } from './asking-client.fixture.ts'

const rounds = 1_000
/** How many rounds are under way at once. */
const width = 25

type Who = 'ada' | 'bob'

/**
 * What becomes of a round: answered; given up by its user while it is asked, or while it works and asks nothing.
 * Each round is one call of ada and one of bob, which are under way at the same time and have the same JSON-RPC id.
 */
const kindOf = (round: number) => (round % 7 === 0 ? 'given up' : round % 11 === 0 ? 'cut off' : 'answered')
const roundsOf = (kind: ReturnType<typeof kindOf>) =>
  Array.from({ length: rounds }, (_, at) => at + 1).filter(round => kindOf(round) === kind)

/** A server over HTTP that tells, logs, asks and waits, and notes which calls were aborted. */
async function serve() {
  const aborted: Record<Who, Set<number>> = { ada: new Set(), bob: new Set() }
  /** JSON-RPC ids by user. */
  const ids: Record<Who, Set<unknown>> = { ada: new Set(), bob: new Set() }
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
  server.tool('repeat', {
    description: 'Asks for a word and repeats it',
    auth: {},
    input: z.object({ who: z.enum(['ada', 'bob']), round: z.number() }),
    run: async ({ who, round }, { elicit, caller, signal, progress, log, request }) => {
      ids[who].add(request.id)
      const onAbort = () => aborted[who].add(round)
      signal.addEventListener('abort', onAbort)
      try {
        await log.toClient('info', `${who} ${round}`)
        await progress(1, 2, `${who} ${round}`)
        if (kindOf(round) === 'cut off') {
          await new Promise<void>(resolve => {
            if (signal.aborted) resolve()
            else signal.addEventListener('abort', () => resolve(), { once: true })
          })
          return 'nobody reads this'
        }
        const { content } = await elicit({
          message: `${who} ${round}`,
          schema: z.object({ word: z.string() }),
        })
        await progress(2, 2, `${who} ${round}`)
        return JSON.stringify([caller.userId, who, round, content?.word])
      } finally {
        // What was answered has nothing left to abort, though its connection may still close.
        signal.removeEventListener('abort', onAbort)
      }
    },
  })
  await server.start({ silent: true, handleSignals: false })
  return { server, aborted, ids }
}

/** A user with a real client, and what reached it that was not meant for it. */
async function connect(server: Server, era: (typeof eras)[number][1], who: Who, token: unknown) {
  const strange: unknown[] = []
  const logged = new Set<number>()
  const progressed = new Set<number>()
  /** Rounds that this user gives up when asked. */
  const givenUp = new Map<number, AbortController>()
  const roundOf = (text: unknown): number => {
    const [name, round] = String(text).split(' ')
    if (name !== who) strange.push(text)
    return Number(round)
  }
  const client: Client = await connectAskable(server, era, {
    token,
    fetch: globalThis.fetch,
    answers: {
      elicit: async ({ message }, signal) => {
        const round = roundOf(message)
        const giveUp = givenUp.get(round)
        if (!giveUp) return { action: 'accept', content: { word: `${who} says ${round}` } }
        giveUp.abort()
        // Not answered before the server takes the question back: what ends the call is that it was given up.
        if (era.mode === 'legacy') await new Promise(resolve => signal.addEventListener('abort', resolve))
        return { action: 'cancel' }
      },
    },
  })
  client.setNotificationHandler('notifications/message', ({ params }) => {
    logged.add(roundOf(params.data))
  })
  const call = async (round: number) => {
    const controller = new AbortController()
    const kind = kindOf(round)
    if (kind === 'given up') givenUp.set(round, controller)
    const result = await client
      .callTool(
        {
          name: 'repeat',
          arguments: { who, round },
          _meta: { 'io.modelcontextprotocol/logLevel': 'info' },
        },
        {
          signal: controller.signal,
          // A machine with much to do must not look like a server that lost a call.
          timeout: 600_000,
          onprogress({ message }) {
            // What the client says of itself, between its two requests.
            if (message?.startsWith('Fulfilling')) return
            if (roundOf(message) !== round) strange.push([message, round])
            progressed.add(round)
            if (kind === 'cut off') controller.abort()
          },
        },
      )
      .catch(error => error as Error)
    if (kind !== 'answered') {
      expect(result).toBeInstanceOf(Error)
      return undefined
    }
    const [userId, ...rest] = JSON.parse(firstText(result) ?? '[]') as unknown[]
    expect(rest).toEqual([who, round, `${who} says ${round}`])
    return userId
  }
  return { call, strange, logged, progressed, close: () => client.close() }
}

it.each(eras)(
  'R160: revision %s: two users with the same JSON-RPC ids, 1000 interleaved rounds of progress, logs, questions and cancellations over HTTP: nothing crosses over',
  async (_, era) => {
    const { server, aborted, ids } = await serve()
    const browser = createTestClient(
      request => fetch(request, { redirect: 'manual' }),
      new URL(server.url).origin,
    )
    const tokenOf = async (name: Who) => (await browser.signIn({ name })).access_token
    const ada = await connect(server, era, 'ada', await tokenOf('ada'))
    const bob = await connect(server, era, 'bob', await tokenOf('bob'))
    const users = { ada: new Set<unknown>(), bob: new Set<unknown>() }
    for (let start = 1; start <= rounds; start += width) {
      await Promise.all(
        Array.from({ length: width }, async (_, offset) => {
          const round = start + offset
          const [mine, theirs] = await Promise.all([ada.call(round), bob.call(round)])
          if (kindOf(round) !== 'answered') return
          users.ada.add(mine)
          users.bob.add(theirs)
        }),
      )
    }
    expect([ada.strange, bob.strange]).toEqual([[], []])
    // Every call met its own user, and the two are different people.
    expect([users.ada.size, users.bob.size, new Set([...users.ada, ...users.bob]).size]).toEqual([1, 1, 2])
    // What each was told is all there was to tell, and their ids were the same.
    for (const user of [ada, bob]) {
      expect(roundsOf('answered').filter(round => !user.progressed.has(round))).toEqual([])
      expect(roundsOf('answered').filter(round => !user.logged.has(round))).toEqual([])
    }
    expect([...ids.ada].filter(id => ids.bob.has(id)).length).toBeGreaterThan(rounds / 2)
    // Who gives up ends that call and no other. A question of 2026-07-28 leaves no call behind that could be ended.
    const ended = [...roundsOf('cut off'), ...(era.mode === 'legacy' ? roundsOf('given up') : [])]
    const sorted = (set: Set<number>) => [...set].sort((a, b) => a - b)
    const expected = ended.sort((a, b) => a - b)
    await expect
      .poll(() => [sorted(aborted.ada), sorted(aborted.bob)], { timeout: 120_000 })
      .toEqual([expected, expected])
    await Promise.all([ada.close(), bob.close()])
    await server.close()
  },
  600_000,
)
