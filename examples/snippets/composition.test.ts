import { createTestServer } from '@sallyport/mcp-server/testing'
import { afterAll, beforeAll, expect, it } from 'vitest'

process.env.SESSION_PROVIDER = 'memory'
process.env.LOG_LEVEL = 'silent'
// Nobody listens there: a server behind this one that is away.
process.env.TICKETS_URL = 'http://127.0.0.1:9/mcp'
process.env.TICKETS_TOKEN = 'secret'
const { server, onCall } = await import('./composition.ts')

let kit: Awaited<ReturnType<typeof createTestServer>>
beforeAll(async () => {
  kit = await createTestServer(server)
})
afterAll(() => kit.close())

it('the middleware of docs/composition.md guards the tools it names, and times requests', async () => {
  const ada = await kit.asUser({ sub: 'ada' })
  const client = await ada.connect()
  const reset = () => client.callTool({ name: 'admin-reset', arguments: {} })
  expect(await reset()).toMatchObject({
    isError: true,
    content: [{ text: expect.stringContaining('on call') }],
  })
  onCall.add(ada.userId)
  expect(await reset()).toMatchObject({ content: [{ text: 'reset' }] })
  expect((await kit.fetch('/mcp', { method: 'POST' })).headers.get('server-timing')).toContain('total')
})

it('the mounted server of docs/composition.md answers under its prefix', async () => {
  const client = await kit.asNobody().connect()
  expect(await client.callTool({ name: 'weather_forecast', arguments: {} })).toMatchObject({
    content: [{ text: 'sunny' }],
  })
  const { contents } = await client.readResource({ uri: 'weather://weather/stations' })
  expect(contents).toMatchObject([{ text: '["Oslo"]' }])
})

it('the proxy of docs/composition.md asks for its scopes, and says when the server behind it is away', async () => {
  expect((await kit.asNobody().request('tools/call', { name: 'tickets_search' })).status).toBe(401)
  const ada = await kit.asUser({ sub: 'ada', scopes: ['tickets'] })
  const client = await ada.connect()
  expect(await client.callTool({ name: 'tickets_search', arguments: {} })).toMatchObject({
    isError: true,
    content: [{ text: 'tickets cannot be reached now. Try again in a moment.' }],
  })
  const admin = await ada.request('tools/call', { name: 'tickets_delete-all' })
  expect(admin.status).toBe(403)
})
