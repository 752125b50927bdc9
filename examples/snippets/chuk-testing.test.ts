import { createTestServer } from '@sallyport/mcp-server/testing'
import { expect, it } from 'vitest'
import { server } from './chuk-calls.ts'

// The code that docs/migrate-from-chuk.md shows about tests.

// #region runner
it('renders', async () => {
  await using test = createTestServer(server)
  const client = await test.asNobody().connect()
  const { tools } = await client.listTools()
  expect(tools.map(({ name }) => name)).toContain('render')
  const { content } = await client.callTool({ name: 'render', arguments: { frames: 3 } })
  expect(content).toEqual([{ type: 'text', text: '3 frames' }])
})

it('knows its user', async () => {
  await using test = createTestServer(server)
  const ada = await test.asUser({ sub: 'ada' })
  const { content } = await (await ada.connect()).callTool({ name: 'account' })
  expect(content).toEqual([{ type: 'text', text: ada.userId }])
})
// #endregion runner
