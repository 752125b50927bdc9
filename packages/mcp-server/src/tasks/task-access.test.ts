import { createMemoryStore } from '@sallyport/oauth'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { setUp as setUpTasks } from './tasks.fixture.ts'

const unknown = { code: -32602, message: 'Task not found' }

function setUp() {
  const at = setUpTasks({ store: createMemoryStore({ tenant: 'default' }) })
  const { server, send } = at
  const members = new Set(['red'])
  const runs: string[] = []
  const asked: unknown[] = []
  server.tool('report', {
    description: 'd',
    input: z.object({ project: z.string().transform(text => text.toLowerCase()) }),
    auth: {
      allow: (_: unknown, { project }: { project: string }) => {
        asked.push(project)
        if (members.has('nobody knows')) throw new Error('the list of members is away')
        return members.has(project)
      },
    },
    task: 'required',
    run: ({ project }) => {
      runs.push(project)
      return `the report of ${project}`
    },
  })
  server.tool('pay', { description: 'd', auth: { maxAgeSeconds: 60 }, task: 'required', run: () => 'paid' })
  const toggled = server.tool('toggled', { description: 'd', auth: {}, task: 'required', run: () => 'here' })
  const call = (name: string, token: string | undefined, args: object = {}) =>
    send('tools/call', { name, arguments: args }, { token })
  const finished = async (name: string, token: string | undefined, args: object = {}) => {
    const taskId = (await call(name, token, args)).result!.taskId!
    await at.until(taskId, 'completed', token)
    return taskId
  }
  const ask = (method: string, taskId: string, token: string | undefined) =>
    send(method, { taskId, inputResponses: {} }, { token })
  return { ...at, members, runs, asked, toggled, call, finished, ask }
}

const methods = ['tasks/get', 'tasks/update', 'tasks/cancel']

describe('what a tool asks of its caller, of its tasks', () => {
  it('R156: a caller whom `allow` lets through no more has lost the task, until it does again', async () => {
    const { signIn, members, finished, ask, asked } = setUp()
    const { access_token: token } = await signIn()
    const taskId = await finished('report', token, { project: 'RED' })
    members.delete('red')
    for (const method of methods) expect((await ask(method, taskId, token)).error).toMatchObject(unknown)
    members.add('red')
    expect((await ask('tasks/get', taskId, token)).result).toMatchObject({
      result: { content: [{ text: 'the report of red' }] },
    })
    // What passed the schema, as in a call.
    expect([...new Set(asked)]).toEqual(['red'])
  })

  it('R189: an `allow` that fails keeps the task, and tells nothing of why', async () => {
    const { signIn, members, finished, ask } = setUp()
    const { access_token: token } = await signIn()
    const taskId = await finished('report', token, { project: 'red' })
    members.add('nobody knows')
    expect((await ask('tasks/get', taskId, token)).error).toEqual({ code: -32603, message: 'Internal error' })
    members.delete('nobody knows')
    expect((await ask('tasks/get', taskId, token)).result).toMatchObject({ status: 'completed' })
  })

  it('a call that is refused, or does not fit, is answered at once and is no task', async () => {
    const { signIn, call, runs, members } = setUp()
    const { access_token: token } = await signIn()
    const answers = [
      await call('report', token, { project: 'blue' }),
      await call('report', token, { project: 1 }),
    ]
    members.add('nobody knows')
    answers.push(await call('report', token, { project: 'red' }))
    expect(answers.map(({ result }) => [result?.resultType, result?.isError])).toEqual(
      answers.map(() => ['complete', true]),
    )
    expect(JSON.stringify(answers)).not.toContain('the list of members')
    expect(runs).toEqual([])
  })

  it('R156: a sign-in that is too long ago is a challenge, and a new one brings the result', async () => {
    const { signIn, finished, ask, time } = setUp()
    const { access_token: token } = await signIn()
    const taskId = await finished('pay', token)
    time.now += 61
    for (const method of methods) {
      expect(await ask(method, taskId, token)).toMatchObject({
        status: 401,
        error: 'insufficient_user_authentication',
      })
    }
    // A task that is not there asks nothing of anybody.
    expect((await ask('tasks/get', 'never-was', token)).error).toMatchObject(unknown)
    const { access_token: again } = await signIn()
    expect((await ask('tasks/get', taskId, again)).result).toMatchObject({ status: 'completed' })
  })

  it('a tool that was disabled takes no new calls, and what it did is not lost', async () => {
    const { signIn, call, finished, ask, toggled } = setUp()
    const { access_token: token } = await signIn()
    const taskId = await finished('toggled', token)
    toggled.disable()
    expect((await call('toggled', token)).error).toMatchObject({ code: -32602 })
    expect((await ask('tasks/get', taskId, token)).result).toMatchObject({ status: 'completed' })
  })

  it('a tool that is no more has no tasks', async () => {
    const store = createMemoryStore({ tenant: 'default' })
    const before = setUpTasks({ store })
    before.server.tool('gone', { description: 'd', auth: {}, task: 'required', run: () => 'x' })
    const { access_token: token } = await before.signIn()
    const taskId = await before.begin('gone', token)
    await before.until(taskId, 'completed', token)
    const after = setUpTasks({ store })
    for (const method of methods) {
      expect((await after.send(method, { taskId, inputResponses: {} }, { token })).error).toMatchObject(
        unknown,
      )
    }
  })

  it('R156: a hidden tool asks for nothing: its task is unknown to a token with less', async () => {
    const { server, signIn, finished, ask } = setUp()
    server.tool('secret', {
      description: 'd',
      auth: { scopes: ['admin'], hidden: true },
      task: 'required',
      run: () => 'x',
    })
    const { access_token: token } = await signIn('ada', 'mcp admin')
    const taskId = await finished('secret', token)
    const { access_token: less } = await signIn('ada', 'mcp')
    for (const method of methods) expect((await ask(method, taskId, less)).error).toMatchObject(unknown)
  })
})
