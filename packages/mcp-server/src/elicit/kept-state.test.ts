import type { Client } from '@modelcontextprotocol/client'
import { afterEach, describe, expect, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import { createServer } from '../create-server.ts'
import type { Server } from '../server.ts'
import { createTestClient, testSignIn } from '../sign-in.fixture.ts'
import type { CallContext, Caller } from '../tools/call-context.ts'
import { connectAskable, eras } from './asking-client.fixture.ts'
import { createKeptState, type KeptState } from './kept-state.ts'

const open: Server[] = []
afterEach(async () => {
  for (const server of open.splice(0)) await server.close()
})

/** A server whose offers draw a number once, and keep an answer. */
function setUp() {
  const draws: string[] = []
  const runs: string[] = []
  const play = async (what: string, { elicit, requestState, caller }: CallContext<Caller>) => {
    runs.push(what)
    const drawn = await requestState.once('drawn', () => {
      draws.push(what)
      return { number: draws.length, secret: 'canary-of-the-handler' }
    })
    const first = await elicit({ message: `${what}: first?`, schema: z.object({ word: z.string() }) })
    requestState.set('words', [...(requestState.get<string[]>('words') ?? []), first.content?.word ?? ''])
    const second = await elicit({ message: `${what}: second?`, schema: z.object({ word: z.string() }) })
    const words = requestState.get<string[]>('words')
    return `${what} of ${caller.userId}: ${drawn.number} ${words?.at(-1)} ${second.content?.word}`
  }
  const server = createServer({
    name: 'keeps',
    version: '1.0.0',
    ...testSignIn(),
  })
  server.tool('play', { description: 'd', auth: {}, run: (_, context) => play('tool', context) })
  server.resource('game://play', { auth: {}, run: (_, context) => play('resource', context) })
  server.prompt('play', { description: 'd', auth: {}, run: (_, context) => play('prompt', context) })
  open.push(server)
  const sent: string[] = []
  const connect = async (era: (typeof eras)[number][1], name = 'ada') => {
    const browser = createTestClient(request => server.fetch(request), 'http://localhost:3000')
    const { access_token: token } = await browser.signIn({ name })
    return connectAskable(server, era, {
      token,
      fetch: async (input, init) => {
        sent.push(String(init?.body))
        return server.fetch(new Request(input as string | URL, init))
      },
      answers: {
        elicit: ({ message }) => ({
          action: 'accept',
          content: { word: String(message).includes('first') ? 'one' : 'two' },
        }),
      },
    })
  }
  return { draws, runs, connect, sent }
}

const uses: readonly [string, (client: Client) => Promise<unknown>][] = [
  ['tool', client => client.callTool({ name: 'play' })],
  ['resource', client => client.readResource({ uri: 'game://play' })],
  ['prompt', client => client.getPrompt({ name: 'play' })],
]

describe.each(eras)('what a call keeps, in revision %s', (_, era) => {
  it.each(uses)(
    'is there in each run of a %s, and what is to happen once happens once',
    async (what, use) => {
      const { draws, runs, connect } = setUp()
      const client = await connect(era)
      expect(JSON.stringify(await use(client))).toMatch(new RegExp(`${what} of [\\w-]+: 1 one two`))
      expect(JSON.stringify(await use(client)), 'another call has its own').toContain(': 2 one two')
      expect(draws).toEqual([what, what])
      expect(runs).toHaveLength(era.mode === 'legacy' ? 2 : 6)
      await client.close()
    },
  )

  it('R161: is shown to nobody on its way', async () => {
    const { connect, sent } = setUp()
    const client = await connect(era)
    await client.callTool({ name: 'play' })
    const states = sent.flatMap(body => /"requestState":"([^"]+)"/.exec(body)?.[1] ?? [])
    expect(states).toHaveLength(era.mode === 'legacy' ? 0 : 2)
    for (const state of states) {
      const bytes = Buffer.from(state.split('.').at(-1) ?? '', 'base64url').toString('latin1')
      expect(state + bytes).not.toContain('canary')
    }
    await client.close()
  })
})

describe('what a call keeps', () => {
  const keep = () => createKeptState(new Map())

  it('is what JSON makes of it, whatever its name', () => {
    const state = keep()
    for (const name of ['a', '', '__proto__', 'constructor']) {
      expect(state.get(name)).toBeUndefined()
      state.set(name, { name, list: [1, null] })
      expect(state.get(name)).toEqual({ name, list: [1, null] })
    }
    state.set('a', undefined)
    expect(state.get('a')).toBeUndefined()
  })

  it('cannot be changed but by setting it', () => {
    const state = keep()
    const list = [1]
    state.set('list', list)
    list.push(2)
    state.get<number[]>('list')?.push(3)
    expect(state.get('list')).toEqual([1])
  })

  it('is done once, and again when it failed', async () => {
    const state = keep()
    let runs = 0
    const work = async () => {
      if (++runs === 1) throw new Error('not now')
      return runs
    }
    await expect(state.once('work', work)).rejects.toThrow('not now')
    expect([await state.once('work', work), await state.once('work', work), runs]).toEqual([2, 2, 2])
  })

  it('has a limit, because it goes back and forth', () => {
    const state = keep()
    state.set('a', 'x'.repeat(16_000))
    expect(() => state.set('b', 'x'.repeat(400))).toThrow(RangeError)
    expect(state.get('b')).toBeUndefined()
    state.set('a', 'short')
    state.set('b', 'x'.repeat(400))
  })

  it('has the types that the handler gives it', () => {
    const check = async (state: KeptState) => {
      expectTypeOf(await state.once('a', () => ({ n: 1 }))).toEqualTypeOf<{ n: number }>()
      expectTypeOf(state.get<string>('a')).toEqualTypeOf<string | undefined>()
      // @ts-expect-error: JSON has no functions
      state.set('f', () => 1)
      // @ts-expect-error: nor dates, which would come back as texts
      state.set('d', new Date())
    }
    expectTypeOf(check).toBeFunction()
  })
})
