import {
  assertScopesRequired,
  assertSignInRequired,
  createTestServer,
  fakeProvider,
} from '@sallyport/mcp-server/testing'
import { describe, expect, it } from 'vitest'
import { drive, issues, posting } from './chuk-auth.ts'

describe('the sign-in docs/migrate-from-chuk.md shows', () => {
  it('a post needs the scope and goes out with the token of the member who signed in', async () => {
    const provider = fakeProvider('linkedin', { api: () => new Response(null, { status: 201 }) })
    await using test = createTestServer(posting, { providers: [provider] })
    const call = { name: 'publish', arguments: { text: 'Hello' } }
    await assertSignInRequired(test.asNobody().request('tools/call', call), { scopes: ['posts.write'] })
    const reader = await test.asUser({ sub: 'bob', scopes: ['mcp'] })
    await assertScopesRequired((await reader.connect()).callTool(call), { scopes: ['posts.write'] })

    const ada = await test.asUser({ sub: 'ada', scopes: ['posts.write'] })
    expect(await (await ada.connect()).callTool(call)).toMatchObject({ content: [{ text: 'Published.' }] })
    expect(provider.requests).toMatchObject([{ userId: ada.userId, scopes: ['w_member_social'] }])
    expect(provider.requests[0]?.headers.get('authorization')).toBe(`Bearer ${provider.tokens.at(-1)}`)
  })

  it('tools that named no token get one, also through the client library of Google', async () => {
    const provider = fakeProvider('google', {
      api: ({ url }) => Response.json(url.includes('about') ? { storageQuota: {} } : { files: [] }),
    })
    await using test = createTestServer(drive, { providers: [provider] })
    const client = await (await test.asUser({ sub: 'ada' })).connect()
    expect(await client.callTool({ name: 'files' })).toMatchObject({ content: [{ text: '{"files":[]}' }] })
    expect(await client.callTool({ name: 'about' })).toMatchObject({
      content: [{ text: '{"storageQuota":{}}' }],
    })
  })

  it('what a user had under the id of the provider is theirs under the new one, once', async () => {
    const provider = fakeProvider('google', { api: () => Response.json({ sub: 'google-id-of-ada' }) })
    await using test = createTestServer(drive, { providers: [provider] })
    const client = await (await test.asUser({ sub: 'ada' })).connect()
    for (const _ of [1, 2]) {
      expect(await client.callTool({ name: 'notes' })).toMatchObject({ content: [{ text: '["Buy milk"]' }] })
    }
    expect(provider.requests).toHaveLength(1)
  })

  it('a provider of one’s own takes eight lines', async () => {
    const provider = fakeProvider('tracker', { api: () => Response.json(['#7']) })
    await using test = createTestServer(issues, { providers: [provider] })
    const client = await (await test.asUser({ sub: 'ada' })).connect()
    expect(await client.callTool({ name: 'mine' })).toMatchObject({ content: [{ text: '["#7"]' }] })
  })
})
