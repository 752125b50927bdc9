import {
  assertConnectLink,
  assertSignInRequired,
  createTestServer,
  fakeProvider,
  type TestServer,
  withoutStart,
} from '@sallyport/mcp-server/testing'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { server } from './server.ts'

vi.mock('@sallyport/mcp-server', async original => withoutStart(await original()))

let status = 201
const linkedin = fakeProvider('linkedin', {
  api: {
    'https://api.linkedin.com': request =>
      new URL(request.url).pathname === '/v2/userinfo'
        ? Response.json({ sub: 'member-1' })
        : new Response(null, { status, headers: { 'x-restli-id': 'urn:li:share:1' } }),
  },
})

let test: TestServer
beforeEach(() => {
  status = 201
  test = createTestServer(server, { providers: [linkedin] })
})
afterEach(() => test.close())

const post = { name: 'post', arguments: { text: 'A gate with two doors.' } }

it('posts as the member who signed in', async () => {
  const client = await (await test.asUser({ sub: 'ada' })).connect()
  expect(await client.callTool(post)).toMatchObject({ content: [{ text: 'Posted as urn:li:share:1.' }] })
  const sent = linkedin.requests.at(-1)
  expect(sent).toMatchObject({ method: 'POST', url: 'https://api.linkedin.com/rest/posts' })
  expect(sent?.headers.get('linkedin-version')).toBe('202609')
  expect(JSON.parse(sent?.body ?? '')).toMatchObject({
    author: 'urn:li:person:member-1',
    commentary: 'A gate with two doors.',
  })
})

it('tells when LinkedIn refuses the post', async () => {
  status = 422
  const client = await (await test.asUser({ sub: 'ada' })).connect()
  expect(await client.callTool(post)).toMatchObject({
    isError: true,
    content: [{ text: 'LinkedIn refused the post (HTTP 422).' }],
  })
})

it('asks to connect again when LinkedIn has ended the connection, and posts after that', async () => {
  const ada = await test.asUser({ sub: 'ada' })
  const client = await ada.connect()
  linkedin.script('dead')
  await ada.open(await assertConnectLink(client.callTool(post), { provider: 'linkedin' }))
  expect(await client.callTool(post)).toMatchObject({ content: [{ text: 'Posted as urn:li:share:1.' }] })
})

it('is for users who have signed in', async () => {
  await assertSignInRequired(test.asNobody().connect(), { scopes: ['mcp'] })
})
