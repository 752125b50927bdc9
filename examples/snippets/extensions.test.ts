import { createTestServer, type TestServer, type TestUserCaller } from '@sallyport/mcp-server/testing'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { server } from './extensions.ts'

let test: TestServer
let ada: TestUserCaller
beforeAll(async () => {
  test = createTestServer(server, { options: { tasks: { pollIntervalMs: 5 } } })
  ada = await test.asUser({ sub: 'ada' })
})
afterAll(() => test.close())

interface Answer {
  taskId?: string
  status?: string
  resultType?: string
  requestState?: string
  inputRequests?: object
  result?: object
}

/** One request of a client that knows tasks and can be asked. */
async function send(method: string, params: Record<string, unknown>): Promise<Answer> {
  const capabilities = { elicitation: {}, extensions: { 'io.modelcontextprotocol/tasks': {} } }
  const _meta = { 'io.modelcontextprotocol/clientCapabilities': capabilities }
  const response = await ada.request(method, { ...params, _meta })
  return ((await response.json()) as { result: Answer }).result
}
const task = (taskId: string | undefined) =>
  expect.poll(() => send('tasks/get', { taskId }), { timeout: 20_000 })

it('a client that knows tasks gets one, and its result', async () => {
  const { taskId, resultType } = await send('tools/call', {
    name: 'render',
    arguments: { film: 'Metropolis' },
  })
  expect(resultType).toBe('task')
  await task(taskId).toMatchObject({
    status: 'completed',
    result: { content: [{ type: 'text', text: 'Metropolis is ready' }] },
  })
})

it('any other client gets the result at once', async () => {
  const client = await ada.connect()
  expect(await client.callTool({ name: 'render', arguments: { film: 'Metropolis' } })).toMatchObject({
    content: [{ text: 'Metropolis is ready' }],
  })
})

it('a task asks, and goes on with the answer', async () => {
  const { taskId } = await send('tools/call', { name: 'publish', arguments: { film: 'Metropolis' } })
  await task(taskId).toMatchObject({ status: 'input_required', inputRequests: { place: {} } })
  const inputResponses = { place: { action: 'accept', content: { place: 'cinema' } } }
  await send('tasks/update', { taskId, inputResponses })
  await task(taskId).toMatchObject({ result: { content: [{ text: 'Metropolis is in the cinema' }] } })
})

it('a call asks before it becomes a task', async () => {
  const call = { name: 'print', arguments: { film: 'Metropolis' } }
  const { requestState, resultType } = await send('tools/call', call)
  expect(resultType).toBe('input_required')
  const inputResponses = { question_1: { action: 'accept', content: { copies: 2 } } }
  const { taskId } = await send('tools/call', { ...call, requestState, inputResponses })
  await task(taskId).toMatchObject({ result: { content: [{ text: '2 copies of Metropolis are printed.' }] } })
})

it('a page shows the result, and calls a tool of its own', async () => {
  const capabilities = {
    extensions: { 'io.modelcontextprotocol/ui': { mimeTypes: ['text/html;profile=mcp-app'] } },
  }
  const client = await ada.connect({ capabilities })
  const { tools } = await client.listTools()
  const ui = tools.find(({ name }) => name === 'storyboard')?._meta?.ui as { resourceUri: string }
  const { contents } = await client.readResource({ uri: ui.resourceUri })
  expect(contents[0]).toMatchObject({ text: expect.stringContaining('<title>Storyboard</title>') })
  expect(await client.callTool({ name: 'storyboard', arguments: { film: 'M' } })).toMatchObject({
    structuredContent: { scenes: ['M: opening', 'M: ending'] },
  })
  expect(await client.callTool({ name: 'move-scene', arguments: { from: 1, to: 2 } })).toMatchObject({
    content: [{ text: 'Moved 1 to 2.' }],
  })
})
