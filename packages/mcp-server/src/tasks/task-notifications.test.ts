import { createMemoryStore, type Store, StoreUnavailableError } from '@sallyport/oauth'
import { describe, expect, it } from 'vitest'
import { heardOn, type Message } from './task-messages.fixture.ts'
import { taskRequest } from './task-request.fixture.ts'
import { opened, origin, setUp as setUpTasks } from './tasks.fixture.ts'

function setUp(given: Parameters<typeof setUpTasks>[0] = {}) {
  const at = setUpTasks(given)
  const listen = async (notifications: object, token?: string) => {
    const client = new AbortController()
    const request = taskRequest(origin, 'subscriptions/listen', { notifications }, { token, id: 'hear' })
    const response = await at.server.fetch(new Request(request, { signal: client.signal }))
    opened.push({ close: async () => client.abort() })
    return { response, client, ...heardOn(response) }
  }
  return { ...at, listen }
}

const acknowledgement = (notifications: object) => ({
  jsonrpc: '2.0',
  method: 'notifications/subscriptions/acknowledged',
  params: { notifications, _meta: { 'io.modelcontextprotocol/subscriptionId': 'hear' } },
})
const statuses = (heard: readonly Message[], of?: string) =>
  heard
    .filter(({ method, params }) => method === 'notifications/tasks' && (!of || params?.taskId === of))
    .map(({ params }) => params?.status)
const soon = { timeout: 20_000, interval: 5 }

describe('who listens to a task', () => {
  it('hears how it stands, at once and until it has ended, as tasks/get says it', async () => {
    const { signIn, begin, send, get, listen } = setUp()
    const { access_token: token } = await signIn()
    const taskId = await begin('ask', token)
    const { heard, state } = await listen({ taskIds: [taskId, taskId] }, token)
    await expect.poll(() => heard.at(-1)?.params?.inputRequests, soon).toHaveProperty('town')
    expect(heard[0]).toEqual(acknowledgement({ taskIds: [taskId] }))
    const answer = { action: 'accept', content: { answer: 'Ada' } }
    await send('tasks/update', { taskId, inputResponses: { name: answer, town: answer } }, { token })
    await expect.poll(() => statuses(heard).at(-1), soon).toBe('completed')
    const { resultType: _, _meta: __, ...task } = (await get(taskId, token)).result!
    expect(heard.at(-1)).toEqual({
      jsonrpc: '2.0',
      method: 'notifications/tasks',
      params: { ...task, _meta: { 'io.modelcontextprotocol/subscriptionId': 'hear' } },
    })
    expect(state.over).toBe(false)
  })

  it('hears of one that has ended before, once', async () => {
    const { signIn, begin, until, listen, server } = setUp()
    const { access_token: token } = await signIn()
    const taskId = await begin('who', token)
    await until(taskId, 'completed', token)
    const { heard, ended } = await listen({ taskIds: [taskId] }, token)
    await expect.poll(() => statuses(heard), soon).toEqual(['completed'])
    // A server that stops says so on the stream.
    await server.close()
    await ended
    expect(heard.slice(2)).toMatchObject([{ id: 'hear', result: { resultType: 'complete' } }])
  })

  it('hears of it in another process than the one that runs it', async () => {
    const store = createMemoryStore({ tenant: 'default' })
    const one = setUp({ store })
    const { access_token: token } = await one.signIn()
    const taskId = await one.begin('wait', token)
    // It does not look by itself: what it hears, it was told.
    const slow = { tasks: { pollIntervalMs: 60_000 } }
    const other = setUp({ store, options: slow })
    const { heard } = await other.listen({ taskIds: [taskId] }, token)
    await expect.poll(() => heard.at(-1)?.params?.statusMessage, soon).toBe('1 of 2')
    one.gate.open()
    await expect.poll(() => statuses(heard).at(-1), soon).toBe('completed')
  })

  it('hears that it failed when its process has died, which tells nobody', async () => {
    const store = createMemoryStore({ tenant: 'default' })
    const dead: Store = { ...store, replaceCallTask: () => new Promise(() => {}) }
    const one = setUpTasks({ store: dead, options: { tasks: { pollIntervalMs: 60_000 } } })
    const { access_token: token } = await one.signIn()
    const taskId = await one.begin('wait', token)
    const other = setUp({ store, time: one.time })
    const { heard } = await other.listen({ taskIds: [taskId] }, token)
    await expect.poll(() => statuses(heard), soon).toEqual(['working'])
    one.time.now += 46
    await expect.poll(() => statuses(heard), soon).toEqual(['working', 'failed'])
  })

  it('hears of what else it asked for on the same stream, and of nothing more', async () => {
    const { server, signIn, begin, listen, gate } = setUp()
    const toggled = server.tool('toggled', { description: 'd', run: () => 'x' })
    const { access_token: token } = await signIn()
    const taskId = await begin('wait', token)
    const tasksOnly = await listen({ taskIds: [taskId] }, token)
    const both = await listen({ taskIds: [taskId], toolsListChanged: true }, token)
    await expect.poll(() => statuses(both.heard), soon).not.toEqual([])
    expect(both.heard[0]).toEqual(acknowledgement({ toolsListChanged: true, taskIds: [taskId] }))
    toggled.disable()
    gate.open()
    for (const { heard } of [tasksOnly, both]) {
      await expect.poll(() => statuses(heard).at(-1), soon).toBe('completed')
    }
    const lists = ({ heard }: typeof both) => heard.filter(({ method }) => method?.includes('list_changed'))
    await expect.poll(() => lists(both).length, soon).toBe(1)
    expect(lists(tasksOnly)).toEqual([])
  })
})

describe('who may hear of a task', () => {
  it('R160: its caller alone; ids of others are as unknown as those that never were', async () => {
    const { signIn, begin, listen, gate, until } = setUp()
    const { access_token: token } = await signIn('ada')
    const { access_token: stranger } = await signIn('eve')
    const [taskId, strangers] = [await begin('wait', token), await begin('wait', stranger)]
    const { heard } = await listen({ taskIds: [taskId, strangers, 'never-was'] }, token)
    for (const nothing of [[strangers], ['never-was']]) {
      const { heard, ended } = await listen({ taskIds: nothing }, token)
      await ended
      expect(heard).toMatchObject([acknowledgement({}), { id: 'hear', result: {} }])
    }
    gate.open()
    await until(strangers, 'completed', stranger)
    await expect.poll(() => statuses(heard).at(-1), soon).toBe('completed')
    expect(heard[0]).toEqual(acknowledgement({ taskIds: [taskId] }))
    expect(JSON.stringify(heard)).not.toContain(strangers)
  })

  it('R157: nobody any more whose sign-in was revoked', async () => {
    const { signIn, begin, listen, client } = setUp()
    const { access_token: token, refresh_token: refresh } = await signIn('ada')
    const taskId = await begin('wait', token)
    const { heard, ended } = await listen({ taskIds: [taskId] }, token)
    await expect.poll(() => statuses(heard).length, soon).toBeGreaterThan(0)
    expect(await client.revoke(refresh!)).toBe(200)
    await ended
    expect(statuses(heard)).not.toContain('completed')
  })

  it('R156: nobody whom the tool would let through no more', async () => {
    const { server, signIn, begin, listen, gate } = setUp()
    const members = new Set(['ada'])
    server.tool('secret', {
      description: 'd',
      auth: { allow: () => members.has('ada') },
      task: 'required',
      run: async () => {
        await gate.opened
        return 'a secret'
      },
    })
    const { access_token: token } = await signIn()
    const [secret, plain] = [await begin('secret', token), await begin('wait', token)]
    const { heard } = await listen({ taskIds: [secret, plain] }, token)
    await expect.poll(() => statuses(heard, secret), soon).toEqual(['working'])
    members.clear()
    gate.open()
    await expect.poll(() => statuses(heard, plain).at(-1), soon).toBe('completed')
    expect(statuses(heard, secret)).toEqual(['working'])
    expect(JSON.stringify(heard)).not.toContain('a secret')
  })

  it('R189: nobody while the store does not answer, which is told as no more than that', async () => {
    const store = createMemoryStore({ tenant: 'default' })
    const state = { isDown: false }
    const failing: Store = {
      ...store,
      findCallTask: step =>
        state.isDown
          ? Promise.reject(new StoreUnavailableError('redis.internal refused'))
          : store.findCallTask(step),
    }
    const { signIn, listen, begin } = setUp({ store: failing })
    const { access_token: token } = await signIn()
    const taskId = await begin('wait', token)
    state.isDown = true
    const { response, heard, ended } = await listen({ taskIds: [taskId] }, token)
    await ended
    expect([response.status, response.headers.get('retry-after'), heard]).toEqual([503, '1', []])
  })
})
