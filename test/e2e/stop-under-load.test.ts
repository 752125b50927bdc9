import { once } from 'node:events'
import { connect } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { callTool } from './support/mcp-request.ts'
import { createRawClient, type RawClient } from './support/raw-client.ts'
import { type Sallyport, startSallyport } from './support/sallyport.ts'

let sallyport: Sallyport
afterEach(() => sallyport.close())

const tokensOf = async (response: Response) =>
  (await response.json()) as { access_token: string; refresh_token: string }

/** Sends bytes of a request and goes away without an answer. */
async function abandon(bytes: string): Promise<void> {
  const { hostname, port, host } = new URL(sallyport.origin)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => {})
  await once(socket, 'connect')
  const [line, ...rest] = bytes.split('\n')
  socket.write([line, `Host: ${host}`, ...rest].join('\r\n'), () => socket.destroy())
  await once(socket, 'close')
}

const form = (client: RawClient, refreshToken: string) =>
  new URLSearchParams({
    grant_type: 'refresh_token',
    client_id: client.client.client_id,
    refresh_token: refreshToken,
    resource: client.resource.resource,
  }).toString()

const post = (path: string, type: string, body: string, sent = body.length, ...headers: string[]) =>
  [
    `POST ${path} HTTP/1.1`,
    `Content-Type: ${type}`,
    `Content-Length: ${body.length}`,
    ...headers,
    '',
    body.slice(0, sent),
  ].join('\n')

it('R201: a thousand sockets that go away in the middle of a flow cost nobody a sign-in', async () => {
  sallyport = await startSallyport()
  const client = await createRawClient(sallyport.mcpUrl)
  const { access_token, refresh_token = '' } = await client.signIn()
  const tokenPath = new URL(client.server.token_endpoint ?? '').pathname
  const whoami = JSON.stringify({
    jsonrpc: '2.0',
    id: 1,
    method: 'tools/call',
    params: { name: 'whoami', arguments: {} },
  })
  const refresh = form(client, refresh_token)
  const mcp = ['Accept: application/json, text/event-stream', `Authorization: Bearer ${access_token}`]
  const requests = [
    // The refresh is done and its answer lost, again and again.
    post(tokenPath, 'application/x-www-form-urlencoded', refresh),
    post(tokenPath, 'application/x-www-form-urlencoded', refresh, 40),
    post('/mcp', 'application/json', whoami, whoami.length, ...mcp),
    post('/mcp', 'application/json', whoami, 20, ...mcp),
  ]
  for (let round = 0; round < 20; round++) {
    await Promise.all(Array.from({ length: 50 }, (_, at) => abandon(requests[at % requests.length]!)))
  }
  const refreshed = await client.refresh(refresh_token)
  expect(refreshed.status).toBe(200)
  const { access_token: next } = await tokensOf(refreshed)
  expect((await callTool(sallyport.mcpUrl, 'whoami', {}, { token: next })).status).toBe(200)
  expect(sallyport.logs()).not.toMatch(/"level":"?(error|fatal|50|60)/)
})

it('R201: stopped under load, every code was answered or is still good, and every client goes on', async () => {
  sallyport = await startSallyport()
  const client = await createRawClient(sallyport.mcpUrl)
  const codes: Awaited<ReturnType<RawClient['authorize']>>[] = []
  for (let count = 0; count < 40; count++) codes.push(await client.authorize())

  let stopping: Promise<void> | undefined
  let answered = 0
  let lost = 0
  /** What gets no answer is sent again, to the process that comes after. */
  async function insist(send: () => Promise<Response>): Promise<string> {
    const response = await send().catch(async () => {
      lost++
      await stopping
      return send()
    })
    // In the midst of what is under way.
    if (++answered === 20) stopping = sallyport.restart('SIGTERM')
    expect(response.status).toBe(200)
    return (await tokensOf(response)).refresh_token
  }
  async function work(): Promise<void> {
    for (let code = codes.pop(); code; code = codes.pop()) {
      const { parameters, verifier } = code
      const first = await insist(() => client.redeem(parameters, verifier))
      const second = await insist(() => client.refresh(first))
      await insist(() => client.refresh(second))
    }
  }
  await Promise.all(Array.from({ length: 8 }, work))
  await stopping
  expect(answered).toBe(120)
  expect(lost).toBeGreaterThan(0)
})
