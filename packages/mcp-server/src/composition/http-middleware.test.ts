import { afterEach, describe, expect, it } from 'vitest'
import { createServer } from '../create-server.ts'
import { createTestServer } from '../testing/test-server.ts'

const quiet = { name: 'http', version: '1.0.0', environment: {}, logLevel: 'silent', port: 3000 } as const
const closing: { close(): Promise<unknown> }[] = []
afterEach(async () => {
  for (const one of closing.splice(0)) await one.close()
})

function create(options: { port?: number; maxBodyBytes?: number } = {}) {
  const server = createServer({ ...quiet, ...options })
  closing.push(server)
  server.tool('hello', { description: 'd', run: () => 'hello' })
  return server
}
const call = (url: string, body = JSON.stringify(message), headers: Record<string, string> = {}) =>
  new Request(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...headers,
    },
    body,
  })
const message = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'hello' } }
const mcp = 'http://localhost:3000/mcp'

describe('middleware of Hono', () => {
  it('stands around the endpoint too, over a socket as well as by fetch', async () => {
    const server = create({ port: 0 })
    const seen: string[] = []
    server.use('/mcp', async (c, next) => {
      seen.push(`${c.req.method} ${(await c.req.json()).method}`)
      await next()
      c.header('x-around', 'yes')
    })
    await server.start({ silent: true, throwOnError: true, handleSignals: false })
    for (const response of [await fetch(call(server.url)), await server.fetch(call(server.url))]) {
      expect(response.headers.get('x-around')).toBe('yes')
      // What middleware has read the endpoint reads again.
      expect(await response.json()).toMatchObject({ result: { content: [{ text: 'hello' }] } })
    }
    expect(seen).toEqual(['POST tools/call', 'POST tools/call'])
  })

  it('runs in its order, for its paths, shares variables with routes, and may answer itself', async () => {
    const server = create()
    const seen: string[] = []
    server.use('/api/*', async (c, next) => {
      seen.push('first')
      c.set('user' as never, 'ada' as never)
      await next()
      seen.push('first again')
    })
    server.use('/*', async (_, next) => {
      seen.push('second')
      await next()
    })
    server.use('/api/closed', c => c.text('closed', 403))
    server.app.get('/api/open', c => c.text(`hello ${c.get('user' as never)}`))
    server.app.get('/api/closed', c => c.text('never'))
    const get = (path: string) => server.fetch(new Request(`http://localhost:3000${path}`))
    expect(await (await get('/api/open')).text()).toBe('hello ada')
    expect(seen.splice(0)).toEqual(['first', 'second', 'first again'])
    const closed = await get('/api/closed')
    expect([closed.status, await closed.text()]).toEqual([403, 'closed'])
    expect(closed.headers.get('x-content-type-options')).toBe('nosniff')
    seen.splice(0)
    expect((await server.fetch(call(mcp))).status).toBe(200)
    expect(seen).toEqual(['second'])
  })

  it('R193, R196: what the Host check or the limit refuses never reaches it', async () => {
    const server = create({ maxBodyBytes: 200 })
    const seen: string[] = []
    server.use('/*', async (c, next) => {
      seen.push(c.req.path)
      await next()
    })
    expect((await server.fetch(call('http://evil.example/mcp'))).status).toBe(403)
    expect((await server.fetch(call(mcp, 'x'.repeat(201)))).status).toBe(413)
    expect(seen).toEqual([])
    expect((await server.fetch(call(mcp))).status).toBe(200)
    expect(seen).toEqual(['/mcp'])
  })

  it('is there in tests by the kit', async () => {
    const server = create()
    server.use('/mcp', c => c.text('closed', 418 as 400))
    const kit = await createTestServer(server)
    closing.push(kit)
    expect((await kit.asNobody().request('tools/list')).status).toBe(418)
  })
})
