import { createMemoryStore, type Store } from '@sallyport/oauth'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { extension, taskRequest } from './task-request.fixture.ts'
import { origin, setUp as setUpTasks } from './tasks.fixture.ts'

/** How often its store was given a task. */
function countingStore() {
  const store = createMemoryStore({ tenant: 'default' })
  const counted = { tasks: 0 }
  const counting: Store = {
    ...store,
    putCallTask(step) {
      counted.tasks++
      return store.putCallTask(step)
    },
  }
  return { store: counting, counted }
}

const name = z.object({ name: z.string() })
const named = (value: string) => ({ action: 'accept', content: { name: value } })

function setUp() {
  const { store, counted } = countingStore()
  const at = setUpTasks({ store })
  const { server, gate, send } = at
  const common = { description: 'd', auth: {}, taskCreation: 'by-handler' } as const
  server.tool('greet', {
    ...common,
    task: 'required',
    run: async (_, { elicit, createTask }) => {
      const { content } = await elicit({ id: 'user', message: 'Your name?', schema: name })
      if (!content) return 'nobody to greet'
      await createTask()
      await createTask()
      const second = await elicit({ id: 'user', message: 'And who else?', schema: name })
      return `${content.name} and ${second.content?.name ?? 'nobody'}`
    },
  })
  server.tool('buy', {
    ...common,
    task: 'optional',
    run: async (_, { elicit, createTask, caller }) => {
      const { content } = await elicit({ id: 'user', message: 'Whose?', schema: name, once: true })
      await createTask()
      return `${content?.name} has it, says ${caller.userId}`
    },
  })
  server.tool('hasty', {
    ...common,
    task: 'required',
    run: async (_, { elicit, createTask }) => {
      const asked = elicit({ id: 'user', message: 'Your name?', schema: name })
      await createTask()
      return `${(await asked).content?.name}`
    },
  })
  server.tool('tell', {
    ...common,
    task: 'required',
    run: async (_, { progress, createTask, signal }) => {
      signal.addEventListener('abort', () => gate.aborted.push('tell'))
      await progress(1, 3, 'before')
      await createTask()
      await progress(2, 3, 'after')
      await gate.opened
      return 'told'
    },
  })
  const call = (tool: string, token: string | undefined, more: object = {}, capabilities?: object) =>
    send(
      'tools/call',
      { name: tool, arguments: {}, ...more },
      { token, ...(capabilities && { capabilities }) },
    )
  /** Calls, and answers what it asks. */
  const answered = async (tool: string, token: string | undefined, user: string) => {
    const { result } = await call(tool, token)
    expect(result).toMatchObject({ resultType: 'input_required', inputRequests: { user: {} } })
    const { requestState } = result as { requestState?: string }
    return { requestState, inputResponses: { user: named(user) } }
  }
  return { ...at, counted, call, answered }
}

describe('a tool that asks before it becomes a task', () => {
  it('asks in rounds, and the last round is the task, with nothing of the rounds in it', async () => {
    const { signIn, answered, call, send, get, until, counted } = setUp()
    const { access_token: token } = await signIn()
    const round = await answered('greet', token, 'Ada')
    expect(counted.tasks).toBe(0)
    const { result } = await call('greet', token, round)
    expect(Object.keys(result!).sort()).toEqual(
      [
        'resultType',
        'taskId',
        'status',
        'createdAt',
        'lastUpdatedAt',
        'ttlMs',
        'pollIntervalMs',
        '_meta',
      ].sort(),
    )
    expect(result).toMatchObject({ resultType: 'task', status: 'working' })
    const taskId = result!.taskId!
    await until(taskId, 'input_required', token)
    await send('tasks/update', { taskId, inputResponses: { user: named('Eve') } }, { token })
    await until(taskId, 'completed', token)
    expect((await get(taskId, token)).result?.result?.content?.[0]?.text).toBe('Ada and Eve')
    expect(counted.tasks).toBe(1)
  })

  it('answers without a task when its handler makes none', async () => {
    const { signIn, answered, call, counted } = setUp()
    const { access_token: token } = await signIn()
    const round = await answered('greet', token, 'Ada')
    const { result } = await call('greet', token, {
      ...round,
      inputResponses: { user: { action: 'decline' } },
    })
    expect(result).toMatchObject({ resultType: 'complete', content: [{ text: 'nobody to greet' }] })
    expect(counted.tasks).toBe(0)
  })

  it('becomes no task while something is asked that has no answer', async () => {
    const { signIn, answered, call, until, get, counted } = setUp()
    const { access_token: token } = await signIn()
    const round = await answered('hasty', token, 'Ada')
    expect(counted.tasks).toBe(0)
    const { result } = await call('hasty', token, round)
    await until(result!.taskId!, 'completed', token)
    expect((await get(result!.taskId!, token)).result?.result?.content?.[0]?.text).toBe('Ada')
  })

  it('R161: with `once`, the last round sent again makes no second task', async () => {
    const { signIn, answered, call, counted } = setUp()
    const { access_token: token } = await signIn()
    const round = await answered('buy', token, 'Ada')
    expect((await call('buy', token, round)).result).toMatchObject({ resultType: 'task' })
    expect((await call('buy', token, round)).error).toMatchObject({ code: -32602 })
    expect(counted.tasks).toBe(1)
  })

  it('R161: the rounds of one user make no task of another', async () => {
    const { signIn, answered, call, counted } = setUp()
    const { access_token: token } = await signIn('ada')
    const { access_token: stranger } = await signIn('eve')
    const round = await answered('buy', token, 'Ada')
    expect((await call('buy', stranger, round)).error).toMatchObject({ code: -32602 })
    expect(counted.tasks).toBe(0)
  })

  it('is a call as ever to a client that knows no tasks, and refused to it when it must be one', async () => {
    const { signIn, call, counted } = setUp()
    const { access_token: token } = await signIn()
    const knowsNone = { elicitation: {} }
    const first = await call('buy', token, {}, knowsNone)
    const { requestState } = first.result as { requestState?: string }
    const round = { requestState, inputResponses: { user: named('Ada') } }
    expect((await call('buy', token, round, knowsNone)).result).toMatchObject({
      resultType: 'complete',
      content: [{ text: expect.stringMatching(/^Ada has it/) }],
    })
    expect(counted.tasks).toBe(0)
    expect((await call('greet', token, {}, knowsNone)).error).toMatchObject({ code: -32021 })
  })

  it('R171: is told when its caller has as many tasks as it may', async () => {
    const { signIn, answered, call, begin } = setUp()
    const { access_token: token } = await signIn()
    for (let count = 0; count < 3; count++) await begin('who', token)
    const round = await answered('buy', token, 'Ada')
    expect((await call('buy', token, round)).result).toMatchObject({
      resultType: 'complete',
      isError: true,
      content: [{ text: expect.stringContaining('Too many tasks') }],
    })
  })

  it('tells its progress on the stream, and from then on in the task', async () => {
    const { server, signIn, gate, get, until } = setUp()
    const { access_token: token } = await signIn()
    const response = await server.fetch(streamed('tell', token!))
    const events = [...(await response.text()).matchAll(/^data: (.*)$/gm)].map(([, data]) =>
      JSON.parse(data!),
    )
    expect(events.map(({ method, params }) => [method, params?.message])).toEqual([
      ['notifications/progress', 'before'],
      [undefined, undefined],
    ])
    const { result } = events[1]
    expect(result).toMatchObject({ resultType: 'task', status: 'working' })
    expect(result).not.toHaveProperty('content')
    await expect
      .poll(async () => (await get(result.taskId, token)).result?.statusMessage, { timeout: 20_000 })
      .toBe('after')
    gate.open()
    await until(result.taskId, 'completed', token)
  })

  it('ends with its client before it is a task, and with the task after that', async () => {
    const { server, signIn, gate, send } = setUp()
    const { access_token: token } = await signIn()
    const client = new AbortController()
    const response = await server.fetch(streamed('tell', token!, client.signal))
    const { taskId } = JSON.parse(/^data: (.*"taskId".*)$/m.exec(await response.text())![1]!).result
    client.abort()
    await new Promise(resolve => setImmediate(resolve))
    expect(gate.aborted).toEqual([])
    await send('tasks/cancel', { taskId }, { token })
    await expect.poll(() => gate.aborted, { timeout: 20_000 }).toEqual(['tell'])
  })
})

/** A call whose client wants to hear of its progress. */
const streamed = (tool: string, token: string, signal?: AbortSignal): Request =>
  new Request(
    taskRequest(
      origin,
      'tools/call',
      { name: tool, arguments: {}, _meta: { progressToken: 'p' } },
      { token, capabilities: { extensions: { [extension]: {} } } },
    ),
    signal && { signal },
  )

it.each([
  [{ task: 'required', taskCreation: 'later' as 'at-once' }, /taskCreation of tool "bad"/],
  [{ taskCreation: 'by-handler' }, /tool "bad" has taskCreation and is never a task/],
] as const)('says at start what is wrong: %j', (declared, problem) => {
  const { server } = setUpTasks()
  expect(() => server.tool('bad', { description: 'd', run: () => 'x', ...declared })).toThrow(problem)
})
