import { once } from 'node:events'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { type RedisServer, startRedisServer } from '../../../oauth/src/storage/redis-server.fixture.ts'
import { freePort, type ServerProcess, startProcess } from '../processes.fixture.ts'
import { createTestClient } from '../sign-in.fixture.ts'
import { heardOn } from './task-messages.fixture.ts'
import { taskRequest } from './task-request.fixture.ts'

interface Answer {
  result?: Record<string, unknown> & { taskId?: string; status?: string; inputRequests?: object }
  error?: { code: number; message: string }
}

interface Process extends ServerProcess {
  send(method: string, params: Record<string, unknown>, token: unknown): Promise<Response>
  request(method: string, params: Record<string, unknown>, token: unknown): Promise<Answer>
}

let redis: RedisServer
let publicUrl: string

async function startTaskServer(port: number): Promise<Process> {
  const process = await startProcess('tasks/tasks-main.fixture.ts', publicUrl, port, { REDIS_URL: redis.url })
  const send: Process['send'] = (method, params, token) =>
    process.serve(taskRequest(publicUrl, method, params, { token }))
  return {
    ...process,
    send,
    request: async (...request) => (await (await send(...request)).json()) as Answer,
  }
}

let one: Process
let other: Process
let client: ReturnType<typeof createTestClient>
beforeAll(async () => {
  redis = await startRedisServer({ appendonly: 'yes' })
})
beforeEach(async () => {
  const [port, otherPort] = [await freePort(), await freePort()]
  publicUrl = `http://localhost:${otherPort}`
  other = await startTaskServer(otherPort)
  one = await startTaskServer(port)
  client = createTestClient(other.serve, publicUrl)
  return async () => {
    await one.close()
    await other.close()
  }
})
afterAll(() => redis.stop())

const begin = async (name: string, token: unknown): Promise<string> => {
  const { result } = await one.request('tools/call', { name }, token)
  expect(result).toMatchObject({ resultType: 'task', status: 'working' })
  return result!.taskId!
}
const at = (process: Process, taskId: string, token: unknown) =>
  expect.poll(async () => (await process.request('tasks/get', { taskId }, token)).result, {
    interval: 50,
    timeout: 60_000,
  })

it('a question is heard of and answered, and the result is read, in another process than the one that runs the task', async () => {
  const { access_token: token } = await client.signIn()
  const taskId = await begin('greet', token)
  const notifications = { taskIds: [taskId] }
  const { heard } = heardOn(await other.send('subscriptions/listen', { notifications }, token))
  await at(other, taskId, token).toMatchObject({ status: 'input_required', inputRequests: { name: {} } })
  const inputResponses = { name: { action: 'accept', content: { name: 'Ada' } } }
  await other.request('tasks/update', { taskId, inputResponses }, token)
  await at(other, taskId, token).toMatchObject({
    status: 'completed',
    result: { content: [{ text: expect.stringMatching(/^Ada is /) }] },
  })
  await at(one, taskId, token).toMatchObject({ status: 'completed' })
  const told = { method: 'notifications/tasks', params: { taskId, status: 'completed' } }
  await expect.poll(() => heard.at(-1), { timeout: 60_000 }).toMatchObject(told)
})

it('a cancellation in another process reaches the one that runs the task', async () => {
  const { access_token: token } = await client.signIn()
  const taskId = await begin('wait', token)
  expect((await other.request('tasks/cancel', { taskId }, token)).error).toBeUndefined()
  await expect.poll(() => one.said, { timeout: 60_000 }).toContain('aborted')
  await at(one, taskId, token).toMatchObject({ status: 'cancelled' })
})

it('R157: a sign-in revoked in another process ends the task it began', async () => {
  const { access_token: token, refresh_token: refresh } = await client.signIn()
  const taskId = await begin('wait', token)
  expect(await client.revoke(String(refresh))).toBe(200)
  await expect.poll(() => one.said, { timeout: 60_000 }).toContain('aborted')
  const { access_token: again } = await client.signIn()
  await at(other, taskId, again).toMatchObject({ status: 'cancelled' })
})

it('a task whose process was killed is failed, not for ever at work', async () => {
  const { access_token: token } = await client.signIn()
  const taskId = await begin('wait', token)
  const exited = once(one.child, 'exit')
  one.child.kill('SIGKILL')
  await exited
  await at(other, taskId, token).toMatchObject({ status: 'working' })
  other.child.send(120)
  await once(other.child, 'message')
  await at(other, taskId, token).toMatchObject({ status: 'failed', error: { code: -32603 } })
})

it('R160: in another process too the id is of no use to another user', async () => {
  const { access_token: token } = await client.signIn({ name: 'ada' })
  const taskId = await begin('wait', token)
  const { access_token: stranger } = await client.signIn({ name: 'eve' })
  const never = await other.request('tasks/get', { taskId: 'never-was' }, stranger)
  expect(never.error).toEqual({ code: -32602, message: 'Task not found' })
  for (const process of [one, other]) {
    expect(await process.request('tasks/get', { taskId }, stranger)).toEqual(never)
    expect(await process.request('tasks/cancel', { taskId }, stranger)).toEqual(never)
  }
  await at(other, taskId, token).toMatchObject({ status: 'working' })
})
