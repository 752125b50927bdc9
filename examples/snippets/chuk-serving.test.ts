import { once } from 'node:events'
import { createServer as createHttpServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { createTestServer } from '@sallyport/mcp-server/testing'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import clientConfiguration from './stdio.client.json' with { type: 'json' }

let serving: typeof import('./chuk-serving.ts')

beforeAll(async () => {
  for (const [name, value] of Object.entries({
    SESSION_PROVIDER: 'memory',
    LOG_LEVEL: 'silent',
    SALLYPORT_SECRET: 'a-snippet-needs-thirty-two-bytes-too',
    HEALTH_TOKEN: 'for-the-probe',
  })) {
    vi.stubEnv(name, value)
  }
  serving = await import('./chuk-serving.ts')
})
afterAll(async () => {
  await serving.server.close()
  vi.unstubAllEnvs()
})

const local = (path: string, init?: RequestInit) => new Request(`http://localhost:8000${path}`, init)

describe('the endpoints docs/migrate-from-chuk.md shows', () => {
  const ask = async (path: string, init?: RequestInit) => {
    const response = await serving.server.fetch(local(path, init))
    return [response.status, await response.json().catch(() => undefined)]
  }

  it('are served beside the server’s own', async () => {
    expect(await ask('/api/data')).toEqual([200, { data: 'example' }])
    const body = JSON.stringify({ value: 'b' })
    expect(await ask('/api/data/a', { method: 'POST', body })).toEqual([201, { id: 'a', value: 'b' }])
    expect(await ask('/ping')).toEqual([200, { status: 'pong' }])
    expect(await ask('/version')).toEqual([200, { name: 'api', version: '1.0.0' }])
    expect(await ask('/health')).toEqual([200, { status: 'ok' }])
  })

  it('tell details to the probe alone', async () => {
    expect(await ask('/health/detailed')).toEqual([401, undefined])
    const headers = { authorization: 'Bearer for-the-probe' }
    expect(await ask('/health/detailed', { headers })).toEqual([
      200,
      expect.objectContaining({ uptimeSeconds: expect.any(Number), grants: 0 }),
    ])
  })
})

describe('the middleware docs/migrate-from-chuk.md shows', () => {
  it('runs before the server, and tools read the request it saw', async () => {
    const client = new Client({ name: 'test', version: '1' })
    await client.connect(
      new StreamableHTTPClientTransport(new URL('http://localhost:8000/mcp'), {
        fetch: async (url, init) => serving.handler.fetch(new Request(url, init)),
        requestInit: { headers: { 'x-region': 'north' } },
      }),
    )
    expect(await client.callTool({ name: 'region' })).toMatchObject({ content: [{ text: 'north' }] })
    await client.close()
    const refused = await serving.app.fetch(local('/mcp', { headers: { 'x-region': 'nowhere' } }))
    expect(refused.status).toBe(403)
  })
})

it('calls are counted', async () => {
  await using test = createTestServer(serving.server)
  const ada = await test.asUser({ sub: 'ada' })
  await (await ada.connect()).callTool({ name: 'whoami' })
  expect(serving.calls.get('whoami')).toEqual({ count: 1, failures: 0, totalMs: expect.any(Number) })
})

const listTools = {
  method: 'POST',
  headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
  body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} }),
} as const

it('the function for AWS Lambda answers an event of API Gateway', async () => {
  vi.stubEnv('PUBLIC_URL', 'https://abc.execute-api.eu-west-1.amazonaws.com')
  const { handler } = await import('./chuk-lambda.ts')
  const answer = await handler({
    version: '2.0',
    routeKey: '$default',
    rawPath: '/mcp',
    rawQueryString: '',
    headers: { ...listTools.headers, host: 'abc.execute-api.eu-west-1.amazonaws.com' },
    body: listTools.body,
    isBase64Encoded: false,
    requestContext: {
      accountId: '1',
      apiId: 'abc',
      authentication: null,
      authorizer: {},
      domainName: 'abc.execute-api.eu-west-1.amazonaws.com',
      domainPrefix: 'abc',
      http: { method: 'POST', path: '/mcp', protocol: 'HTTP/1.1', sourceIp: '192.0.2.1', userAgent: 'test' },
      requestId: '1',
      routeKey: '$default',
      stage: '$default',
      time: '',
      timeEpoch: 0,
    },
  })
  expect(answer.statusCode).toBe(200)
  expect(Buffer.from(answer.body, 'base64').toString()).toContain('"name":"hello"')
})

it('the function for Google Cloud answers a request of Node whose body was read before', async () => {
  const read = async (request: IncomingMessage) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    return Object.assign(request, { rawBody: Buffer.concat(chunks) })
  }
  let mcp: typeof import('./chuk-functions.ts')['mcp']
  const platform = createHttpServer(async (request, response) => mcp(await read(request), response))
  platform.listen(0, '127.0.0.1')
  await once(platform, 'listening')
  const origin = `http://localhost:${(platform.address() as AddressInfo).port}`
  vi.stubEnv('PUBLIC_URL', origin)
  ;({ mcp } = await import('./chuk-functions.ts'))
  const answer = await fetch(`${origin}/mcp`, listTools)
  expect(answer.status).toBe(200)
  expect(await answer.text()).toContain('"name":"hello"')
  platform.close()
})

it('the same file serves a client that starts it, with the configuration the page shows', async () => {
  const { env } = clientConfiguration.mcpServers.notebook
  const client = new Client({ name: 'test', version: '1' })
  await client.connect(
    new StdioClientTransport({
      command: process.execPath,
      args: ['--conditions=sallyport-source', fileURLToPath(new URL('chuk-transport.ts', import.meta.url))],
      env: { SALLYPORT_TRANSPORT: env.SALLYPORT_TRANSPORT },
      stderr: 'ignore',
    }),
  )
  expect(await client.callTool({ name: 'greet', arguments: { name: 'Ada' } })).toMatchObject({
    content: [{ text: 'Hello, Ada!' }],
  })
  await client.close()
}, 60_000)
