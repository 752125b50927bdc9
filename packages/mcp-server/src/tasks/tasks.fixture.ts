import { ProtocolError } from '@modelcontextprotocol/server'
import { createMemoryStore, developmentSignIn, type Store } from '@sallyport/oauth'
import { afterEach, expect } from 'vitest'
import { z } from 'zod'
import { createServer } from '../create-server.ts'
import type { ServerOptions } from '../server.ts'
import { createTestClient } from '../sign-in.fixture.ts'
import { ToolError } from '../tools/tool-error.ts'
import { taskRequest } from './task-request.fixture.ts'

export const origin = 'http://localhost:3000'
export const secrets = 'a-secret-for-tests-that-is-long-enough-0123456789'

export const opened: { close(): Promise<unknown> }[] = []
afterEach(async () => {
  for (const each of opened.splice(0).reverse()) await each.close()
})

export interface Answer {
  status: number
  /** `WWW-Authenticate`. */
  challenge?: string
  result?: Record<string, unknown> & {
    taskId?: string
    status?: string
    result?: { content?: { text: string }[]; isError?: boolean }
    inputRequests?: Record<string, unknown>
    capabilities?: unknown
  }
  error?: { code: number; message: string; data?: unknown }
}

/** What tools of the fixture wait for, and what they saw. */
function createGate() {
  let open = () => {}
  const opened = new Promise<void>(resolve => {
    open = resolve
  })
  return { open: () => open(), opened, aborted: [] as string[] }
}

export function setUp({
  store = createMemoryStore({ tenant: 'default' }),
  time = { now: 1_800_000_000 },
  options = {},
}: {
  store?: Store
  time?: { now: number }
  options?: Partial<ServerOptions>
} = {}) {
  const gate = createGate()
  const server = createServer({
    name: 'jobs',
    version: '1.0.0',
    signIn: developmentSignIn(),
    store,
    secrets,
    environment: {},
    logLevel: 'silent',
    clock: () => time.now,
    tasks: { pollIntervalMs: 5, maxPerCaller: 3, maxAnonymous: 2 },
    ...(options as object),
  })
  // What still waits at the end of a test must not hold up the server.
  opened.push(server, { close: async () => gate.open() })
  server.tool('plain', { description: 'd', run: () => 'at once' })
  server.tool('who', {
    description: 'd',
    auth: {},
    task: 'optional',
    run: (_, { caller }) => `it is ${caller.userId}`,
  })
  server.tool('wait', {
    description: 'd',
    auth: {},
    task: 'required',
    run: async (_, { signal, progress }) => {
      await progress(1, 2)
      await Promise.race([
        gate.opened,
        new Promise(resolve => signal.addEventListener('abort', resolve, { once: true })),
      ])
      if (signal.aborted) gate.aborted.push('wait')
      return 'waited'
    },
  })
  server.tool('scoped', {
    description: 'd',
    auth: { scopes: ['jobs:run'] },
    task: 'optional',
    run: () => 'a secret of the scope',
  })
  server.tool('open', { description: 'd', auth: { anonymous: true }, task: 'optional', run: () => 'for all' })
  server.tool('fails', {
    description: 'd',
    auth: {},
    task: 'optional',
    run: () => {
      throw new ToolError('no luck')
    },
  })
  server.tool('breaks', {
    description: 'd',
    auth: {},
    task: 'optional',
    run: () => {
      throw new ProtocolError(-32050, 'a panic', { hint: 1 })
    },
  })
  server.tool('huge', { description: 'd', auth: {}, task: 'optional', run: () => 'x'.repeat(1_000_000) })
  server.tool('too-huge', { description: 'd', auth: {}, task: 'optional', run: () => 'x'.repeat(1_048_576) })
  server.tool('breaks-hugely', {
    description: 'd',
    auth: {},
    task: 'optional',
    run: () => {
      throw new ProtocolError(-32050, 'a panic', 'x'.repeat(300_000))
    },
  })
  server.tool('ask', {
    description: 'd',
    auth: {},
    task: 'optional',
    run: async (_, { elicit }) => {
      const question = (id: string) =>
        elicit({ id, message: `Your ${id}?`, schema: z.object({ answer: z.string().min(2) }) })
      const answers = await Promise.all([question('name'), question('town')])
      return answers.map(({ content }) => content?.answer ?? 'nothing').join(' of ')
    },
  })

  const client = createTestClient(request => server.fetch(request), origin)
  const signIn = async (name = 'ada', scope?: string) =>
    (await client.signIn({ name, ...(scope !== undefined && { scope }) })) as Record<string, string>
  const send = async (
    method: string,
    params: Record<string, unknown>,
    sender: { token?: string | undefined; capabilities?: object } = {},
  ): Promise<Answer> => {
    const response = await server.fetch(taskRequest(origin, method, params, sender))
    const text = await response.text()
    const json = text.startsWith('{') ? text : (/^data: (\{.*)$/m.exec(text)?.[1] ?? '{}')
    const challenge = response.headers.get('www-authenticate')
    return { status: response.status, ...(challenge !== null && { challenge }), ...JSON.parse(json) }
  }
  const call = (name: string, token?: string, capabilities?: object) =>
    send('tools/call', { name, arguments: {} }, { token, ...(capabilities && { capabilities }) })
  const get = (taskId: string, token?: string) => send('tasks/get', { taskId }, { token })
  const begin = async (name: string, token?: string): Promise<string> => {
    const { result } = await call(name, token)
    expect(result).toMatchObject({ resultType: 'task', status: 'working' })
    return result!.taskId!
  }
  const until = (taskId: string, status: string, token?: string) =>
    expect
      .poll(async () => (await get(taskId, token)).result, { timeout: 20_000, interval: 5 })
      .toMatchObject({ status })
  return { server, store, time, gate, client, signIn, send, call, get, begin, until }
}
