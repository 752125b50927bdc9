import { once } from 'node:events'
import { connect } from 'node:net'
import { developmentSignIn } from '@sallyport/oauth'
import { afterEach, describe, expect, it } from 'vitest'
import { createServer } from './create-server.ts'
import type { Server } from './server.ts'
import { createTestClient } from './sign-in.fixture.ts'

const started: Pick<Server, 'close'>[] = []
afterEach(async () => {
  for (const server of started.splice(0)) await server.close()
})

async function listening() {
  let aborted: () => void = () => {}
  const gone = new Promise<void>(resolve => {
    aborted = resolve
  })
  const server = createServer({
    name: 'direct',
    version: '1.0.0',
    port: 0,
    signIn: developmentSignIn(),
    sessionProvider: 'memory',
    secrets: 'a-secret-for-tests-that-is-long-enough-0123456789',
    environment: {},
    logLevel: 'silent',
    maxBodyBytes: 10_000,
  })
  started.push(server)
  server.tool('whoami', { description: 'd', auth: {}, run: (_, { caller }) => caller.clientId })
  server.tool('hello', { description: 'd', run: () => 'hello' })
  server.tool('steps', {
    description: 'd',
    run: async (_, { progress }) => {
      await progress(1)
      return 'done'
    },
  })
  server.tool('waits', {
    description: 'd',
    run: (_, { signal }) =>
      new Promise(resolve => {
        signal.addEventListener('abort', () => {
          aborted()
          resolve('')
        })
      }),
  })
  await server.start({ silent: true, throwOnError: true, handleSignals: false })
  const url = new URL(server.url)
  /** What comes back for bytes as they stand, until the server ends the connection. */
  const raw = async (head: readonly string[], body: string) => {
    const socket = connect(Number(url.port), 'localhost')
    socket.write(
      [
        'POST /mcp HTTP/1.1',
        'Connection: close',
        'Content-Type: application/json',
        'Accept: application/json, text/event-stream',
        ...head,
        '',
        body,
      ].join('\r\n'),
    )
    let text = ''
    socket.on('data', chunk => {
      text += chunk
    })
    await once(socket, 'end')
    return text
  }
  return { server, url, raw, gone }
}

const call = (name: string, params: object = {}) =>
  JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, ...params } })
const withLength = (body: string, ...head: string[]) =>
  [[...head, `Content-Length: ${Buffer.byteLength(body)}`], body] as const

describe('calls over a socket', () => {
  it('R198: an answer has the same headers as on the long way', async () => {
    const { server, url } = await listening()
    const init = {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
      body: call('hello'),
    }
    const direct = await fetch(server.url, init)
    const long = await server.fetch(new Request(url, init))
    expect(await direct.json()).toEqual(await long.json())
    const {
      date,
      connection,
      'keep-alive': _,
      'content-length': length,
      ...headers
    } = Object.fromEntries(direct.headers)
    expect(headers).toEqual(Object.fromEntries(long.headers))
    expect([date, connection, Number(length)]).toEqual([expect.any(String), 'keep-alive', expect.any(Number)])
  })

  it('R151: a token opens a call, none is 401, and two headers are refused, not chosen from', async () => {
    const { url, raw } = await listening()
    const client = createTestClient(request => fetch(request, { redirect: 'manual' }), url.origin)
    const { access_token: token } = await client.signIn()
    const host = `Host: ${url.host}`
    const status = async (...head: string[]) =>
      (await raw(...withLength(call('whoami'), host, ...head))).slice(9, 12)
    expect(await status(`Authorization: Bearer ${token}`)).toBe('200')
    expect(await status(`aUTHORIZATION: bearer ${token}`)).toBe('200')
    expect(await status()).toBe('401')
    expect(await status('Authorization: Bearer nonsense')).toBe('401')
    expect(await status(`Authorization: Bearer ${token}`, 'Authorization: Bearer other')).toBe('400')
    expect(await status('Authorization: Bearer other', `Authorization: Bearer ${token}`)).toBe('400')
  })

  it('R193: another host name or a page of another origin is refused', async () => {
    const { url, raw } = await listening()
    expect(await raw(...withLength(call('hello'), 'Host: evil.example'))).toMatch(/^HTTP\/1.1 403 /)
    expect(
      await raw(...withLength(call('hello'), `Host: ${url.host}`, 'Origin: https://evil.example')),
    ).toMatch(/^HTTP\/1.1 403 /)
  })

  it('R196: too large, compressed, or not JSON: refused as on the long way', async () => {
    const { url, raw } = await listening()
    const host = `Host: ${url.host}`
    const large = 'x'.repeat(10_001)
    expect(await raw(...withLength(large, host))).toMatch(/^HTTP\/1.1 413 /)
    expect(
      await raw(
        [host, 'Transfer-Encoding: chunked'],
        `${large.length.toString(16)}\r\n${large}\r\n0\r\n\r\n`,
      ),
    ).toMatch(/^HTTP\/1.1 413 /)
    expect(await raw(...withLength(call('hello'), host, 'Content-Encoding: gzip'))).toMatch(/^HTTP\/1.1 415 /)
    expect(await raw(...withLength('{', host))).toMatch(/^HTTP\/1.1 400 /)
  })

  it('a call that turns out to stream does so, and keeps its headers', async () => {
    const { server } = await listening()
    const response = await fetch(server.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
      body: call('steps', { _meta: { progressToken: 1 } }),
    })
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('text/event-stream')
    expect(response.headers.get('x-content-type-options')).toBe('nosniff')
    const answer = await response.text()
    expect(answer).toContain('notifications/progress')
    expect(answer).toContain('"done"')
  })

  it('R201: a client that goes away ends its call, and nobody else’s', async () => {
    const { server, url, gone } = await listening()
    const body = call('waits')
    const socket = connect(Number(url.port), 'localhost')
    const [head] = withLength(body, `Host: ${url.host}`)
    socket.write(
      [
        'POST /mcp HTTP/1.1',
        'Content-Type: application/json',
        'Accept: application/json, text/event-stream',
        ...head,
        '',
        body,
      ].join('\r\n'),
    )
    const other = fetch(server.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
      body: call('hello'),
    })
    expect((await other).status).toBe(200)
    socket.destroy()
    await gone
    expect((await fetch(new URL('/health', url))).status).toBe(200)
  })
})
