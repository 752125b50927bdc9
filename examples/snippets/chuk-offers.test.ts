import { createTestServer, eras, type TestServer } from '@sallyport/mcp-server/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as snippets from './chuk-offers.ts'

let test: TestServer
beforeAll(() => {
  test = createTestServer(snippets.server)
})
afterAll(() => test.close())

describe.each(eras)('the resources and prompts docs/migrate-from-chuk.md shows, for a client of %s', era => {
  it.each<[string, object]>([
    ['config://settings', { mimeType: 'application/json', text: '{"theme":"dark","version":"1.0"}' }],
    ['docs://readme', { mimeType: 'text/markdown', text: '# The library' }],
    ['docs://logo', { mimeType: 'image/png', blob: 'iVBORw==' }],
    ['users://1/profile', { text: '{"id":"1","name":"Ada"}' }],
  ])('%s is read', async (uri, contents) => {
    const client = await test.asNobody().connect({ era })
    expect(await client.readResource({ uri })).toMatchObject({ contents: [{ uri, ...contents }] })
  })

  it('a user who is not there is not found', async () => {
    const client = await test.asNobody().connect({ era })
    await expect(client.readResource({ uri: 'users://9/profile' })).rejects.toThrow(/not found/i)
  })

  it('templates list what they have', async () => {
    const client = await test.asNobody().connect({ era })
    const { resources } = await client.listResources()
    expect(resources.map(({ uri }) => uri)).toEqual(
      expect.arrayContaining(['config://settings', 'users://1/profile']),
    )
    expect(resources[0]).toMatchObject({ name: 'Settings', icons: [{ mimeType: 'image/svg+xml' }] })
    const { resourceTemplates } = await client.listResourceTemplates()
    expect(resourceTemplates).toMatchObject([{ uriTemplate: 'users://{id}/profile', name: 'User profile' }])
  })

  it('prompts answer with texts, turns and resources, and complete their arguments', async () => {
    const client = await test.asNobody().connect({ era })
    expect(await client.getPrompt({ name: 'code-review', arguments: { code: 'x = 1' } })).toMatchObject({
      messages: [{ role: 'user', content: { text: 'Review this python code:\n\nx = 1' } }],
    })
    expect(await client.getPrompt({ name: 'interview' })).toMatchObject({
      messages: [{ role: 'user' }, { role: 'assistant' }, { content: { type: 'resource' } }],
    })
    const ref = { type: 'ref/prompt', name: 'explain' } as const
    const { completion } = await client.complete({ ref, argument: { name: 'language', value: 'p' } })
    expect(completion.values).toEqual(['python'])
    const topics = await client.complete({
      ref,
      argument: { name: 'topic', value: '' },
      context: { arguments: { language: 'rust' } },
    })
    expect(topics.completion.values).toEqual(['borrowing', 'traits'])
  })
})

it('a client that subscribed hears that a resource has changed', async () => {
  const client = await test.asNobody().connect()
  const changed = new Promise<string>(resolve => {
    client.setNotificationHandler('notifications/resources/updated', ({ params }) => resolve(params.uri))
  })
  await client.listen({ resourceSubscriptions: ['users://1/profile'] })
  await client.callTool({ name: 'rename', arguments: { id: '1', name: 'Ada L.' } })
  expect(await changed).toBe('users://1/profile')
})

it('the server asks for what it caches once, and lets clients keep it', async () => {
  const client = await test.asNobody().connect()
  const first = await client.readResource({ uri: 'rates://today' })
  expect(first).toMatchObject({ ttlMs: 60_000, cacheScope: 'public' })
  expect(await client.readResource({ uri: 'rates://today' })).toMatchObject({ contents: first.contents })
  expect(snippets.loads).toBe(1)
})
