import { developmentSignIn } from '@sallyport/oauth'
import { describe, expect, it } from 'vitest'
import { createServer } from './create-server.ts'
import { createTestServer, eras } from './testing.ts'

const info = {
  name: 'calendar',
  version: '1.0.0',
  title: 'Example Calendar',
  description: 'Reads your calendar.',
  websiteUrl: 'https://calendar.example.com',
  icons: [{ src: 'https://calendar.example.com/icon.svg', mimeType: 'image/svg+xml', sizes: ['any'] }],
}

const calendar = (leanCalls = true) => {
  const server = createServer({ ...info, signIn: developmentSignIn(), leanCalls })
  server.tool('add', { description: 'Adds', run: () => '2' })
  server.tool('events', { description: 'Your events', auth: {}, run: () => 'none' })
  return server
}

describe.each(eras)('a client of %s', era => {
  it('learns what to call the server, what it is for, and how it looks', async () => {
    await using test = createTestServer(calendar())
    const client = await test.asNobody().connect({ era })
    expect(client.getServerVersion()).toEqual(info)
  })

  it('is told nothing that the developer has not said', async () => {
    await using test = createTestServer(createServer({ name: 'plain', version: '1.0.0' }))
    const client = await test.asNobody().connect({ era })
    expect(client.getServerVersion()).toEqual({ name: 'plain', version: '1.0.0' })
  })
})

it('says the same of itself in a call that the engine answers and in one that it does not', async () => {
  const answers: unknown[] = []
  for (const leanCalls of [true, false]) {
    await using test = createTestServer(calendar(leanCalls))
    const response = await test.asNobody().request('tools/call', { name: 'add', arguments: {} })
    answers.push(await response.json())
  }
  expect(answers[0]).toMatchObject({ result: { _meta: { 'io.modelcontextprotocol/serverInfo': info } } })
  expect(answers[1]).toEqual(answers[0])
})

it('is known to users by its title', async () => {
  await using test = createTestServer(calendar())
  const metadata = await test.fetch('/.well-known/oauth-protected-resource/mcp')
  expect(await metadata.json()).toMatchObject({ resource_name: 'Example Calendar' })
})
