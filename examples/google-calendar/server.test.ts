import { createTestServer, eras, fakeProvider, withoutStart } from '@sallyport/mcp-server/testing'
import { expect, it, vi } from 'vitest'
import { server } from './server.ts'

vi.mock('@sallyport/mcp-server', async original => withoutStart(await original()))

it.each(eras)('a %s client reads the events of the day from the calendar of its user', async era => {
  const google = fakeProvider('google', {
    api: { 'https://www.googleapis.com': () => Response.json({ items: [{ summary: 'Stand-up' }] }) },
  })
  await using test = createTestServer(server, { providers: [google] })
  const ada = await test.asUser({ sub: 'ada' })
  const client = await ada.connect({ era })
  expect(await client.callTool({ name: 'events', arguments: { day: '2026-11-21' } })).toMatchObject({
    content: [{ text: '{"items":[{"summary":"Stand-up"}]}' }],
  })
  expect(google.requests).toMatchObject([
    {
      userId: ada.userId,
      url: 'https://www.googleapis.com/calendar/v3/calendars/primary/events?timeMin=2026-11-21T00%3A00%3A00Z&timeMax=2026-11-21T23%3A59%3A59Z&singleEvents=true&orderBy=startTime',
      scopes: ['https://www.googleapis.com/auth/calendar.readonly'],
    },
  ])
})
