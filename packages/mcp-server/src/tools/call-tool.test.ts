import { inspect } from 'node:util'
import { type SallyportEvent, StoreUnavailableError } from '@sallyport/oauth'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { CallServices } from '../calls/perform.ts'
import { createLogger } from '../log.ts'
import { fakeProvider } from '../provider.fixture.ts'
import { ConnectionRequiredError, ProviderUnavailableError } from '../provider.ts'
import { hasScopes } from '../scope-hierarchy.ts'
import type { AnyAuth } from './access-rule.ts'
import type { AnyCallContext, Call, Caller, ClientCaller } from './call-context.ts'
import { callTool } from './call-tool.ts'
import { defineTool } from './define-tool.ts'
import { createCallContext } from './handler-context.ts'
import { ToolError } from './tool-error.ts'

const ada: Caller = {
  principal: 'user',
  userId: 'ada',
  clientId: 'client',
  issuer: 'https://mcp.example.com',
  subject: 'ada',
  scopes: ['mcp', 'notes'],
  grantId: 'grant',
  authTime: undefined,
  expiresAt: 0,
}

const machine: ClientCaller = { ...ada, principal: 'client', userId: undefined, clientId: 'ada' }

const callOf = (caller: Caller | ClientCaller | undefined, signal = new AbortController().signal): Call => ({
  id: 1,
  method: 'tools/call',
  params: { name: 't', arguments: {} },
  era: 'modern',
  caller,
  signal,
  client: () => Promise.reject(new Error('no stream')),
})

function setUp() {
  const google = fakeProvider('google')
  const linkedin = fakeProvider('linkedin')
  const lines: string[] = []
  const events: SallyportEvent[] = []
  let milliseconds = 0
  const services: CallServices = {
    providers: new Map([
      ['google', { label: 'Google', connected: google.connected }],
      ['linkedin', { label: 'LinkedIn', connected: linkedin.connected }],
    ]),
    connectLink: async ({ userId, providerId, scopes, account }) =>
      `https://mcp.example.com/link?${userId},${providerId},${scopes.join('+')}${account ? `,${account}` : ''}`,
    hasScopes,
    exposeErrors: false,
    emit: event => events.push(event),
    log: createLogger({ name: 'test', level: 'trace' }, { write: line => void lines.push(line) }),
    now: () => (milliseconds += 5),
    track: work => work,
  }
  const call = (
    run: (input: unknown, context: AnyCallContext) => unknown,
    {
      auth,
      caller = ada,
      output,
      signal = new AbortController().signal,
    }: {
      auth?: AnyAuth
      caller?: Caller | ClientCaller | null
      output?: z.ZodType
      signal?: AbortSignal
    } = {},
  ) => {
    const tool = defineTool('t', { description: 'd', auth, run, ...(output && { output: output as never }) })
    return callTool(tool, callOf(caller ?? undefined, signal), services)
  }
  return { call, google, linkedin, lines, events, services }
}

const text = (value: string) => ({ content: [{ type: 'text', text: value }] })

describe('results', () => {
  it.each<[string, unknown, object]>([
    ['a text', 'hello', text('hello')],
    ['an object', { a: 1 }, text('{"a":1}')],
    ['a list', [1, 2], text('[1,2]')],
    ['null', null, text('null')],
    ['nothing', undefined, { content: [] }],
    [
      'a whole result',
      { content: [{ type: 'text', text: 'x' }], isError: true },
      { ...text('x'), isError: true },
    ],
    ['data with a content that is no result', { content: ['a'] }, text('{"content":["a"]}')],
  ])('%s reaches the model', async (_, value, expected) => {
    expect(await setUp().call(() => value)).toEqual(expected)
  })

  it('with an output schema the value is structured content too', async () => {
    const result = await setUp().call(() => ({ a: 1 }), { output: z.object({ a: z.number() }) })
    expect(result).toEqual({ ...text('{"a":1}'), structuredContent: { a: 1 } })
  })

  it('an event tells which tool was called by whom, how it ended and how long it took', async () => {
    const { call, events } = setUp()
    await call(() => 'ok')
    await call(() => 'ok', { caller: null })
    expect(events).toEqual([
      { type: 'tool_called', tool: 't', userId: 'ada', ok: true, durationMs: 5 },
      { type: 'tool_called', tool: 't', ok: true, durationMs: 5 },
    ])
  })
})

describe('failures', () => {
  it('a ToolError is told as it stands', async () => {
    const result = await setUp().call(() => {
      throw new ToolError('No such day.')
    })
    expect(result).toEqual({ ...text('No such day.'), isError: true })
  })

  it.each<[string, () => unknown]>([
    [
      'an error',
      () => {
        throw new Error('canary /srv/app/secret.ts')
      },
    ],
    ['a rejection', () => Promise.reject(new Error('canary'))],
    [
      'a thrown text',
      () => {
        throw 'canary'
      },
    ],
    ['a value JSON cannot hold', () => ({ canary: 1n })],
  ])('R189: of %s the caller learns nothing, the log keeps where it arose', async (_, run) => {
    const { call, lines, events } = setUp()
    const result = await call(run)
    expect(result.isError).toBe(true)
    expect(JSON.stringify(result)).not.toMatch(/canary|BigInt|srv/)
    expect(lines.map(line => JSON.parse(line))).toMatchObject([{ level: 50, tool: 't', msg: 'tool failed' }])
    expect(events).toMatchObject([{ type: 'tool_called', ok: false }])
  })

  it.each([
    ['not_connected' as const, 'Your Google account is not connected.'],
    ['missing_scope' as const, 'Your Google account has not allowed what this needs.'],
    ['dead' as const, 'The connection to your Google account has ended.'],
  ])('a connection that is %s comes with the link that mends it', async (reason, sentence) => {
    const { call, google } = setUp()
    google.fail(new ConnectionRequiredError('google', reason, ['calendar']))
    const result = await call((_, { fetch }) => fetch('https://google.example/x'), {
      auth: { google: ['calendar', 'mail'] },
    })
    expect(result).toEqual({
      ...text(
        `${sentence} Open this link in a browser, then try again: https://mcp.example.com/link?ada,google,calendar+mail`,
      ),
      isError: true,
    })
  })

  it.each([
    [{}, 'Google cannot be reached now. Try again in a moment.'],
    [{ retryAfterSeconds: 1 }, 'Google cannot be reached now. Try again in 1 second.'],
    [{ retryAfterSeconds: 30 }, 'Google cannot be reached now. Try again in 30 seconds.'],
  ])('a provider that is down is not the user’s fault (%o)', async (options, sentence) => {
    const { call, google } = setUp()
    google.fail(new ProviderUnavailableError('google', options))
    const result = await call((_, { token }) => token(), { auth: { google: [] } })
    expect(result).toEqual({ ...text(sentence), isError: true })
  })

  it('the link is for the account the tool used, or for one more', async () => {
    const { call } = setUp()
    const auth = { google: ['calendar'] }
    const textOf = async (error: Error) => JSON.stringify(await call(() => Promise.reject(error), { auth }))
    expect(await textOf(new ConnectionRequiredError('google', 'dead', [], 'work'))).toContain(
      'link?ada,google,calendar,work"',
    )
    const more = await textOf(new ConnectionRequiredError('google', 'another_account'))
    expect(more).toContain('This needs one more Google account of yours.')
    expect(more).toContain('link?ada,google,calendar,another"')
  })

  it('a tool chooses the account, for the provider alone', async () => {
    const { call, google } = setUp()
    const seen: unknown[] = []
    const { token, status, fetch: fetchOf } = google.connected
    google.connected.token = (...of) => {
      seen.push(of)
      return token(...of)
    }
    google.connected.status = (...of) => {
      seen.push(of)
      return status(...of)
    }
    google.connected.fetch = (...of) => {
      const [userId, scopes, , init, account] = of
      seen.push([userId, scopes, Object.keys(init ?? {}), account])
      return fetchOf(...of)
    }
    google.connections.set('ada', ['calendar'])
    const result = await call(
      async (_, context) => {
        const [first] = await context.accounts('google')
        const account = first?.id
        await context.token('google', { account })
        await context.connection('google', { account })
        await context.fetch('https://google.example/x', { account, method: 'PUT' })
        return { first }
      },
      { auth: { google: ['calendar'] } },
    )
    expect(result.isError).not.toBe(true)
    expect(seen).toEqual([
      ['ada', ['calendar'], 'account-of-ada'],
      ['ada', ['calendar'], 'account-of-ada'],
      ['ada', ['calendar'], ['method', 'signal'], 'account-of-ada'],
    ])
  })

  it('a user who must connect gets the link, whatever a client library made of the error', async () => {
    const { google, call } = setUp()
    google.fail(new ConnectionRequiredError('google', 'dead', []))
    const result = await call(
      async (_, { fetch }) => {
        try {
          await fetch('https://google.example/api')
        } catch (cause) {
          throw new Error('request failed', { cause: new TypeError('fetch failed', { cause }) })
        }
      },
      { auth: { google: [] } },
    )
    expect(JSON.stringify(result)).toContain('https://mcp.example.com/link?ada,google')
  })

  it('an endless chain of causes is an error like any other', async () => {
    const endless = new Error('loop')
    endless.cause = endless
    const result = await setUp().call(() => {
      throw endless
    })
    expect(JSON.stringify(result)).toContain('The tool failed for a reason of its own.')
  })

  it('a store that is down says to try again', async () => {
    const result = await setUp().call(() => Promise.reject(new StoreUnavailableError('redis at 10.0.0.1')))
    expect(result).toEqual({ ...text('The server cannot answer now. Try again in a moment.'), isError: true })
  })
})

describe('protection', () => {
  it.each<[string, AnyAuth, Caller | ClientCaller | null, boolean]>([
    ['nobody, public', undefined as unknown as AnyAuth, null, true],
    ['nobody, protected', {}, null, false],
    ['nobody, anonymous allowed', { anonymous: true }, null, true],
    ['a user, protected', {}, ada, true],
    ['a user without the scope', { scopes: ['admin'] }, ada, false],
    ['a user with the scope', { scopes: ['notes'] }, ada, true],
    ['R115: a client, public', undefined as unknown as AnyAuth, machine, true],
    ['R115: a client, protected', {}, machine, false],
    ['R115: a client with the scope, protected', { scopes: ['notes'] }, machine, false],
    ['R115: a client, clients allowed', { clients: true }, machine, true],
    ['R115: a client with the scope, clients allowed', { clients: true, scopes: ['notes'] }, machine, true],
    ['R115: a client without the scope', { clients: true, scopes: ['admin'] }, machine, false],
    ['R115: a client, clients refused', { clients: false }, machine, false],
    ['R115: a client, a tool that needs a provider', { google: ['calendar'] }, machine, false],
    ['R115: a user, clients allowed', { clients: true }, ada, true],
    ['nobody, clients allowed', { clients: true }, null, false],
    ['a user without the scope, anonymous allowed', { scopes: ['admin'], anonymous: true }, ada, false],
  ])('R152: even past the gate, %s: runs only when allowed', async (_, auth, caller, allowed) => {
    let ran = false
    const result = await setUp().call(
      () => {
        ran = true
      },
      { auth, caller },
    )
    expect(ran).toBe(allowed)
    expect(result.isError === true).toBe(!allowed)
  })
})

describe('R115: a client by itself', () => {
  const callerIn = async (auth: AnyAuth | undefined) => {
    const { call, events } = setUp()
    let seen: unknown = 'did not run'
    const run = (_: unknown, { caller }: AnyCallContext) => {
      seen = caller
    }
    await call(run, { ...(auth && { auth }), caller: machine })
    return { seen, events }
  }

  it('is a client to a tool made for clients, without a user id', async () => {
    expect((await callerIn({ clients: true })).seen).toEqual(machine)
    expect((await callerIn({ clients: true, anonymous: true })).seen).toEqual(machine)
  })

  it.each([undefined, { anonymous: true }])(
    'is nobody to a tool that takes every caller for a user: %j',
    async auth => {
      expect((await callerIn(auth)).seen).toBeUndefined()
    },
  )

  it('is told apart from a user of the same name in events', async () => {
    const { events } = await callerIn({ clients: true })
    expect(events).toMatchObject([{ type: 'tool_called', userId: 'client:ada' }])
  })

  it('gets no token of a provider, even where a tool was let through by mistake', async () => {
    const { google, services } = setUp()
    const context = createCallContext({
      where: 'Tool "t"',
      rule: { scopes: [], anonymous: false, clients: true, providers: new Map([['google', []]]) },
      caller: machine,
      providers: services.providers,
      call: callOf(machine),
      log: () => services.log,
      fetch: async () => new Response('plain'),
    })
    await expect(context.token('google')).rejects.toThrow('Sign in first')
    expect(await (await context.fetch('https://google.example/api')).text()).toBe('plain')
    expect(google.requests).toEqual([])
  })
})

describe('the context', () => {
  const auth = { google: ['calendar'] }

  it('fetch goes through the provider the tool names, with the scopes it names, as this user', async () => {
    const { call, google } = setUp()
    google.connections.set('ada', ['calendar'])
    const result = await call(async (_, { fetch }) => (await fetch('https://google.example/events')).json(), {
      auth,
    })
    expect(result).toEqual(text('{"via":"google"}'))
    expect(google.requests).toMatchObject([
      { userId: 'ada', url: 'https://google.example/events', scopes: ['calendar'] },
    ])
  })

  it('R158: no token goes to the API of a provider the tool does not name, nor to anywhere else', async () => {
    const { call, linkedin, google } = setUp()
    // The URL parses and cannot be fetched: what matters is that no provider carries it.
    await call((_, { fetch }) => fetch('https://linkedin.example:1/x').catch(() => ''), { auth })
    const result = await call((_, { fetch }) => fetch('data:text/plain,elsewhere').then(r => r.text()), {
      auth,
    })
    expect(result).toEqual(text('elsewhere'))
    expect([linkedin.requests, google.requests]).toEqual([[], []])
  })

  it('fetch ends with the call', async () => {
    const { call, google } = setUp()
    google.connections.set('ada', ['calendar'])
    const gone = AbortSignal.abort()
    await call((_, { fetch }) => fetch('https://google.example/x'), { auth, signal: gone })
    await call((_, { fetch }) => fetch('https://google.example/x', { signal: gone }), { auth })
    await call((_, { fetch }) => fetch(new Request('https://google.example/x', { signal: gone })), { auth })
    expect(google.requests).toEqual([])
  })

  it('token is that of the only provider, or of the one that is named', async () => {
    const { call, google, linkedin } = setUp()
    google.connections.set('ada', ['calendar'])
    linkedin.connections.set('ada', [])
    const both = { google: [], linkedin: [] }
    const read = async (context: AnyCallContext, id?: string) => (await context.token(id)).value
    expect(await call((_, context) => read(context), { auth })).toEqual(text('external-token-of-google-1'))
    expect(await call((_, context) => read(context, 'linkedin'), { auth: both })).toEqual(
      text('external-token-of-linkedin-1'),
    )
    expect((await call((_, context) => read(context), { auth: both })).isError).toBe(true)
    expect((await call((_, context) => read(context, 'linkedin'), { auth })).isError).toBe(true)
    expect(
      await call((_, context) => read(context), { auth: { ...auth, anonymous: true }, caller: null }),
    ).toEqual({
      ...text('Sign in first: this needs an account of yours.'),
      isError: true,
    })
  })

  it('connection tells how that of the only provider does, or of the one that is named; it does not throw', async () => {
    const { call, google } = setUp()
    const both = { google: ['calendar'], linkedin: [] }
    const read = async (context: AnyCallContext, id?: string) => {
      const { state, missingScopes } = await context.connection(id)
      return [state, ...missingScopes].join(' ')
    }
    const googleOnly = { google: ['calendar'] }
    expect(await call((_, context) => read(context), { auth: googleOnly })).toEqual(
      text('needs_consent calendar'),
    )
    google.connections.set('ada', ['calendar'])
    expect(await call((_, context) => read(context), { auth: googleOnly })).toEqual(text('active'))
    expect(await call((_, context) => read(context, 'linkedin'), { auth: both })).toEqual(
      text('needs_consent'),
    )
    expect((await call((_, context) => read(context), { auth: both })).isError).toBe(true)
    expect((await call((_, context) => read(context, 'linkedin'), { auth: googleOnly })).isError).toBe(true)
  })

  it('R192: printed or sent by accident, the context shows who calls and no token', async () => {
    let printed = ''
    await setUp().call(
      (_, context) => {
        printed = [JSON.stringify(context), inspect(context, { depth: 9 }), context].join()
      },
      { auth },
    )
    expect(printed).toContain('ada')
    expect(printed).not.toContain('external-token')
  })
})
