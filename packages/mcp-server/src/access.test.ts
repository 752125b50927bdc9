import { afterEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { currentCall } from './calls/current-call.ts'
import { createServer } from './create-server.ts'
import { prompt, resource, tool } from './decorators.ts'
import { mcpRequest, modernHeaders, modernParams } from './mcp-request.fixture.ts'
import { requiresAuth } from './requires-auth.ts'
import type { Server } from './server.ts'
import { createTestClient, testSignIn } from './sign-in.fixture.ts'
import type { Caller, ClientCaller } from './tools/call-context.ts'

const origin = 'http://localhost:3000'
const started: Pick<Server, 'close'>[] = []
afterEach(async () => {
  for (const server of started.splice(0)) await server.close()
})

const deepCaller = () => currentCall()?.caller?.userId

function setUp() {
  const time = { now: 1_800_000_000 }
  const owners = new Set<string>()
  const server = createServer({
    name: 'notes',
    version: '1.0.0',
    ...testSignIn(),
    clock: () => time.now,
    cache: { ttlMs: 1000, cacheScope: 'public' },
    scopes: { 'notes:read': 'Read', 'notes:write': 'Write', 'notes:admin': 'Everything' },
    scopeHierarchy: { 'notes:admin': ['notes:write'], 'notes:write': ['notes:read'] },
  })
  started.push(server)
  server.tool('public', { description: 'd', run: () => 'open' })
  server.tool('read', { description: 'd', auth: { scopes: ['notes:read'] }, run: () => deepCaller() })
  server.tool('me', { description: 'd', auth: {}, run: () => deepCaller() })
  server.tool('both', {
    description: 'd',
    auth: { scopes: ['notes:read'] },
    run: requiresAuth({ scopes: ['notes:write'] }, () => 'both'),
  })
  server.tool('own', {
    description: 'd',
    input: z.object({ project: z.string() }),
    auth: {
      allow: async (caller: Caller | ClientCaller | undefined, input?: { project: string }) =>
        owners.has(`${caller?.userId}/${input?.project}`),
    },
    run: () => 'yours',
  })
  server.resource('notes://{id}', {
    auth: { scopes: ['notes:read'] },
    list: ({ caller }) => [{ uri: 'notes://1', name: `of ${caller.userId.length > 0}` }],
    complete: { id: () => ['1'] },
    run: ({ id }, { caller }) => `${id} of ${caller.userId.length > 0}`,
  })
  server.prompt('sum-up', {
    description: 'd',
    input: z.object({ id: z.string() }),
    auth: { scopes: ['notes:read'] },
    complete: { id: () => ['1'] },
    run: ({ id }) => `Sum up ${id}.`,
  })
  const admin = { auth: { scopes: ['notes:admin'], hidden: true }, run: () => 'secret' } as const
  server.tool('wipe', { description: 'd', ...admin })
  server.prompt('audit', { description: 'd', ...admin })
  server.resource('admin://log', admin)
  server.resource('admin://{day}', { ...admin, list: () => [{ uri: 'admin://today', name: 'today' }] })

  const client = createTestClient(request => server.fetch(request), origin)
  /** One request of the 2025 era, answered in JSON. */
  const send = async (method: string, params: object = {}, token?: unknown) => {
    const message = { jsonrpc: '2.0', id: 1, method, params }
    const response = await server.fetch(
      mcpRequest(origin, message, { token, headers: { accept: 'application/json' } }),
    )
    const { result, error } = (await response.json()) as {
      result?: Record<string, unknown> & { content?: { text: string }[] }
      error?: { code: number; message: string }
    }
    return { status: response.status, challenge: response.headers.get('www-authenticate'), result, error }
  }
  /** One request of 2026-07-28. */
  const sendModern = (method: string, params: object = {}, token?: unknown, name?: string) => {
    const message = { jsonrpc: '2.0', id: 1, method, params: modernParams(params) }
    return server.fetch(mcpRequest(origin, message, { token, headers: modernHeaders(method, name) }))
  }
  const signIn = async (scope?: string, name?: string) =>
    (await client.signIn({ ...(scope !== undefined && { scope }), ...(name !== undefined && { name }) }))
      .access_token
  return { server, time, owners, send, sendModern, signIn }
}

const protectedRequests: [string, object][] = [
  ['tools/call', { name: 'read' }],
  ['resources/read', { uri: 'notes://1' }],
  ['resources/subscribe', { uri: 'notes://1' }],
  ['prompts/get', { name: 'sum-up', arguments: { id: '1' } }],
  [
    'completion/complete',
    { ref: { type: 'ref/prompt', name: 'sum-up' }, argument: { name: 'id', value: '' } },
  ],
  [
    'completion/complete',
    { ref: { type: 'ref/resource', uri: 'notes://{id}' }, argument: { name: 'id', value: '' } },
  ],
  ['subscriptions/listen', { notifications: { resourceSubscriptions: ['x://y', 'notes://1'] } }],
]

describe('401 and 403 of each operation', () => {
  it.each(protectedRequests)(
    'R156: %s %j asks for sign-in, then for the scope, then is served',
    async (method, params) => {
      const { send, signIn } = setUp()
      const nobody = await send(method, params)
      expect(nobody.status).toBe(401)
      expect(nobody.challenge).toContain('scope="notes:read"')
      const base = await signIn('mcp')
      const little = await send(method, params, base)
      expect(little.status).toBe(403)
      expect(little.challenge).toContain('error="insufficient_scope"')
      expect(little.challenge).toContain('scope="notes:read"')
      const enough = await send(method, params, await signIn('mcp notes:read'))
      expect([401, 403]).not.toContain(enough.status)
    },
  )

  it('R156: a 403 names all scopes at once, wherever they were declared', async () => {
    const { send, signIn } = setUp()
    const { status, challenge } = await send('tools/call', { name: 'both' }, await signIn('mcp'))
    expect([status, challenge]).toEqual([403, expect.stringContaining('scope="notes:read notes:write"')])
  })

  it('R156: a scope that includes another is enough for it, however far away, and not the reverse', async () => {
    const { send, signIn } = setUp()
    const admin = await signIn('mcp notes:admin')
    expect((await send('tools/call', { name: 'read' }, admin)).status).toBe(200)
    expect((await send('tools/call', { name: 'both' }, admin)).result).toMatchObject({
      content: [{ text: 'both' }],
    })
    expect((await send('tools/call', { name: 'both' }, await signIn('mcp notes:read'))).status).toBe(403)
  })
})

describe('lists', () => {
  const names = (result: Record<string, unknown> | undefined, key: string) =>
    ((result?.[key] ?? []) as { name: string }[]).map(({ name }) => name)

  it('R156: what a caller may not use yet is listed, what is hidden is not, and is not found', async () => {
    const { send, signIn } = setUp()
    for (const token of [undefined, await signIn('mcp notes:write')]) {
      expect(names((await send('tools/list', {}, token)).result, 'tools')).toEqual([
        'public',
        'read',
        'me',
        'both',
        'own',
      ])
      expect(names((await send('prompts/list', {}, token)).result, 'prompts')).toEqual(['sum-up'])
      expect(names((await send('resources/templates/list', {}, token)).result, 'resourceTemplates')).toEqual([
        'notes://{id}',
      ])
      for (const [method, params] of [
        ['tools/call', { name: 'wipe' }],
        ['prompts/get', { name: 'audit' }],
        ['resources/read', { uri: 'admin://log' }],
        ['resources/read', { uri: 'admin://today' }],
        [
          'completion/complete',
          { ref: { type: 'ref/prompt', name: 'audit' }, argument: { name: 'x', value: '' } },
        ],
        [
          'completion/complete',
          { ref: { type: 'ref/resource', uri: 'admin://log' }, argument: { name: 'x', value: '' } },
        ],
        [
          'completion/complete',
          { ref: { type: 'ref/resource', uri: 'admin://{day}' }, argument: { name: 'day', value: '' } },
        ],
      ] as const) {
        const hidden = await send(method, params, token)
        expect([hidden.status, hidden.error?.code]).toEqual([200, -32602])
        expect(hidden.challenge).toBeNull()
      }
      // The same words as for a name that nobody has.
      const unknown = await send('tools/call', { name: 'wipf' }, token)
      const hidden = await send('tools/call', { name: 'wipe' }, token)
      expect(hidden.error).toEqual({
        ...unknown.error,
        message: unknown.error?.message.replace('wipf', 'wipe'),
      })
    }
  })

  it('R156: whoever has the role sees and uses what is hidden', async () => {
    const { send, signIn } = setUp()
    const admin = await signIn('mcp notes:admin')
    expect(names((await send('tools/list', {}, admin)).result, 'tools')).toContain('wipe')
    expect(names((await send('prompts/list', {}, admin)).result, 'prompts')).toContain('audit')
    expect((await send('tools/call', { name: 'wipe' }, admin)).result).toMatchObject({
      content: [{ text: 'secret' }],
    })
    expect((await send('resources/read', { uri: 'admin://log' }, admin)).result).toMatchObject({
      contents: [{ text: 'secret' }],
    })
  })

  it('R156: which resources a template has is told to those alone who may read them', async () => {
    const { send, signIn } = setUp()
    const listed = async (token?: unknown) =>
      names((await send('resources/list', {}, token)).result, 'resources')
    expect(await listed()).toEqual([])
    expect(await listed(await signIn('mcp'))).toEqual([])
    expect(await listed(await signIn('mcp notes:read'))).toEqual(['of true'])
    expect(await listed(await signIn('mcp notes:admin'))).toEqual(['of true', 'admin://log', 'today'].sort())
  })

  it('R199: lists and contents are private as soon as auth is involved, whatever was configured', async () => {
    const { sendModern, signIn } = setUp()
    const token = await signIn('mcp notes:read')
    for (const method of ['tools/list', 'prompts/list', 'resources/list', 'resources/templates/list']) {
      for (const credential of [undefined, token]) {
        const response = await sendModern(method, {}, credential)
        expect(await response.json()).toMatchObject({ result: { cacheScope: 'private', ttlMs: 1000 } })
        expect(response.headers.get('vary')).toContain('Authorization')
      }
    }
    const read = await sendModern('resources/read', { uri: 'notes://1' }, token, 'notes://1')
    expect(await read.json()).toMatchObject({ result: { cacheScope: 'private' } })
  })
})

describe('allow', () => {
  it('R156: judges the caller and the arguments, after they were checked', async () => {
    const { send, signIn, owners } = setUp()
    const token = await signIn('mcp')
    const call = (args: object) => send('tools/call', { name: 'own', arguments: args }, token)
    expect((await call({ project: 1 })).result).toMatchObject({
      isError: true,
      content: [{ text: expect.stringContaining('project') }],
    })
    expect((await call({ project: 'a' })).result).toEqual({
      isError: true,
      content: [{ type: 'text', text: 'You may not do this.' }],
    })
    owners.add(`${(await send('tools/call', { name: 'me' }, token)).result?.content?.[0]?.text}/a`)
    expect((await call({ project: 'a' })).result).toMatchObject({ content: [{ text: 'yours' }] })
    expect((await call({ project: 'b' })).result).toMatchObject({ isError: true })
  })
})

describe('subscriptions', () => {
  const frames = async (response: Response) => {
    const text = await response.text()
    return text.split('\n').flatMap(line => (line.startsWith('data: ') ? [JSON.parse(line.slice(6))] : []))
  }

  it('R157: a subscription hears nothing of what its caller may not read, nor after its token has ended', async () => {
    const { server, time, sendModern, signIn } = setUp()
    const token = await signIn('mcp notes:read')
    const listen = await sendModern(
      'subscriptions/listen',
      { notifications: { resourceSubscriptions: ['notes://1', 'admin://log'] } },
      token,
    )
    expect(listen.status).toBe(200)
    server.notify.resourceUpdated('admin://log')
    server.notify.resourceUpdated('notes://1')
    // Each publication is judged in turns of the event loop, not in time.
    for (let turn = 0; turn < 5; turn++) await new Promise(resolve => setImmediate(resolve))
    time.now += 10_000
    server.notify.resourceUpdated('notes://1')
    for (let turn = 0; turn < 5; turn++) await new Promise(resolve => setImmediate(resolve))
    await server.close()
    const heard = (await frames(listen)).flatMap(({ method, params }) =>
      method === 'notifications/resources/updated' ? [params.uri] : [],
    )
    expect(heard).toEqual(['notes://1'])
  })
})

describe('decorators for resources and prompts', () => {
  it.each([
    [
      'auth first',
      () => {
        class Notes {
          readonly name = 'mine'
          @requiresAuth({ scopes: ['notes:read'] })
          @resource('notes://{id}/text', { complete: { id: () => ['7'] } })
          text({ id }: { id: string }) {
            return `${this.name} ${id} ${deepCaller() !== undefined}`
          }
          @requiresAuth({ scopes: ['notes:read'] })
          @prompt({ description: 'd', input: z.object({ id: z.string() }) })
          ask({ id }: { id: string }) {
            return `${this.name} ${id}`
          }
        }
        return new Notes()
      },
    ],
    [
      'auth last',
      () => {
        class Notes {
          readonly name = 'mine'
          @resource('notes://{id}/text')
          @requiresAuth({ scopes: ['notes:read'] })
          text({ id }: { id: string }) {
            return `${this.name} ${id} ${deepCaller() !== undefined}`
          }
          @prompt({ description: 'd', input: z.object({ id: z.string() }) })
          @requiresAuth({ scopes: ['notes:read'] })
          ask({ id }: { id: string }) {
            return `${this.name} ${id}`
          }
          @tool({ description: 'd' })
          hello() {
            return 'hello'
          }
        }
        return new Notes()
      },
    ],
  ])('%s: the same protection as auth', async (_, create) => {
    const { server, send, signIn } = setUp()
    server.register(create())
    const token = await signIn('mcp notes:read')
    for (const [method, params, result] of [
      ['resources/read', { uri: 'notes://1/text' }, { contents: [{ text: 'mine 1 true' }] }],
      [
        'prompts/get',
        { name: 'ask', arguments: { id: '1' } },
        { messages: [{ content: { text: 'mine 1' } }] },
      ],
    ] as const) {
      expect((await send(method, params)).status).toBe(401)
      expect((await send(method, params, token)).result).toMatchObject(result)
    }
  })
})

describe('the context', () => {
  it('is found deep in a call, is that of the caller, and is gone afterwards', async () => {
    const { send, signIn } = setUp()
    const [ada, bob] = [await signIn('mcp notes:read', 'ada'), await signIn('mcp notes:read', 'bob')]
    const user = async (token: unknown) => {
      const { result } = await send('tools/call', { name: 'read' }, token)
      return result?.content?.[0]?.text
    }
    const answers = await Promise.all([ada, bob, ada, bob].map(user))
    expect(answers[0]).toBe(answers[2])
    expect(answers[1]).toBe(answers[3])
    expect(answers[0]).not.toBe(answers[1])
    expect(currentCall()).toBeUndefined()
  })
})
