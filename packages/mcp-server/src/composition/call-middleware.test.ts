import type { CallToolResult } from '@modelcontextprotocol/server'
import { createMemoryStore, developmentSignIn } from '@sallyport/oauth'
import { describe, expect, expectTypeOf, it, vi } from 'vitest'
import { z } from 'zod'
import { currentCall } from '../calls/current-call.ts'
import { closesAfterEach } from '../closing.fixture.ts'
import { createServer } from '../create-server.ts'
import { createForeignIssuer } from '../foreign-issuer.fixture.ts'
import { openApiTools } from '../openapi/openapi-tools.ts'
import { withJsonSchema } from '../schemas/schema.ts'
import type { Server } from '../server.ts'
import { createRawClient, eventsOf } from '../sessions/raw-session.fixture.ts'
import { createTestClient, textOf } from '../sign-in.fixture.ts'
import { eras } from '../testing/test-caller.ts'
import { createTestServer } from '../testing/test-server.ts'
import { ToolError } from '../tools/tool-error.ts'
import type { CallMiddleware } from './call-middleware.ts'

const quiet = {
  name: 'around',
  version: '1.0.0',
  environment: {},
  logLevel: 'silent',
  port: 3000,
  secrets: 'a-secret-for-tests-that-is-long-enough-0123456789',
} as const
const track = closesAfterEach()

/** A server of everything, and what its middleware saw. */
function library(options: { leanCalls?: boolean } = {}) {
  const server = createServer({
    ...quiet,
    ...options,
    signIn: developmentSignIn(),
    store: createMemoryStore({ tenant: 'default' }),
  })
  const seen: unknown[] = []
  server.tool('add', {
    description: 'd',
    input: z.object({ a: z.number(), b: z.number().default(1) }),
    run: ({ a, b }) => `${a + b}`,
  })
  server.tool('admin-delete', { description: 'd', auth: {}, run: () => 'deleted' })
  server.tool('steps', {
    description: 'd',
    run: async (_, { progress }) => {
      await progress(1)
      return 'done'
    },
  })
  server.resource('notes://{id}', {
    complete: { id: () => ['1', '2'] },
    run: ({ id }) => (id === '404' ? undefined : `note ${id}`),
  })
  server.prompt('review', { description: 'd', input: z.object({ tone: z.string() }), run: () => 'Review.' })
  return { server, seen }
}
const test = async (server: Server, leanCalls = true) =>
  track(await createTestServer(server, { options: { leanCalls } }))
const text = (result: unknown) => (result as CallToolResult).content.map(block => Object(block).text).join()

describe.each(eras)('middleware around calls of a %s client', era => {
  it.each([
    ['lean', true],
    ['by the engine', false],
  ])(
    'sees each call with its valid input, in the context, in the order it was added (%s)',
    async (_, lean) => {
      const { server, seen } = library()
      server.use(async (call, next) => {
        expect(currentCall()).toBe(call.context)
        seen.push(['outer', call.kind, call.name, 'input' in call ? call.input : call.typed])
        const result = await next()
        seen.push('outer again')
        return result
      })
      server.use((_call, next) => {
        seen.push('inner')
        return next()
      })
      const client = await (await test(server, lean)).asNobody().connect({ era })
      expect(text(await client.callTool({ name: 'add', arguments: { a: 2 } }))).toBe('3')
      expect(seen.splice(0)).toEqual([['outer', 'tool', 'add', { a: 2, b: 1 }], 'inner', 'outer again'])

      expect((await client.readResource({ uri: 'notes://7' })).contents[0]).toMatchObject({ text: 'note 7' })
      expect(seen.splice(0)[0]).toEqual(['outer', 'resource', 'notes://{id}', { id: '7' }])
      await client.getPrompt({ name: 'review', arguments: { tone: 'kind' } })
      expect(seen.splice(0)[0]).toEqual(['outer', 'prompt', 'review', { tone: 'kind' }])
      const { completion } = await client.complete({
        ref: { type: 'ref/resource', uri: 'notes://{id}' },
        argument: { name: 'id', value: '1' },
      })
      expect(completion.values).toEqual(['1', '2'])
      expect(seen.splice(0)[0]).toEqual(['outer', 'completion', 'notes://{id}', '1'])
    },
  )

  it('changes results, answers in place of the handler, and refuses with words of its own', async () => {
    const { server } = library()
    server.use({ kind: 'tool', name: 'add' }, async ({ input }, next) => {
      const { a } = input as { a: number }
      if (a === 0) return 'nothing to add'
      if (a < 0) throw new ToolError('Only forward.')
      const result = await next()
      return { ...result, _meta: { 'example.com/timed': true } }
    })
    server.use({ kind: 'resource' }, ({ uri }, next) =>
      uri === 'notes://cached' ? 'from the cache' : next(),
    )
    server.use({ kind: 'completion' }, async (_, next) => (await next()).slice(1))
    server.use({ kind: 'prompt' }, () => [{ role: 'assistant', content: 'No.' }])
    const client = await (await test(server)).asNobody().connect({ era })
    const add = (a: number) => client.callTool({ name: 'add', arguments: { a } })
    expect(await add(1)).toMatchObject({ content: [{ text: '2' }], _meta: { 'example.com/timed': true } })
    expect(text(await add(0))).toBe('nothing to add')
    expect(await add(-1)).toMatchObject({ content: [{ text: 'Only forward.' }], isError: true })
    const read = async (uri: string) => (await client.readResource({ uri })).contents
    expect(await read('notes://cached')).toMatchObject([{ uri: 'notes://cached', text: 'from the cache' }])
    expect(await read('notes://1')).toMatchObject([{ text: 'note 1' }])
    await expect(read('notes://404')).rejects.toMatchObject({ code: -32602 })
    const ref = { type: 'ref/resource', uri: 'notes://{id}' } as const
    expect((await client.complete({ ref, argument: { name: 'id', value: '' } })).completion.values).toEqual([
      '2',
    ])
    const { messages } = await client.getPrompt({ name: 'review', arguments: { tone: 'x' } })
    expect(messages).toMatchObject([{ role: 'assistant', content: { text: 'No.' } }])
  })

  it('stands around the tools its pattern fits, and meets their caller', async () => {
    const { server, seen } = library()
    server.use({ kind: 'tool', name: ['admin-*'] }, (call, next) => {
      seen.push(call.context.caller?.userId)
      return next()
    })
    const kit = await test(server)
    const ada = await kit.asUser({ sub: 'ada' })
    const client = await ada.connect({ era })
    await client.callTool({ name: 'add', arguments: { a: 1 } })
    expect(seen).toEqual([])
    expect(text(await client.callTool({ name: 'admin-delete', arguments: {} }))).toBe('deleted')
    expect(seen).toEqual([ada.userId])
    expect((await kit.asNobody().request('tools/call', { name: 'admin-delete' }, era)).status).toBe(401)
    expect(seen).toHaveLength(1)
  })

  it('does not run for arguments that are not valid, nor for who may not call', async () => {
    const { server } = library()
    server.tool('mine', { description: 'd', auth: { allow: () => false }, run: () => 'mine' })
    const around = vi.fn<CallMiddleware>((_, next) => next())
    server.use(around)
    const client = await (await (await test(server)).asUser({ sub: 'ada' })).connect({ era })
    expect(await client.callTool({ name: 'add', arguments: { a: 'x' } })).toMatchObject({ isError: true })
    expect(await client.callTool({ name: 'mine', arguments: {} })).toMatchObject({ isError: true })
    await expect(client.getPrompt({ name: 'review', arguments: {} })).rejects.toThrow()
    expect(around).not.toHaveBeenCalled()
  })

  it('R189: an error of its own tells the caller nothing; one of the handler can be caught', async () => {
    const { server } = library()
    server.tool('fails', {
      description: 'd',
      run: () => {
        throw new Error('canary')
      },
    })
    server.use({ name: 'add' }, () => {
      throw new Error('canary')
    })
    server.use({ kind: 'tool', name: 'fails' }, async (_, next) => {
      try {
        return await next()
      } catch (error) {
        return `caught ${(error as Error).message.length}`
      }
    })
    const client = await (await test(server)).asNobody().connect({ era })
    const failed = await client.callTool({ name: 'add', arguments: { a: 1 } })
    expect(failed.isError).toBe(true)
    expect(JSON.stringify(failed)).not.toContain('canary')
    expect(text(await client.callTool({ name: 'fails', arguments: {} }))).toBe('caught 6')
  })

  it('cannot give what does not fit: nothing at all, a wrong type, or against the output schema', async () => {
    const { server } = library()
    const output = withJsonSchema(z.object({ at: z.string().transform(value => value.length) }), {
      type: 'object',
    })
    server.tool('typed', { description: 'd', output, run: () => ({ at: 'noon' }) })
    server.tool('forgotten', { description: 'd', run: () => 'x' })
    server.tool('against', { description: 'd', output: z.object({ n: z.number() }), run: () => ({ n: 1 }) })
    server.use({ kind: 'tool', name: 'typed' }, async (_, next) => ({ ...(await next()), _meta: { a: 1 } }))
    server.use({ kind: 'tool', name: 'forgotten' }, (async (_: unknown, next: () => Promise<unknown>) => {
      await next()
    }) as never)
    server.use({ kind: 'tool', name: 'against' }, async (_, next) => ({
      ...(await next()),
      structuredContent: { n: 'many' },
    }))
    server.use({ kind: 'completion' }, () => [1] as never)
    const kit = await test(server)
    const call = async (name: string) => (await kit.asNobody().request('tools/call', { name }, era)).json()
    // A schema that transforms is asked once: what it made would not pass it again.
    expect(await call('typed')).toMatchObject({ result: { structuredContent: { at: 4 }, _meta: { a: 1 } } })
    expect(await call('forgotten')).toMatchObject({ result: { isError: true } })
    expect(await call('against')).toMatchObject({ result: { isError: true } })
    expect(kit.logs.flatMap(({ fields }) => Object(fields.err).message ?? [])).toEqual([
      expect.stringContaining('return what next() gives'),
      expect.stringContaining('does not fit its output schema'),
    ])
    const ref = { type: 'ref/resource', uri: 'notes://{id}' } as const
    const client = await kit.asNobody().connect({ era })
    const completing = client.complete({ ref, argument: { name: 'id', value: '' } })
    await expect(completing).rejects.toMatchObject({ code: -32603 })
  })

  it('stands around what a tool sends while it works, and around a second try', async () => {
    const { server, seen } = library()
    server.use({ kind: 'tool', name: 'steps' }, async (_, next) => {
      await next()
      return next()
    })
    const client = await (await test(server)).asNobody().connect({ era })
    const onprogress = (progress: { progress: number }) => seen.push(progress.progress)
    expect(text(await client.callTool({ name: 'steps', arguments: {} }, { onprogress }))).toBe('done')
    expect(seen).toEqual([1, 1])
  })
})

describe('middleware where a call takes another way', () => {
  it('runs once in each round of a call that asks its client, and gets the result in the last', async () => {
    const { server, seen } = library()
    server.tool('order', {
      description: 'd',
      run: async (_, { elicit }) => {
        const { content } = await elicit({ message: 'Sure?', schema: z.object({ yes: z.boolean() }) })
        return `${content?.yes}`
      },
    })
    server.use({ kind: 'tool', name: 'order' }, async (_, next) => {
      try {
        const result = await next()
        seen.push('result')
        return result
      } catch (error) {
        seen.push((error as Error).name)
        // Even who hides errors does not hide the question.
        throw new ToolError('hidden')
      }
    })
    const client = await (await test(server))
      .asNobody()
      .connect({ capabilities: { elicitation: { form: {} } } })
    client.setRequestHandler('elicitation/create', async () => ({ action: 'accept', content: { yes: true } }))
    expect(text(await client.callTool({ name: 'order', arguments: {} }))).toBe('true')
    expect(seen).toEqual(['InputPending', 'result'])
  })

  it('runs for calls of a session of the 2025 era', async () => {
    const { server, seen } = library()
    server.use({ kind: 'tool' }, ({ name, context }, next) => {
      seen.push([name, context.request.era])
      return next()
    })
    const store = createMemoryStore({ tenant: 'default' })
    const kit = track(await createTestServer(server, { options: { store } }))
    const ada = await kit.asUser({ sub: 'ada' })
    const raw = createRawClient(ada.token!)
    await raw.initialize(kit.server)
    const response = await raw.post(kit.server, {
      id: 5,
      method: 'tools/call',
      params: { name: 'add', arguments: { a: 1 } },
    })
    const [event] = await eventsOf(response)
      .next()
      .then(({ value }) => [value])
    expect(event).toBeDefined()
    expect(seen).toEqual([['add', 'legacy']])
  })

  it('runs for calls that come over a socket, the short way', async () => {
    const { server, seen } = library()
    server.use({ kind: 'tool' }, ({ name }, next) => {
      seen.push(name)
      return next()
    })
    const listening = track(createServer({ ...quiet, port: 0 }))
    listening.tool('hello', { description: 'd', run: () => 'hello' })
    listening.use(({ name }, next) => {
      seen.push(name)
      return next()
    })
    await listening.start({ silent: true, throwOnError: true, handleSignals: false })
    const response = await fetch(listening.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'hello' } }),
    })
    expect(await response.json()).toMatchObject({ result: { content: [{ text: 'hello' }] } })
    expect(seen).toEqual(['hello'])
  })

  it('meets the callers of an external issuer', async () => {
    const issuer = 'https://login.example.com'
    const login = await createForeignIssuer(issuer, () => 1_900_000_000)
    const server = track(
      createServer({ ...quiet, clock: () => 1_900_000_000, issuer: { issuer, fetch: login.fetch } }),
    )
    const seen: unknown[] = []
    server.tool('whoami', { description: 'd', auth: {}, run: (_, { caller }) => caller.subject })
    server.use(({ context }, next) => {
      seen.push(context.caller?.subject)
      return next()
    })
    const { call } = createTestClient(request => server.fetch(request), 'http://localhost:3000')
    const token = await login.token({ sub: 'ada' })
    expect(await textOf(await call('whoami', {}, token))).toBe('ada')
    expect(seen).toEqual(['ada'])
  })

  it('stands around tools of an OpenAPI document', async () => {
    const server = createServer(quiet)
    const tools = await openApiTools({
      openapi: '3.1.0',
      info: { title: 't', version: '1' },
      servers: [{ url: 'https://api.example.com' }],
      paths: { '/notes': { get: { operationId: 'list-notes', responses: { 200: { description: 'd' } } } } },
    })
    for (const [name, tool] of Object.entries(tools)) server.tool(name, tool)
    server.use({ kind: 'tool', name: 'list-*' }, () => 'in place of the API')
    const client = await (await test(server as Server)).asNobody().connect()
    expect(text(await client.callTool({ name: 'list-notes', arguments: {} }))).toBe('in place of the API')
  })
})

describe('what cannot work stops at start', () => {
  const start = async (add: (server: Server) => void) => {
    const { server } = library()
    add(server as Server)
    await server.start({ transport: 'mounted', throwOnError: true })
  }
  it.each<[string, (server: Server) => void, RegExp]>([
    [
      'a name that fits nothing',
      s => s.use({ kind: 'tool', name: 'ad' }, (_, next) => next()),
      /names "ad".*no tool/,
    ],
    ['a kind there is not', s => s.use({ kind: 'x' as never }, (_, next) => next()), /kind of server.use/],
    ['a word it does not know', s => s.use(Object({ names: 'x' }), (_, next) => next()), /"names"/],
    ['no function', s => s.use(undefined as never), /takes a function/],
    [
      'a path without middleware',
      s => (s.use as unknown as (path: string) => void)('/x'),
      /middleware of Hono/,
    ],
  ])('%s', async (_, add, problem) => {
    await expect(start(add)).rejects.toThrow(problem)
  })

  it('and so does middleware that comes when calls have begun', async () => {
    const { server } = library()
    await track(server).start({ transport: 'mounted', throwOnError: true })
    expect(() => server.use((_, next) => next())).toThrow(/too late/)
    expect(() => server.use('/x', (_, next) => next())).toThrow(/too late/)
  })
})

it('the compiler knows the kind of call, and what may be returned', () => {
  const { server } = library()
  server.use({ kind: 'tool' }, async (call, next) => {
    expectTypeOf(call.kind).toEqualTypeOf<'tool'>()
    const result = await next()
    expectTypeOf(result.resultType).not.toBeAny()
    return result
  })
  server.use({ kind: ['resource', 'prompt'] }, (call, next) => {
    expectTypeOf(call.kind).toEqualTypeOf<'resource' | 'prompt'>()
    return next()
  })
  server.use((call, next) => {
    expectTypeOf(call.kind).toEqualTypeOf<'tool' | 'resource' | 'prompt' | 'completion'>()
    return next()
  })
  const refused = () => {
    // @ts-expect-error: no such kind
    server.use({ kind: 'tools' }, (_, next) => next())
    // @ts-expect-error: not what a tool may return
    server.use({ kind: 'tool' }, async () => 7)
    // @ts-expect-error: nothing is returned
    server.use({ kind: 'tool' }, async (_, next) => {
      await next()
    })
    // @ts-expect-error: HTTP middleware needs a path
    server.use(async (_c: import('hono').Context, next: () => Promise<void>) => next())
  }
  expect(refused).toBeTypeOf('function')
})
