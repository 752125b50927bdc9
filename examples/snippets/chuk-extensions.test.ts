import { createTestServer } from '@sallyport/mcp-server/testing'
import { expect, it } from 'vitest'
import { server } from './chuk-extensions.ts'

it('a tool brings its view along', async () => {
  await using test = createTestServer(server)
  const client = await test.asNobody().connect({
    capabilities: {
      extensions: { 'io.modelcontextprotocol/ui': { mimeTypes: ['text/html;profile=mcp-app'] } },
    },
  })
  const { tools } = await client.listTools()
  expect(tools.find(({ name }) => name === 'show-chart')).toMatchObject({
    _meta: { ui: { resourceUri: 'ui://sales/chart' } },
  })
  expect(await client.readResource({ uri: 'ui://sales/chart' })).toMatchObject({
    contents: [
      {
        mimeType: 'text/html;profile=mcp-app',
        text: expect.stringContaining('<div id="chart">'),
        _meta: { ui: { csp: { connectDomains: ['https://api.example.com'] }, prefersBorder: true } },
      },
    ],
  })
  expect(await client.callTool({ name: 'show-chart', arguments: { year: 2026 } })).toMatchObject({
    structuredContent: { year: 2026, months: [4200, 5100, 4800] },
  })
})

it('a call goes on as a task of its caller, for clients that know tasks', async () => {
  await using test = createTestServer(server)
  const ada = await test.asUser({ sub: 'ada' })
  const call = { name: 'report', arguments: { year: 2026 } }
  expect(await (await ada.connect()).callTool(call)).toMatchObject({
    content: [{ text: 'The report of 2026.' }],
  })

  const extensions = { 'io.modelcontextprotocol/tasks': {} }
  const _meta = { 'io.modelcontextprotocol/clientCapabilities': { extensions } }
  const ask = async (caller: typeof ada, method: string, params: object) =>
    (await (await caller.request(method, { ...params, _meta })).json()) as {
      result?: { taskId: string; status?: string; result?: object }
      error?: object
    }
  const { result } = await ask(ada, 'tools/call', call)
  const { taskId } = result ?? { taskId: '' }
  expect(taskId).not.toBe('')
  await expect
    .poll(async () => (await ask(ada, 'tasks/get', { taskId })).result, { timeout: 20_000 })
    .toMatchObject({ status: 'completed', result: { content: [{ text: 'The report of 2026.' }] } })
  const bob = await test.asUser({ sub: 'bob' })
  expect((await ask(bob, 'tasks/get', { taskId })).error).toBeDefined()
})
