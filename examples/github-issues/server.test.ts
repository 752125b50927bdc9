import { createTestServer, fakeProvider, withoutStart } from '@sallyport/mcp-server/testing'
import { expect, it, vi } from 'vitest'
import { server } from './server.ts'

vi.mock('@sallyport/mcp-server', async original => withoutStart(await original()))

it('lists the issues that are assigned to the user, as many as were asked for', async () => {
  const github = fakeProvider('github', {
    api: {
      'https://api.github.com': () =>
        Response.json([{ number: 7, title: 'Typo', repository: { full_name: 'ada/docs' } }]),
    },
  })
  await using test = createTestServer(server, { providers: [github] })
  const client = await (await test.asUser({ sub: 'ada' })).connect()
  expect(await client.callTool({ name: 'my-issues', arguments: { limit: 5 } })).toMatchObject({
    content: [{ text: 'ada/docs#7 Typo' }],
  })
  expect(github.requests).toMatchObject([
    { url: 'https://api.github.com/issues?state=open&per_page=5', scopes: ['repo'] },
  ])
})

it('tells the model when GitHub cannot be reached', async () => {
  const github = fakeProvider('github')
  await using test = createTestServer(server, { providers: [github] })
  const client = await (await test.asUser({ sub: 'ada' })).connect()
  github.script({ fault: 'rate_limited', retryAfterSeconds: 60 })
  expect(await client.callTool({ name: 'my-issues', arguments: {} })).toMatchObject({
    isError: true,
    content: [{ text: 'GitHub cannot be reached now. Try again in 60 seconds.' }],
  })
})
