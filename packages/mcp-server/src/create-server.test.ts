import { createServer as createTcpServer } from 'node:net'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { z } from 'zod'
import { createServer } from './create-server.ts'
import { createLogger } from './log.ts'
import { connectClient, eras } from './mcp-client.fixture.ts'
import { modernHeaders, modernParams } from './mcp-request.fixture.ts'
import { fakeProvider } from './provider.fixture.ts'
import type { Server, ServerOptions } from './server.ts'

const started: Pick<Server, 'close'>[] = []
afterEach(async () => {
  for (const server of started.splice(0)) await server.close()
})

const quiet = { name: 'calculator', version: '1.2.3', port: 0, logLevel: 'silent', environment: {} } as const

function calculator(options: Partial<ServerOptions<undefined, readonly []>> = {}) {
  const server = createServer({ ...quiet, instructions: 'Adds.', ...options })
  started.push(server)
  server.tool('add', {
    description: 'Adds two numbers',
    input: z.object({ a: z.number(), b: z.number() }),
    run: ({ a, b }) => `${a + b}`,
  })
  server.tool('sum', {
    description: 'Adds a list',
    input: z.object({ all: z.array(z.number()) }),
    output: z.object({ sum: z.number() }),
    annotations: { readOnlyHint: true },
    run: ({ all }) => ({ sum: all.reduce((sum, value) => sum + value, 0) }),
  })
  return server
}

const silent = { silent: true, throwOnError: true, handleSignals: false }

describe('a server inside another', () => {
  it('is made ready without listening, and says what it does not know at start', async () => {
    const server = calculator({ port: 3000 })
    await server.start({ ...silent, transport: 'mounted' })
    expect((await server.fetch(new Request('http://localhost:3000/health'))).status).toBe(200)
    const unknown = calculator()
    await expect(unknown.start({ ...silent, transport: 'mounted' })).rejects.toThrow(/set PUBLIC_URL/)
  })

  it.each([
    ...['/mcp', '/oauth/authorize', '/oauth/callback/google', '/account', '/health'],
    ...['/.well-known/oauth-protected-resource/mcp', '/.well-known/oauth-authorization-server'],
  ])('says that %s is its own', path => {
    expect(calculator().serves(path)).toBe(true)
  })

  it.each(['/', '/mcp2', '/mcp/', '/api/mcp', '/oauth', '/accounts', '/.well-known/acme-challenge/x'])(
    'leaves %s to its host',
    path => {
      expect(calculator().serves(path)).toBe(false)
    },
  )
})

describe.each(eras)('a client of revision %s', (_, era) => {
  it('lists and calls the tools of a server that listens', async () => {
    const server = calculator()
    await server.start(silent)
    const client = await connectClient(server.url, era)
    expect(client.getServerVersion()).toMatchObject({ name: 'calculator', version: '1.2.3' })
    expect(client.getInstructions()).toBe('Adds.')
    const { tools } = await client.listTools()
    expect(tools).toMatchObject([
      {
        name: 'add',
        description: 'Adds two numbers',
        inputSchema: { type: 'object', required: ['a', 'b'] },
      },
      { name: 'sum', annotations: { readOnlyHint: true }, outputSchema: { required: ['sum'] } },
    ])
    expect(await client.callTool({ name: 'add', arguments: { a: 2, b: 3 } })).toMatchObject({
      content: [{ type: 'text', text: '5' }],
    })
    expect(await client.callTool({ name: 'sum', arguments: { all: [1, 2, 3] } })).toMatchObject({
      structuredContent: { sum: 6 },
    })
    await client.close()
  })

  it('is told what is wrong with its arguments, and the handler does not run', async () => {
    const server = calculator({ port: 3000 })
    const client = await connectClient(server.url, era, (url, init) => server.fetch(new Request(url, init)))
    const result = await client.callTool({ name: 'add', arguments: { a: 'two', b: 3 } })
    expect(result).toMatchObject({ isError: true, content: [{ text: expect.stringContaining('a') }] })
    await expect(client.callTool({ name: 'subtract', arguments: {} })).rejects.toThrow()
    await client.close()
  })
})

describe('the endpoint without a listening port', () => {
  const post = (body: unknown, headers: Record<string, string> = {}) =>
    new Request('http://localhost:3000/mcp', {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...headers,
      },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    })
  const list = { jsonrpc: '2.0', id: 7, method: 'tools/list' }

  it('a script that accepts JSON only gets JSON', async () => {
    const response = await calculator({ port: 3000 }).fetch(post(list, { accept: 'application/json' }))
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('application/json')
    expect(await response.json()).toMatchObject({
      id: 7,
      result: { tools: [{ name: 'add' }, { name: 'sum' }] },
    })
  })

  it.each<[string, string, number]>([
    ['what is not JSON', '{', 400],
    ['nothing', '', 400],
    ['R196: JSON that nests without end', '['.repeat(10_000), 400],
    ['R196: more than a megabyte', `"${'x'.repeat(1_048_576)}"`, 413],
  ])('%s is refused', async (_, body, status) => {
    expect((await calculator({ port: 3000 }).fetch(post(body))).status).toBe(status)
  })

  it('R196: a compressed body and another media type are refused', async () => {
    const server = calculator({ port: 3000 })
    expect((await server.fetch(post(list, { 'content-encoding': 'gzip' }))).status).toBe(415)
    expect((await server.fetch(post(list, { 'content-type': 'text/plain' }))).status).toBe(415)
  })

  it.each(['GET', 'DELETE', 'HEAD'])('R195: %s is answered 405', async method => {
    const response = await calculator({ port: 3000 }).fetch(
      new Request('http://localhost:3000/mcp', { method }),
    )
    expect(response.status).toBe(405)
    expect(response.headers.get('mcp-session-id')).toBeNull()
  })

  it('R194: headers that say another thing than the body are refused', async () => {
    const call = {
      ...list,
      method: 'tools/call',
      params: modernParams({ name: 'add', arguments: { a: 1, b: 1 } }),
    }
    const server = calculator({ port: 3000 })
    expect((await server.fetch(post(call, modernHeaders('tools/call', 'add')))).status).toBe(200)
    const refused = await server.fetch(post(call, modernHeaders('tools/call', 'sum')))
    expect(refused.status).toBe(400)
    expect(await refused.json()).toMatchObject({ error: { code: -32020 } })
  })

  it('R199: what a modern client gets is for this caller alone, whatever cache stands between', async () => {
    const modernList = post({ ...list, params: modernParams({}) }, modernHeaders('tools/list'))
    const response = await calculator({ port: 3000 }).fetch(modernList)
    expect(await response.json()).toMatchObject({ result: { cacheScope: 'private' } })
    expect(response.headers.get('cache-control')).toContain('no-store')
    expect(response.headers.get('vary')).toContain('Authorization')
  })

  it('R193: a page of another origin cannot use it, one the operator allowed can read the answers', async () => {
    const server = calculator({ port: 3000, allowedOrigins: ['https://inspector.example'] })
    expect((await server.fetch(post(list, { origin: 'https://evil.example' }))).status).toBe(403)
    expect((await server.fetch(post(list, { host: 'evil.example' }))).status).toBe(403)
    const allowed = await server.fetch(post(list, { origin: 'https://inspector.example' }))
    expect(allowed.status).toBe(200)
    expect(allowed.headers.get('access-control-allow-origin')).toBe('https://inspector.example')
    expect(allowed.headers.get('access-control-allow-credentials')).toBeNull()
    const preflight = await server.fetch(
      new Request('http://localhost:3000/mcp', {
        method: 'OPTIONS',
        headers: { origin: 'https://inspector.example', 'access-control-request-method': 'POST' },
      }),
    )
    expect(preflight.status).toBe(204)
    expect(preflight.headers.get('access-control-allow-headers')).toMatch(/Authorization/)
  })

  it.each(['/%6dcp', '/MCP', '/mcp/', '/mcp%2f', '/mcp/x', '//mcp', '/mcp;x', '/', '/nope'])(
    'R152: %s is not the endpoint',
    async path => {
      const request = new Request(`http://localhost:3000${path}`, post(list))
      expect((await calculator({ port: 3000 }).fetch(request)).status).toBe(404)
    },
  )

  it('R198: every answer says what it is and is kept by nobody', async () => {
    const server = calculator({ port: 3000 })
    for (const path of ['/mcp', '/health', '/nope']) {
      const { headers } = await server.fetch(new Request(`http://localhost:3000${path}`))
      expect(headers.get('x-content-type-options')).toBe('nosniff')
      expect(headers.get('cache-control')).toContain('no-store')
      expect(headers.get('content-security-policy')).toBe("default-src 'none'; frame-ancestors 'none'")
    }
    const stream = await server.fetch(post(list))
    expect(stream.headers.get('cache-control')).toBe('no-store, no-transform')
    expect(stream.headers.get('vary')).toContain('Authorization')
  })

  it('R197: an https server tells browsers to stay with https, an http one does not', async () => {
    const at = async (publicUrl: string) => {
      const response = await calculator({ publicUrl }).fetch(new Request(`${publicUrl}/health`))
      return response.headers.get('strict-transport-security')
    }
    expect(await at('https://mcp.example.com')).toBe('max-age=31536000')
    expect(await at('http://localhost:3000')).toBeNull()
  })

  it('R200: a line break in a result cannot forge an event of the stream', async () => {
    const server = createServer({ ...quiet, port: 3000, leanCalls: false })
    server.tool('echo', { description: 'd', run: () => 'a\n\ndata: {"forged":true}\r\nid: 1' })
    const call = { ...list, method: 'tools/call', params: { name: 'echo' } }
    const text = await (await server.fetch(post(call))).text()
    expect(text.match(/^data: /gm)).toHaveLength(1)
    expect(text).not.toMatch(/^id: /m)
  })

  it('R160: 200 parallel calls with the same JSON-RPC id each get their own answer', async () => {
    const server = calculator({ port: 3000 })
    const call = (a: number) => ({
      ...list,
      id: 1,
      method: 'tools/call',
      params: { name: 'add', arguments: { a, b: 0 } },
    })
    const answers = await Promise.all(
      Array.from({ length: 200 }, async (_, a) => {
        const response = await server.fetch(post(call(a), { accept: 'application/json' }))
        return ((await response.json()) as { result: { content: { text: string }[] } }).result.content[0]
          ?.text
      }),
    )
    expect(answers).toEqual(Array.from({ length: 200 }, (_, a) => `${a}`))
  })

  it('routes of the developer are served behind the host check', async () => {
    const server = calculator({ port: 3000 })
    server.app.get('/hello', c => c.html('<p>hello</p>'))
    const response = await server.fetch(new Request('http://localhost:3000/hello'))
    expect(await response.text()).toBe('<p>hello</p>')
    expect(response.headers.get('content-security-policy')).toBeNull()
    const foreign = new Request('http://localhost:3000/hello', { headers: { host: 'evil.example' } })
    expect((await server.fetch(foreign)).status).toBe(403)
  })

  it('R189: an error in a route of the developer tells the caller nothing', async () => {
    const server = calculator({ port: 3000 })
    server.app.get('/broken', () => {
      throw new Error('canary')
    })
    const response = await server.fetch(new Request('http://localhost:3000/broken'))
    expect(response.status).toBe(500)
    expect(await response.text()).not.toContain('canary')
  })

  it('a browser that asks for an icon logs no error', async () => {
    const response = await calculator({ port: 3000 }).fetch(new Request('http://localhost:3000/favicon.ico'))
    expect(response.status).toBe(204)
  })

  it('a probe is answered whatever name it calls by', async () => {
    const response = await calculator({ port: 3000 }).fetch(new Request('http://10.0.0.5:3000/health'))
    expect([response.status, await response.json()]).toEqual([200, { status: 'ok' }])
  })
})

describe('starting', () => {
  it('a port in use is one sentence that names PORT', async () => {
    const other = createTcpServer().listen(0, '127.0.0.1')
    await new Promise(resolve => other.once('listening', resolve))
    const { port } = other.address() as { port: number }
    await expect(calculator({ port }).start(silent)).rejects.toThrow(
      `Port ${port} is in use: set PORT to another one, or stop the program that uses it.`,
    )
    other.close()
  })

  it('an address of another machine is one sentence that names HOST', async () => {
    await expect(calculator({ host: '192.0.2.1' }).start(silent)).rejects.toThrow(
      /^HOST 192\.0\.2\.1 is not an address/,
    )
  })

  it('unless asked to throw, it prints the sentence and ends with code 1', async () => {
    const exit = vi.spyOn(process, 'exit').mockImplementation(() => undefined as never)
    const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
    try {
      await createServer({ ...quiet, environment: { PORT: 'x' }, port: undefined as never }).start()
      expect(stderr.mock.calls).toEqual([['PORT must be a whole number from 0 to 65535.\n']])
      expect(exit.mock.calls).toEqual([[1]])
    } finally {
      vi.restoreAllMocks()
    }
  })

  it('prints the URL, and what to paste into which client', async () => {
    const stdout = vi.spyOn(process.stdout, 'write').mockReturnValue(true)
    const server = calculator()
    await server.start({ ...silent, silent: false })
    const printed = stdout.mock.calls.map(([text]) => String(text)).join('')
    stdout.mockRestore()
    expect(printed).toContain(`calculator is ready: ${server.url}`)
    expect(printed).toContain(`claude mcp add --transport http calculator ${server.url}`)
    expect(printed).toContain('"mcp-remote"')
    expect(printed).toContain('"type": "http"')
    expect(printed).not.toMatch(/Data:|DEVELOPMENT/)
  })

  it('production without a public URL is told that nobody else reaches it', async () => {
    const lines: string[] = []
    const logger = createLogger({ name: 'test', level: 'warn' }, { write: line => void lines.push(line) })
    await calculator({ logger, environment: { NODE_ENV: 'production' } }).start(silent)
    const publicUrl = 'http://localhost:3000'
    await calculator({ logger, publicUrl, environment: { NODE_ENV: 'production' } }).start(silent)
    expect(lines.map(line => JSON.parse(line).msg)).toEqual([
      expect.stringContaining('PUBLIC_URL is not set'),
    ])
  })

  it('a tool added after the start is an error, not a tool nobody sees', async () => {
    const server = calculator()
    await server.start(silent)
    expect(() => server.tool('late', { description: 'd', run: () => '' })).toThrow(/comes too late/)
  })

  it('two tools of one name are an error', () => {
    expect(() => calculator().tool('add', { description: 'd', run: () => '' })).toThrow(
      /two tools named "add"/,
    )
  })

  it.each<[string, object]>([
    ['no/such tool', { description: 'd', run: () => '' }],
    ['nameless', { description: ' ', run: () => '' }],
    ['schemaless', { description: 'd', input: { a: z.string() }, run: () => '' }],
    ['runless', { description: 'd' }],
  ])('a tool that cannot work is an error: %s', (name, definition) => {
    expect(() => calculator().tool(name, definition as never)).toThrow(
      expect.objectContaining({ name: 'ConfigurationError' }),
    )
  })

  it.each<[string, RegExp, () => Pick<Server, 'start'>]>([
    [
      'auth without sign-in',
      /^Tool "t" requires auth, but the server has no sign-in/,
      () => {
        const server = createServer(quiet)
        server.tool('t', { description: 'd', auth: {} as never, run: () => '' })
        return server
      },
    ],
    [
      'a provider the server does not have',
      /^Tool "t" needs provider "github", which the server does not have/,
      () => {
        const server = createServer({ ...quiet, signIn: fakeProvider('google').provider })
        server.tool('t', { description: 'd', auth: { github: [] } as never, run: () => '' })
        return server
      },
    ],
    [
      'two providers of one id',
      /^There are two providers named "google"/,
      () =>
        createServer({
          ...quiet,
          signIn: fakeProvider('google').provider,
          providers: [fakeProvider('google').provider],
        }),
    ],
    [
      'a provider called like a keyword of auth',
      /^A provider cannot be named "scopes"/,
      () => createServer({ ...quiet, signIn: fakeProvider('scopes').provider }),
    ],
  ])('%s is an error at start, not at the call', async (_, message, create) => {
    await expect(create().start(silent)).rejects.toThrow(message)
  })
})

/** A promise to be resolved from outside. */
function deferred<T>() {
  let resolve: (value: T) => void = () => {}
  const promise = new Promise<T>(done => {
    resolve = done
  })
  return { promise, resolve }
}

describe('stopping', () => {
  it.each(eras)(
    'R201: a call under way of a %s client gets its answer, a new one is not accepted',
    async (_, era) => {
      const server = createServer(quiet)
      started.push(server)
      const begun = deferred<void>()
      const work = deferred<string>()
      server.tool('slow', {
        description: 'd',
        run: () => {
          begun.resolve()
          return work.promise
        },
      })
      await server.start(silent)
      const client = await connectClient(server.url, era)
      const answer = client.callTool({ name: 'slow', arguments: {} })
      await begun.promise
      const closed = server.close()
      await expect(fetch(server.url)).rejects.toThrow()
      work.resolve('finished')
      expect(await answer).toMatchObject({ content: [{ text: 'finished' }] })
      await closed
    },
  )

  it('R201: a promise a tool forgot does not end the server', async () => {
    const server = createServer(quiet)
    started.push(server)
    server.tool('forgetful', {
      description: 'd',
      run: () => {
        void Promise.reject(new Error('nobody waits for this'))
        return 'done'
      },
    })
    await server.start(silent)
    const others = process.listeners('unhandledRejection').slice(0, -1)
    for (const listener of others) process.off('unhandledRejection', listener)
    try {
      const client = await connectClient(server.url, eras[0][1])
      for (let call = 0; call < 3; call++) {
        expect(await client.callTool({ name: 'forgetful', arguments: {} })).toMatchObject({
          content: [{ text: 'done' }],
        })
      }
      await client.close()
    } finally {
      for (const listener of others) process.on('unhandledRejection', listener)
    }
  })

  it('leaves no handler on the process', async () => {
    const count = () => ['SIGINT', 'SIGTERM', 'unhandledRejection'].map(event => process.listenerCount(event))
    const before = count()
    const server = calculator()
    await server.start({ ...silent, handleSignals: true })
    expect(count()).toEqual(before.map(n => n + 1))
    await server.close()
    expect(count()).toEqual(before)
  })
})
