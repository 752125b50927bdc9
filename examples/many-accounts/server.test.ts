import {
  assertConnectLink,
  createTestServer,
  eras,
  fakeProvider,
  type TestServer,
  withoutStart,
} from '@sallyport/mcp-server/testing'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { server } from './server.ts'

vi.mock('@sallyport/mcp-server', async original => withoutStart(await original()))

const day = { items: [{ summary: 'Stand-up' }, {}] }
const google = fakeProvider('google', {
  api: { 'https://www.googleapis.com': () => Response.json(day) },
})
const linkedin = fakeProvider('linkedin', {
  api: {
    'https://api.linkedin.com': request =>
      new URL(request.url).pathname === '/v2/userinfo'
        ? Response.json({ sub: 'member-1' })
        : new Response(null, { status: 201, headers: { 'x-restli-id': 'urn:li:share:1' } }),
  },
})

let test: TestServer
beforeEach(() => {
  test = createTestServer(server, { providers: [google, linkedin] })
})
afterEach(() => test.close())

const shareDay = { name: 'share-day', arguments: { day: '2026-11-21' } }

it.each(eras)(
  'a %s client gets the link to LinkedIn with the first post, and posts after that',
  async era => {
    const ada = await test.asUser({ sub: `ada-${era}` })
    expect(linkedin.connections.has(ada.userId)).toBe(false)
    const client = await ada.connect({ era })
    await ada.open(await assertConnectLink(client.callTool(shareDay), { provider: 'linkedin' }))
    expect(await client.callTool(shareDay)).toMatchObject({
      content: [{ text: 'Posted 2 events as urn:li:share:1.' }],
    })
    expect(JSON.parse(linkedin.requests.at(-1)?.body ?? '')).toMatchObject({
      author: 'urn:li:person:member-1',
      commentary: 'My day: Stand-up, busy',
    })
  },
)

it('tells the connected Google accounts, and how to connect one more', async () => {
  const ada = await test.asUser({ sub: 'ada' })
  const client = await ada.connect()
  const { content } = await client.callTool({ name: 'calendars', arguments: {} })
  expect(content).toMatchObject([{ text: expect.stringMatching(/"label":"ada".*"isDefault":true/) }])
  const link = await assertConnectLink(client.callTool({ name: 'add-calendar', arguments: {} }), {
    provider: 'google',
  })
  expect(await ada.open(link, { sub: 'ada-at-work' })).toMatchObject({ status: 200 })
  const two = await client.callTool({ name: 'calendars', arguments: {} })
  const [{ text }] = two.content as unknown as [{ text: string }]
  const { accounts } = JSON.parse(text) as { accounts: { id: string; label: string; isDefault: boolean }[] }
  expect(accounts).toMatchObject([
    { label: 'ada', isDefault: true },
    { label: 'ada-at-work', isDefault: false },
  ])
  // What the tool is told to use is what Google is asked with.
  await ada.open(await assertConnectLink(client.callTool(shareDay), { provider: 'linkedin' }))
  await client.callTool({ name: 'share-day', arguments: { day: '2026-11-21', account: accounts[1]?.id } })
  expect(google.requests.at(-1)).toMatchObject({ userId: ada.userId, account: 'ada-at-work' })
})
