import { createMemoryStore, developmentSignIn } from '@sallyport/oauth'
import { describe, expect, it } from 'vitest'
import { createServer } from './create-server.ts'
import { connectClient, eras } from './mcp-client.fixture.ts'
import { createTestClient } from './sign-in.fixture.ts'

const origin = 'http://localhost:3000'
const secret = 'canary-machine-secret-0123456789'
const apiSecret = 'canary-notes-api-secret-0123456789'
const basic = (id: string, password: string) => `Basic ${Buffer.from(`${id}:${password}`).toString('base64')}`

function setUp() {
  const server = createServer({
    name: 'jobs',
    version: '1.0.0',
    signIn: developmentSignIn(),
    clients: [
      {
        clientId: 'nightly',
        clientSecret: secret,
        grantTypes: ['client_credentials'],
        scopes: ['jobs:run', 'notes:read'],
      },
    ],
    resourceServers: [{ id: 'notes-api', secret: apiSecret, resources: [`${origin}/mcp`] }],
    store: createMemoryStore(),
    secrets: 'a-secret-for-tests-that-is-long-enough-0123456789',
    environment: {},
    logLevel: 'silent',
  })
  server.tool('run-job', {
    description: 'Runs a job',
    auth: { scopes: ['jobs:run'], clients: true },
    run: (_, { caller }) => (caller.principal === 'client' ? `job of ${caller.clientId}` : `job of a user`),
  })
  server.tool('my-notes', {
    description: 'Your notes',
    auth: { scopes: ['notes:read'] },
    run: (_, { caller }) => `notes of ${caller.userId}`,
  })
  server.tool('greet', {
    description: 'Greets',
    auth: { anonymous: true },
    run: (_, { caller }) => (caller ? `hello, ${caller.userId}` : 'hello, whoever'),
  })
  const serve = (request: Request) => server.fetch(request)
  const post = (path: string, authorization: string, body: Record<string, string>) =>
    serve(
      new Request(origin + path, {
        method: 'POST',
        headers: { authorization, 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams(body),
      }),
    )
  const machineToken = async () => {
    const response = await post('/oauth/token', basic('nightly', secret), {
      grant_type: 'client_credentials',
    })
    return ((await response.json()) as { access_token: string }).access_token
  }
  /** A real client that sends this token. */
  const connect = (token: string, era: (typeof eras)[number][1]) =>
    connectClient(`${origin}/mcp`, era, (url, init) => {
      const request = new Request(url, init)
      request.headers.set('authorization', `Bearer ${token}`)
      return serve(request)
    })
  return { server, serve, post, machineToken, connect }
}

const textOf = ({ content }: { content: unknown }) => (content as { text: string }[])[0]?.text

describe('a client that calls for itself', () => {
  it.each(eras)('R115: calls what is made for clients, and meets no user elsewhere (%s)', async (_, era) => {
    const { connect, machineToken, server } = setUp()
    const client = await connect(await machineToken(), era)
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain('run-job')
    expect(textOf(await client.callTool({ name: 'run-job', arguments: {} }))).toBe('job of nightly')
    expect(textOf(await client.callTool({ name: 'greet', arguments: {} }))).toBe('hello, whoever')
    await expect(client.callTool({ name: 'my-notes', arguments: {} })).rejects.toThrow()
    await server.close()
  })

  it('R115: the refusal says that a user is needed, and names no scope to ask for', async () => {
    const { serve, machineToken, server } = setUp()
    const token = await machineToken()
    const response = await serve(
      new Request(`${origin}/mcp`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${token}`,
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
        },
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'my-notes' } }),
      }),
    )
    expect(response.status).toBe(403)
    expect(response.headers.get('www-authenticate')).toBeNull()
    expect(await response.json()).toMatchObject({ error: 'access_denied' })
    await server.close()
  })

  it('a user calls the same tool as a user', async () => {
    const { serve, server, connect } = setUp()
    const tokens = await createTestClient(serve, origin).signIn({ scope: 'jobs:run notes:read' })
    const client = await connect(String(tokens.access_token), eras[0][1])
    expect(textOf(await client.callTool({ name: 'run-job', arguments: {} }))).toBe('job of a user')
    await server.close()
  })

  it('R143: another server asks what the token is worth, and sees a client', async () => {
    const { post, machineToken, server } = setUp()
    const answer = await post('/oauth/introspect', basic('notes-api', apiSecret), {
      token: await machineToken(),
    })
    expect(await answer.json()).toMatchObject({
      active: true,
      sub: 'client:nightly',
      client_id: 'nightly',
      aud: `${origin}/mcp`,
    })
    await server.close()
  })
})
