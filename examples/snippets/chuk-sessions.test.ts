import { createTestServer } from '@sallyport/mcp-server/testing'
import { expect, it } from 'vitest'
import { server } from './chuk-sessions.ts'

const initialize = (capabilities: object) => ({
  protocolVersion: '2025-11-25',
  clientInfo: { name: 'test', version: '1' },
  capabilities,
})

it('clients that can be asked get a session and end it, and the others need none', async () => {
  await using test = createTestServer(server)
  const nobody = test.asNobody()
  const plain = await nobody.request('initialize', initialize({}), '2025-11-25')
  expect(plain.headers.get('mcp-session-id')).toBeNull()
  const listed = await nobody.request('tools/list', {}, '2025-11-25')
  expect(await listed.text()).toContain('"name":"ask"')

  const askable = await nobody.request('initialize', initialize({ elicitation: {} }), '2025-11-25')
  const id = askable.headers.get('mcp-session-id') ?? ''
  expect(id).not.toBe('')
  const headers = { 'mcp-session-id': id, 'mcp-protocol-version': '2025-11-25' }
  expect((await test.fetch('/mcp', { method: 'DELETE', headers })).ok).toBe(true)
  expect((await test.fetch('/mcp', { method: 'DELETE', headers })).status).toBe(404)
})
