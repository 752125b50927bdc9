import { EventEmitter, once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { createMemoryStore, StoreUnavailableError } from '@sallyport/oauth'
import { afterEach, describe, expect, it } from 'vitest'
import { createServer } from './create-server.ts'
import { createDirectCalls } from './direct-calls.ts'
import { createInFlight } from './in-flight.ts'
import { jsonResponse } from './json-response.ts'
import type { McpEndpoint } from './mount-mcp.ts'
import type { Server } from './server.ts'
import { createTestClient, testSignIn } from './sign-in.fixture.ts'

const started: Pick<Server, 'close'>[] = []
afterEach(async () => {
  for (const server of started.splice(0)) await server.close()
})

async function listening(store = createMemoryStore({ tenant: 'default' })) {
  let ran = 0
  let aborted: () => void = () => {}
  const gone = new Promise<void>(resolve => {
    aborted = resolve
  })
  const server = createServer({
    name: 'direct',
    version: '1.0.0',
    port: 0,
    ...testSignIn(),
    store,
    maxBodyBytes: 10_000,
  })
  started.push(server)
  server.tool('whoami', {
    description: 'd',
    auth: {},
    run: (_, { caller }) => {
      ran++
      return caller.clientId
    },
  })
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
  const raw = async (head: readonly string[], body: string, requestLine?: string) => {
    const socket = connect(Number(url.port), 'localhost')
    socket.write(posted(['Connection: close', ...head], body, requestLine))
    let text = ''
    socket.on('data', chunk => {
      text += chunk
    })
    await once(socket, 'end')
    return text
  }
  return { server, url, raw, gone, ran: () => ran }
}

const call = (name: string, params: object = {}) =>
  JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, ...params } })
/** A request as it stands on the wire. */
const posted = (head: readonly string[], body: string, requestLine = 'POST /mcp') =>
  [
    `${requestLine} HTTP/1.1`,
    'Content-Type: application/json',
    'Accept: application/json, text/event-stream',
    ...head,
    '',
    body,
  ].join('\r\n')
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

  it('R152: no method and no spelling of the path runs what is protected, or is answered 200', async () => {
    const { url, raw, ran } = await listening()
    const targets = [
      '/mcp',
      '/mcp?access_token=x',
      '/mcp#x',
      '/%6dcp',
      '/MCP',
      '//mcp',
      '/mcp/',
      '/./mcp',
      '/x/../mcp',
      '/mcp;x',
      '/mcp%00',
      '/\\mcp',
      `http://${url.host}/mcp`,
      'http://evil.example/mcp',
    ]
    const body = call('whoami')
    const batch = `[${call('hello')},${body}]`
    for (const method of ['POST', 'GET', 'DELETE', 'HEAD', 'OPTIONS', 'PUT', 'PATCH', 'QUERY']) {
      for (const target of targets) {
        for (const content of [body, batch]) {
          const answer = await raw(...withLength(content, `Host: ${url.host}`), `${method} ${target}`)
          expect(answer.slice(9, 12), `${method} ${target}`).toMatch(/^(204|40[01345])$/)
          // What is asked before a page may ask has no effect and no body.
          if (answer.slice(9, 12) === '204') expect(method).toBe('OPTIONS')
        }
      }
    }
    expect(ran()).toBe(0)
  })

  it('a store that is down is 503, as on the long way, and says when to come again', async () => {
    const store = createMemoryStore({ tenant: 'default' })
    const { server, url } = await listening(store)
    const post = (body: object, headers: Record<string, string> = {}) => ({
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...headers,
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, ...body }),
    })
    const params = {
      protocolVersion: '2025-11-25',
      capabilities: { elicitation: {} },
      clientInfo: { name: 'raw', version: '1' },
    }
    const opened = await fetch(url, post({ method: 'initialize', params }))
    await opened.text()
    const id = opened.headers.get('mcp-session-id') ?? ''
    await (await fetch(url, { method: 'DELETE', headers: { 'mcp-session-id': id } })).text()
    store.isSessionEnded = () => Promise.reject(new StoreUnavailableError('canary: no connection'))
    const request = post({ method: 'tools/list' }, { 'mcp-session-id': id })
    for (const response of [await fetch(url, request), await server.fetch(new Request(url, request))]) {
      expect([response.status, response.headers.get('x-content-type-options')]).toEqual([503, 'nosniff'])
      expect(response.headers.get('retry-after')).toMatch(/^\d+$/)
      expect(await response.text()).not.toContain('canary')
    }
  })

  it('R189: a call that fails in a way nobody thought of is 500 with a reference, and tells nothing', async () => {
    const emitted = new EventEmitter()
    const incoming = Object.assign(emitted, {
      method: 'POST',
      url: '/mcp',
      rawHeaders: ['Host', 'x', 'Content-Length', '0'],
    }) as unknown as IncomingMessage
    const failing = { call: () => Promise.reject(new Error('canary')) } as unknown as McpEndpoint
    const hostCheck = {
      checkHost: () => undefined,
      isOwnHost: () => true,
      checkOrigin: () => undefined,
      isAllowedOrigin: () => false,
    }
    const direct = createDirectCalls(
      () => ({ hostCheck, mcp: failing, https: false, maxBodyBytes: 9 }),
      createInFlight(),
      () => {},
      () => jsonResponse({ error: 'server_error' }, 500),
    )
    const answered = new Promise<Response>(resolve => {
      direct(incoming, new EventEmitter() as ServerResponse, response => resolve(response))
    })
    emitted.emit('end')
    const response = await answered
    expect([response.status, response.headers.get('x-content-type-options')]).toEqual([500, 'nosniff'])
    expect(await response.text()).not.toContain('canary')
  })

  it.each(['before', 'after'])(
    'a call hears that its client has gone, though it went %s the call asked',
    async when => {
      let request: Request | undefined
      const waiting = {
        call: (head: Request) => {
          request = head
          return new Promise(() => {})
        },
      } as unknown as McpEndpoint
      const emitted = new EventEmitter()
      const incoming = Object.assign(emitted, {
        method: 'POST',
        url: '/mcp',
        rawHeaders: ['Host', 'x', 'Content-Length', '0'],
      }) as unknown as IncomingMessage
      const outgoing = Object.assign(new EventEmitter(), { destroyed: false, writableFinished: false })
      const hostCheck = {
        checkHost: () => undefined,
        isOwnHost: () => true,
        checkOrigin: () => undefined,
        isAllowedOrigin: () => false,
      }
      createDirectCalls(
        () => ({ hostCheck, mcp: waiting, https: false, maxBodyBytes: 9 }),
        createInFlight(),
        () => {},
        () => jsonResponse({}, 500),
      )(incoming, outgoing as unknown as ServerResponse, () => {})
      emitted.emit('end')
      if (when === 'after') expect(request?.signal.aborted).toBe(false)
      outgoing.destroyed = true
      outgoing.emit('close')
      expect(request?.signal.aborted).toBe(true)
    },
  )

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
    socket.write(posted(head, body))
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
