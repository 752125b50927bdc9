import type { SallyportEvent } from '@sallyport/oauth'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { createServer } from '../create-server.ts'
import { fakeProvider } from '../provider.fixture.ts'
import { ConnectionRequiredError } from '../provider.ts'
import { createTestClient, testSignIn } from '../sign-in.fixture.ts'
import { type Answers, connectAskable, eras, firstText } from './asking-client.fixture.ts'
import { ClientCapabilityError } from './client-capability-error.ts'

const origin = 'http://localhost:3000'
const confirm = z.object({ yes: z.boolean() })

function setUp() {
  const google = fakeProvider('google')
  const events: SallyportEvent[] = []
  const runs: string[] = []
  const server = createServer({
    name: 'askers',
    version: '1.0.0',
    ...testSignIn(),
    providers: [google.provider],
    questionTiming: { pollMs: 5, roundMs: 100 },
    onEvent: event => events.push(event),
  })
  server.tool('delete', {
    description: 'Deletes after asking',
    input: z.object({ name: z.string() }),
    auth: {},
    run: async ({ name }, { elicit }) => {
      runs.push('delete')
      const answer = await elicit({ message: `Delete ${name}?`, schema: confirm })
      return answer.action === 'accept' ? `deleted ${name}: ${answer.content.yes}` : `kept: ${answer.action}`
    },
  })
  server.tool('two', {
    description: 'Asks twice, one after the other',
    auth: {},
    run: async (_, { elicit }) => {
      runs.push('two')
      const first = await elicit({ message: 'First?', schema: z.object({ name: z.string().min(2) }) })
      const second = await elicit({ message: `Second, ${first.content?.name}?`, schema: confirm })
      return `${first.content?.name} ${second.content?.yes}`
    },
  })
  server.tool('both', {
    description: 'Asks everything at once',
    auth: {},
    run: async (_, { elicit, sample, roots }) => {
      runs.push('both')
      const [form, page, reply, folders] = await Promise.all([
        elicit({ message: 'Sure?', schema: confirm, id: 'sure' }),
        elicit({ message: 'Read this', url: 'https://docs.example/terms' }),
        sample({ messages: [{ role: 'user', content: { type: 'text', text: 'Hi' } }], maxTokens: 5 }),
        roots(),
      ])
      return JSON.stringify([form, page, reply.model, folders.map(({ uri }) => uri)])
    },
  })
  server.tool('fallback', {
    description: 'Does without',
    auth: {},
    run: async (_, { elicit, clientCan }) => {
      const can = JSON.stringify(clientCan)
      const answer = await elicit({ message: 'Sure?', schema: confirm }).catch(error => {
        if (error instanceof ClientCapabilityError) return undefined
        throw error
      })
      return `${can} ${answer?.action ?? 'unasked'}`
    },
  })
  for (const [name, options] of [
    ['beforehand-unnamed', { beforehand: true }],
    ['beforehand-once', { beforehand: true, id: 'sure', once: true }],
  ] as const) {
    server.tool(name, {
      description: 'A mistake of its developer',
      auth: {},
      run: async (_, { elicit }) => (await elicit({ message: 'Sure?', schema: confirm, ...options })).action,
    })
  }
  server.tool('profile', {
    description: 'Reads your Google profile',
    auth: { google: ['calendar'] },
    run: async (_, { token, caller }) => {
      runs.push('profile')
      return `${caller.userId} has ${(await token()).value}`
    },
  })
  /** More Google accounts of the user than the first, by id. */
  const more = new Map<string, boolean>()
  const { accounts, isConnected } = google.connected
  google.connected.accounts = async userId => {
    const [first] = await accounts(userId)
    if (!first) return []
    return [first, ...[...more.keys()].map(id => ({ ...first, id, label: id, isDefault: false }))]
  }
  google.connected.isConnected = async (userId, scopes, account) =>
    account !== undefined && more.has(account) ? more.get(account)! : isConnected(userId, scopes, account)
  server.tool('compare', {
    description: 'Reads two of your Google accounts',
    auth: { google: ['calendar'] },
    run: async (_, { accounts, elicit, clientCan, token }) => {
      runs.push('compare')
      const sure = clientCan.elicit ? await elicit({ message: 'Sure?', schema: confirm }) : undefined
      await token()
      const connected = await accounts()
      if (connected.length < 2) throw new ConnectionRequiredError('google', 'another_account')
      return `${sure?.action} ${connected.map(({ label }) => label).join(' ')}`
    },
  })
  server.tool('add-account', {
    description: 'Connects one more Google account',
    auth: { google: ['calendar'] },
    run: () => {
      runs.push('add-account')
      throw new ConnectionRequiredError('google', 'another_account')
    },
  })
  return {
    server,
    google,
    more,
    events,
    runs,
    client: createTestClient(request => server.fetch(request), origin),
  }
}

let world: ReturnType<typeof setUp>
beforeEach(() => {
  world = setUp()
})
afterEach(() => world.server.close())

const yes = { action: 'accept', content: { yes: true } }

describe.each(eras)('a tool that asks, in revision %s', (_, era) => {
  async function connect(answers: Answers, name = 'ada') {
    const { access_token: token } = await world.client.signIn({
      name,
      elsewhere: ({ searchParams }) =>
        `${searchParams.get('redirect_uri')}?code=${name}&state=${searchParams.get('state')}`,
    })
    world.google.connections.clear()
    const client = await connectAskable(world.server, era, { token, answers })
    const call = async (tool: string, args: Record<string, unknown> = {}) =>
      client.callTool({ name: tool, arguments: args })
    return { client, token, call }
  }

  it.each([
    [yes, 'deleted notes: true'],
    [{ action: 'decline' }, 'kept: decline'],
    [{ action: 'cancel' }, 'kept: cancel'],
  ])('goes on with the answer %j', async (answer, expected) => {
    const asked: unknown[] = []
    const { call } = await connect({
      elicit: params => {
        asked.push(params)
        return answer
      },
    })
    expect(firstText(await call('delete', { name: 'notes' }))).toBe(expected)
    expect(asked).toMatchObject([
      {
        message: 'Delete notes?',
        requestedSchema: { type: 'object', properties: { yes: { type: 'boolean' } }, required: ['yes'] },
      },
    ])
  })

  it('asks again when an answer does not fit, and never hands the handler one that does not', async () => {
    const answers = [{ name: 'x' }, { name: 'xy' }]
    const { call } = await connect({
      elicit: ({ message }) => (message === 'First?' ? { action: 'accept', content: answers.shift() } : yes),
    })
    expect(firstText(await call('two'))).toBe('xy true')
    expect(answers).toEqual([])
  })

  it('asks one thing after the other, and everything at once', async () => {
    const { call } = await connect({
      elicit: ({ mode, message }) => {
        if (mode === 'url') return { action: 'accept' }
        return message === 'First?' ? { action: 'accept', content: { name: 'ada' } } : yes
      },
      sample: () => ({ role: 'assistant', model: 'm', content: { type: 'text', text: 'Ho' } }),
      roots: () => ({ roots: [{ uri: 'file:///home/ada' }] }),
    })
    expect(firstText(await call('two'))).toBe('ada true')
    expect(JSON.parse(firstText(await call('both')) ?? '')).toEqual([
      yes,
      { action: 'accept' },
      'm',
      ['file:///home/ada'],
    ])
  })

  it.each(['beforehand-unnamed', 'beforehand-once'])('%s asks nobody', async tool => {
    let asked = 0
    const { call } = await connect({ elicit: () => ({ action: asked++ === 0 ? 'accept' : 'cancel' }) })
    expect(await call(tool)).toMatchObject({ isError: true })
    expect(asked).toBe(0)
  })

  it('a client that cannot be asked: a handler may do without, or the caller is told what is missing', async () => {
    const { call } = await connect({})
    expect(firstText(await call('fallback'))).toBe(
      '{"elicit":false,"elicitUrl":false,"sample":false,"roots":false,"ui":false} unasked',
    )
    const refused = await call('delete', { name: 'x' }).catch(error => error)
    if (era.mode === 'legacy') {
      expect(refused).toMatchObject({ isError: true })
      expect(firstText(refused)).toMatch(/needs an app that can ask you questions/)
    } else expect(refused).toMatchObject({ code: -32021 })
  })

  it('a missing connection is made in the middle of the call, which then goes on', async () => {
    const links: string[] = []
    const { call } = await connect({
      elicit: ({ mode, url, message }) => {
        expect([mode, message]).toEqual(['url', 'Your GOOGLE account is not connected.'])
        links.push(String(url))
        const { userId } = world.events.findLast(event => event.type === 'sign_in_succeeded') as {
          userId: string
        }
        setTimeout(() => world.google.connections.set(userId, ['calendar']), 60)
        return { action: 'accept' }
      },
    })
    expect(firstText(await call('profile'))).toMatch(/^\S+ has external-token-of-google-\d+$/)
    expect(links).toHaveLength(1)
    expect(links[0]).toMatch(/^http:\/\/localhost:3000\/oauth\/connect\/google\?ticket=/)
  })

  describe('one more account', () => {
    const userIdOf = () =>
      (world.events.findLast(({ type }) => type === 'sign_in_succeeded') as { userId: string }).userId
    const asks: string[] = []
    /** Agrees to everything; what happens at the page of a link is the test's. */
    const agrees =
      (atPage: (at: number) => void): NonNullable<Answers['elicit']> =>
      ({ mode, message }) => {
        asks.push(String(message))
        if (mode !== 'url') return yes
        setTimeout(atPage, 20, asks.length)
        return { action: 'accept' }
      }
    const connectedAs = async (answers: Answers) => {
      const { call } = await connect(answers)
      world.google.connections.set(userIdOf(), ['calendar'])
      return call
    }
    beforeEach(() => void asks.splice(0))

    it('is connected in the middle of the call, which then goes on with both', async () => {
      const call = await connectedAs({ elicit: agrees(() => world.more.set('work', true)) })
      expect(firstText(await call('compare'))).toBe('accept ada work')
      expect(asks).toEqual(['Sure?', 'This needs one more GOOGLE account of yours.'])
    })

    it('is asked for after the first one, in the same call', async () => {
      const { call } = await connect({
        elicit: agrees(at => {
          if (at === 2) world.google.connections.set(userIdOf(), ['calendar'])
          else world.more.set('work', true)
        }),
      })
      expect(firstText(await call('compare'))).toBe('accept ada work')
      expect(asks).toEqual([
        'Sure?',
        'Your GOOGLE account is not connected.',
        'This needs one more GOOGLE account of yours.',
      ])
    })

    it('has to work: one that lacks what the tool needs is waited for until it does', async () => {
      const call = await connectedAs({
        elicit: agrees(() => {
          world.more.set('work', false)
          setTimeout(() => world.more.set('work', true), 30)
        }),
      })
      expect(firstText(await call('compare'))).toBe('accept ada work')
      expect(world.more.get('work')).toBe(true)
    })

    it('is asked for once in a call: a tool that only adds one says that it has', async () => {
      const call = await connectedAs({ elicit: agrees(() => world.more.set('work', true)) })
      expect(firstText(await call('add-account'))).toBe('One more GOOGLE account of yours is connected now.')
      expect([asks.length, world.runs]).toEqual([1, ['add-account', 'add-account']])
    })

    it('that the user does not want is not asked for again', async () => {
      const call = await connectedAs({
        elicit: ({ mode }) => (mode === 'url' ? { action: 'decline' } : yes),
      })
      expect(firstText(await call('compare'))).toBe('GOOGLE was not connected, as you decided.')
    })

    it('comes by a link in the result where the client cannot open links', async () => {
      const call = await connectedAs({})
      expect(firstText(await call('compare'))).toMatch(/one more GOOGLE account.*Open this link/)
      world.more.set('work', true)
      expect(firstText(await call('compare'))).toBe('undefined ada work')
    })

    it('cannot be had where a user has one only, and the caller is told so', async () => {
      Object.assign(world.google.connected.login, { hasOneAccount: true })
      const call = await connectedAs({ elicit: agrees(() => {}) })
      expect(firstText(await call('add-account'))).toBe(
        'Only one GOOGLE account of yours can be connected here.',
      )
      expect(asks).toEqual([])
    })
  })

  it('a user who does not want to connect is not asked again', async () => {
    let asked = 0
    const { call } = await connect({ elicit: () => ({ action: asked++ === 0 ? 'decline' : 'accept' }) })
    const result = await call('profile')
    expect(result).toMatchObject({ isError: true })
    expect(firstText(result)).toBe('GOOGLE was not connected, as you decided.')
    expect(asked).toBe(1)
  })

  it('a client that cannot open links gets the link in the result', async () => {
    const { call } = await connect({})
    expect(firstText(await call('profile'))).toMatch(/Open this link in a browser, then try again: http/)
  })
})
