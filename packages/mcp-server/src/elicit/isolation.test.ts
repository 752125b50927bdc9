import { expect, it } from 'vitest'
import { z } from 'zod'
import { createServer } from '../create-server.ts'
import { createTestClient, testSignIn } from '../sign-in.fixture.ts'
import { connectAskable, eras, firstText } from './asking-client.fixture.ts'

const origin = 'http://localhost:3000'
const rounds = 1_000
/** How many rounds are under way at once. */
const width = 25

it.each(eras)(
  'R160: revision %s: two users with the same JSON-RPC ids, 1000 interleaved rounds of questions and cancellations: nothing crosses over',
  async (_, era) => {
    const cancelled = { ada: 0, bob: 0 }
    const server = createServer({
      name: 'isolation',
      version: '1.0.0',
      ...testSignIn(),
    })
    server.tool('repeat', {
      description: 'Asks for a word and repeats it',
      auth: {},
      input: z.object({ who: z.enum(['ada', 'bob']), round: z.number() }),
      run: async ({ who, round }, { elicit, caller, signal }) => {
        signal.addEventListener('abort', () => cancelled[who]++, { once: true })
        const { content } = await elicit({
          message: `${who} ${round}`,
          schema: z.object({ word: z.string() }),
        })
        return JSON.stringify([caller.userId, who, round, content?.word])
      },
    })
    const browser = createTestClient(request => server.fetch(request), origin)

    async function connect(who: 'ada' | 'bob') {
      const { access_token: token } = await browser.signIn({ name: who })
      /** Rounds that this user gives up when asked. */
      const givenUp = new Map<number, AbortController>()
      const strange: string[] = []
      const client = await connectAskable(server, era, {
        token,
        answers: {
          elicit: async ({ message }, signal) => {
            const [name, round] = String(message).split(' ')
            if (name !== who) strange.push(String(message))
            const giveUp = givenUp.get(Number(round))
            if (giveUp) {
              giveUp.abort()
              // Not answered before the server takes the question back: what ends the call is that it was given up.
              if (era.mode === 'legacy')
                await new Promise(resolve => signal.addEventListener('abort', resolve))
              return { action: 'cancel' }
            }
            return { action: 'accept', content: { word: `${who} says ${round}` } }
          },
        },
      })
      const call = async (round: number) => {
        const controller = new AbortController()
        if (round % 7 === 0) givenUp.set(round, controller)
        const result = await client
          .callTool({ name: 'repeat', arguments: { who, round } }, { signal: controller.signal })
          .catch(error => error as Error)
        if (round % 7 === 0) return expect(result).toBeInstanceOf(Error)
        const [userId, ...rest] = JSON.parse(firstText(result) ?? '[]') as unknown[]
        expect(rest).toEqual([who, round, `${who} says ${round}`])
        return userId
      }
      return { call, strange, close: () => client.close() }
    }

    const ada = await connect('ada')
    const bob = await connect('bob')
    const users = { ada: new Set<unknown>(), bob: new Set<unknown>() }
    for (let start = 1; start <= rounds; start += width) {
      await Promise.all(
        Array.from({ length: width }, async (_, offset) => {
          const round = start + offset
          const [mine, theirs] = await Promise.all([ada.call(round), bob.call(round)])
          if (round % 7 !== 0) {
            users.ada.add(mine)
            users.bob.add(theirs)
          }
        }),
      )
    }
    expect([ada.strange, bob.strange]).toEqual([[], []])
    // Every call met its own user, and the two are different people.
    expect([users.ada.size, users.bob.size, new Set([...users.ada, ...users.bob]).size]).toEqual([1, 1, 2])
    if (era.mode === 'legacy') {
      const given = Math.floor(rounds / 7)
      await expect.poll(() => cancelled, { timeout: 30_000 }).toEqual({ ada: given, bob: given })
    }
    await Promise.all([ada.close(), bob.close()])
    await server.close()
  },
  120_000,
)
