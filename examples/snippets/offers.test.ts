import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { expect, it } from 'vitest'

it('the server of docs/resources-and-prompts.md starts, and shows what it offers', async () => {
  process.env.SESSION_PROVIDER = 'memory'
  process.env.LOG_LEVEL = 'silent'
  process.env.SALLYPORT_SECRET = 'a-secret-for-tests-that-is-long-enough-0123456789'
  const { server } = await import('./offers.ts')
  const client = new Client({ name: 'test', version: '1' })
  await client.connect(
    new StreamableHTTPClientTransport(new URL('http://localhost:3000/mcp'), {
      fetch: (url, init) => server.fetch(new Request(url, init)),
    }),
  )
  expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(['share', 'import'])
  expect((await client.listPrompts()).prompts.map(({ name }) => name)).toEqual(['sum-up', 'ask'])
  expect(await client.readResource({ uri: 'notebook://help' })).toMatchObject({
    contents: [{ text: '# Help' }],
  })
  expect(await client.getPrompt({ name: 'ask', arguments: { day: 'Monday' } })).toMatchObject({
    messages: [{ content: { text: 'How was Monday?' } }],
  })
  await client.close()
  await server.close()
})
