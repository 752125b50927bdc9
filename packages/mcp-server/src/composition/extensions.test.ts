import { developmentSignIn } from '@sallyport/oauth'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { closesAfterEach } from '../closing.fixture.ts'
import { createServer } from '../create-server.ts'
import type { Server } from '../server.ts'
import type { TestCaller } from '../testing/test-caller.ts'
import { createTestServer } from '../testing/test-server.ts'

const quiet = {
  version: '1.0.0',
  environment: {},
  logLevel: 'silent',
  port: 3000,
  secrets: 'a-secret-for-tests-that-is-long-enough-0123456789',
} as const
const track = closesAfterEach()
const test = async (server: Server) => track(await createTestServer(server))
const create = (name: string) =>
  createServer({ ...quiet, name, signIn: developmentSignIn(), tasks: { pollIntervalMs: 5 } })

const mimeType = 'text/html;profile=mcp-app'
const views = { extensions: { 'io.modelcontextprotocol/ui': { mimeTypes: [mimeType] } } }

describe('the view of a mounted tool', () => {
  function boards() {
    const server = create('boards')
    server.tool('board', {
      description: 'd',
      ui: { html: '<p>board</p>', prefersBorder: true },
      _meta: { 'example.com/kept': true },
      run: () => 'board',
    })
    server.tool('move', {
      description: 'd',
      ui: { uri: 'ui://board/view', visibility: ['app'] },
      run: () => 'moved',
    })
    server.tool('chart', { description: 'd', ui: 'ui://charts/bar', run: () => 'chart' })
    server.resource('ui://charts/bar', { mimeType, run: () => '<p>chart</p>' })
    return server
  }
  const shownBy = async (server: Server) => {
    const client = await (await test(server)).asNobody().connect({ capabilities: views })
    const { tools } = await client.listTools()
    const shown = tools.map(async ({ name, _meta }) => {
      const { resourceUri: uri } = Object(_meta?.ui) as { resourceUri: string }
      return [name, _meta, (await client.readResource({ uri })).contents]
    })
    return Promise.all(shown)
  }
  const pages = (prefix: string, name: string) => {
    const board = `ui://${prefix}/board/view`
    const ui = { prefersBorder: true }
    const page = [{ uri: board, mimeType, text: '<p>board</p>', _meta: { ui } }]
    const chart = `ui://${prefix}/charts/bar`
    return [
      [`${name}_board`, { 'example.com/kept': true, ui: { resourceUri: board } }, page],
      [`${name}_move`, { ui: { resourceUri: board, visibility: ['app'] } }, page],
      [`${name}_chart`, { ui: { resourceUri: chart } }, [{ uri: chart, mimeType, text: '<p>chart</p>' }]],
    ]
  }

  it('is named where the client finds it', async () => {
    const server = create('outer')
    server.mount('office', boards())
    expect(await shownBy(server)).toEqual(pages('office', 'office'))
  })

  it('moves along when the server it is mounted on is mounted, and each mounting has its own', async () => {
    const middle = create('middle')
    middle.mount('a', boards())
    const server = create('outer')
    server.mount('far', middle)
    const other = boards()
    server.mount('near', other)
    expect(await shownBy(server)).toEqual([...pages('far/a', 'far_a'), ...pages('near', 'near')])
    // By itself it is as it was.
    expect((await shownBy(other)).map(([name]) => name)).toEqual(['board', 'move', 'chart'])
  })

  it('may be a page of the server it is mounted on', async () => {
    const inner = create('inner')
    inner.tool('chart', { description: 'd', ui: 'ui://shared/chart', run: () => 'chart' })
    const server = create('outer')
    server.resource('ui://shared/chart', { mimeType, run: () => '<p>shared</p>' })
    server.mount('office', inner)
    expect(await shownBy(server)).toMatchObject([
      ['office_chart', { ui: { resourceUri: 'ui://shared/chart' } }, [{ text: '<p>shared</p>' }]],
    ])
  })

  it('that is none stops the start, as it does where it was declared', async () => {
    const inner = create('inner')
    inner.tool('bad', { description: 'd', ui: 'ui://none/here', run: () => 'x' })
    const server = create('outer')
    server.mount('office', inner)
    await expect(server.start({ transport: 'mounted', throwOnError: true })).rejects.toThrow(
      /ui of tool "office_bad" names ui:\/\/none\/here, and there is no such resource/,
    )
  })
})

interface Answer {
  result?: {
    resultType?: string
    taskId?: string
    status?: string
    inputRequests?: Record<string, unknown>
    result?: { content?: { text: string }[]; isError?: boolean }
  }
  error?: { code: number }
}

/** A client that knows tasks, on behalf of somebody. */
function tasksOf(caller: TestCaller) {
  const capabilities = { extensions: { 'io.modelcontextprotocol/tasks': {} }, elicitation: { form: {} } }
  const send = async (method: string, params: object): Promise<Answer> => {
    const _meta = { 'io.modelcontextprotocol/clientCapabilities': capabilities }
    return (await caller.request(method, { ...params, _meta })).json() as Promise<Answer>
  }
  const get = async (taskId: string) => (await send('tasks/get', { taskId })).result
  return {
    send,
    get,
    call: (name: string, args = {}) => send('tools/call', { name, arguments: args }),
    until: async (taskId: string, status: string) => {
      await expect.poll(() => get(taskId), { timeout: 20_000, interval: 5 }).toMatchObject({ status })
      return get(taskId)
    },
  }
}

describe('a mounted tool that may be a task', () => {
  function jobs() {
    const inner = create('jobs')
    inner.tool('who', {
      description: 'd',
      auth: { scopes: ['jobs:run'] },
      task: 'required',
      run: async (_, { caller, elicit }) => {
        const { content } = await elicit({ message: 'Why?', schema: z.object({ why: z.string() }) })
        return `${caller.userId}: ${content?.why}`
      },
    })
    const server = create('outer')
    server.mount('office', inner)
    return server
  }

  it('runs, asks and ends as a task under its prefix, for whom it lets in', async () => {
    const kit = await test(jobs())
    const ada = await kit.asUser({ sub: 'ada', scopes: ['jobs:run'] })
    const { call, send, until } = tasksOf(ada)
    const { result } = await call('office_who')
    expect(result).toMatchObject({ resultType: 'task', status: 'working' })
    const taskId = result!.taskId!
    const asked = await until(taskId, 'input_required')
    const [name] = Object.keys(asked!.inputRequests!)
    const answer = { action: 'accept', content: { why: 'because' } }
    await send('tasks/update', { taskId, inputResponses: { [name!]: answer } })
    expect(await until(taskId, 'completed')).toMatchObject({
      result: { content: [{ text: `${ada.userId}: because` }] },
    })
    expect(kit.events.filter(({ type }) => type === 'tool_called')).toMatchObject([{ tool: 'office_who' }])
    const eve = tasksOf(await kit.asUser({ sub: 'eve', scopes: ['jobs:run'] }))
    expect(await eve.send('tasks/get', { taskId })).toMatchObject({ error: { code: -32602 } })
  })

  it('is refused to a client that knows no tasks, when it is a task or nothing', async () => {
    const kit = await test(jobs())
    const ada = await kit.asUser({ sub: 'ada', scopes: ['jobs:run'] })
    const refused = await ada.request('tools/call', { name: 'office_who', arguments: {} })
    expect(await refused.json()).toMatchObject({ error: { code: -32021 } })
  })
})

describe('middleware around a call that becomes a task', () => {
  function audited() {
    const seen: string[] = []
    const inner = create('inner')
    inner.use({ kind: 'tool' }, async ({ name }, next) => {
      seen.push(`inner ${name}`)
      return next()
    })
    inner.tool('run', {
      description: 'd',
      auth: { anonymous: true },
      task: 'optional',
      input: z.object({ n: z.number().default(1) }),
      run: async ({ n }, { elicit }) => {
        seen.push('handler')
        const { content } = await elicit({ message: 'Go on?', schema: z.object({ go: z.string() }) })
        return `${n} ${content?.go}`
      },
    })
    const server = create('outer')
    let open = () => {}
    const opened = new Promise<void>(resolve => {
      open = resolve
    })
    server.use({ kind: 'tool' }, async ({ name, input, context }, next) => {
      seen.push(`outer ${name} ${JSON.stringify(input)}`)
      await opened
      await context.progress(1)
      const result = await next()
      seen.push('outer ended')
      return { ...result, _meta: { 'example.com/audited': true } }
    })
    server.mount('office', inner)
    return { server, seen, open }
  }

  it('stands around the task, once: the client is answered before it ends, questions do not repeat it', async () => {
    const { server, seen, open } = audited()
    const { call, send, until } = tasksOf((await test(server)).asNobody())
    const { result } = await call('office_run', { n: 7 })
    expect(result).toMatchObject({ resultType: 'task', status: 'working' })
    open()
    const taskId = result!.taskId!
    const asked = await until(taskId, 'input_required')
    const before = ['outer office_run {"n":7}', 'inner run', 'handler']
    expect(seen).toEqual(before)
    const [name] = Object.keys(asked!.inputRequests!)
    const answer = { action: 'accept', content: { go: 'on' } }
    await send('tasks/update', { taskId, inputResponses: { [name!]: answer } })
    expect(await until(taskId, 'completed')).toMatchObject({
      result: { content: [{ text: '7 on' }], _meta: { 'example.com/audited': true } },
    })
    expect(seen).toEqual([...before, 'outer ended'])
  })

  it('that refuses ends the task with its words, and the handler never runs', async () => {
    const server = create('outer')
    let ran = 0
    server.use({ kind: 'tool', name: 'run' }, () => ({
      content: [{ type: 'text', text: 'not today' }],
      isError: true,
    }))
    server.tool('run', {
      description: 'd',
      task: 'required',
      run: () => {
        ran++
        return 'ran'
      },
    })
    const { call, until } = tasksOf((await test(server)).asNobody())
    const { result } = await call('run')
    expect(await until(result!.taskId!, 'completed')).toMatchObject({
      result: { content: [{ text: 'not today' }], isError: true },
    })
    expect(ran).toBe(0)
  })
})
