import { once } from 'node:events'
import { createServer, type Server as HttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { createMcpHandler, McpServer, ResourceTemplate } from '@modelcontextprotocol/server'
import { z } from 'zod'

/** A tool as the fixture adds it later. */
export type ExtraTool = (server: McpServer) => void

/**
 * A server of the MCP SDK on a port of this machine, and what it saw. It tells callers apart by their `Authorization`.
 *
 * @param options.admit the status of who is not let in. Default: everybody is
 */
export async function startRemote(
  options: { port?: number; admit?: (authorization: string | null) => number | undefined } = {},
) {
  const seen: { method: string; headers: Headers; body: string }[] = []
  const aborted: string[] = []
  const followed = new Set<readonly string[]>()
  const extras: ExtraTool[] = []
  const who = new Map<Request, string | null>()
  const create = (authorization: string | null): McpServer => {
    const server = new McpServer(
      { name: 'remote', version: '1' },
      { capabilities: { tools: { listChanged: true }, resources: { subscribe: true, listChanged: true } } },
    )
    server.registerTool(
      'add',
      { description: 'Adds', inputSchema: z.object({ a: z.number(), b: z.number() }) },
      ({ a, b }) => ({
        content: [{ type: 'text', text: `${a + b}` }],
        _meta: { 'mcp/www_authenticate': 'evil' },
      }),
    )
    server.registerTool('whoami', { description: 'd' }, () => ({
      content: [
        { type: 'text', text: `you are ${authorization === null ? 'nobody' : authorization.length}` },
      ],
    }))
    server.registerTool('delete-all', { description: 'd' }, () => ({
      content: [{ type: 'text', text: 'gone' }],
    }))
    server.registerTool('typed', { description: 'd', outputSchema: z.object({ n: z.number() }) }, () => ({
      content: [],
      structuredContent: { n: 1 },
    }))
    server.registerTool('steps', { description: 'd' }, async context => {
      for (const progress of [1, 2]) {
        const progressToken = context.mcpReq._meta?.progressToken
        if (progressToken === undefined) break
        await context.mcpReq.notify({
          method: 'notifications/progress',
          params: { progressToken, progress, total: 2, message: `step ${progress}` },
        })
      }
      return { content: [{ type: 'text', text: 'done' }] }
    })
    server.registerTool('waits', { description: 'd' }, async context => {
      await new Promise(resolve => context.mcpReq.signal.addEventListener('abort', resolve))
      aborted.push('waits')
      return { content: [] }
    })
    server.registerTool('large', { description: 'd' }, () => ({
      content: [{ type: 'text', text: 'x'.repeat(200_000) }],
    }))
    server.registerTool('asks', { description: 'd' }, async context => {
      await context.mcpReq.elicitInput({
        mode: 'form',
        message: 'Which?',
        requestedSchema: { type: 'object', properties: { word: { type: 'string' } } },
      })
      return { content: [{ type: 'text', text: 'asked' }] }
    })
    server.registerTool('links', { description: 'd' }, () => ({
      content: [
        { type: 'resource_link', uri: 'notes://all', name: 'All' },
        { type: 'resource_link', uri: 'https://example.com/x', name: 'Elsewhere' },
      ],
    }))
    server.registerResource('all', 'notes://all', { mimeType: 'text/plain' }, uri => ({
      contents: [{ uri: uri.href, text: 'all notes' }],
    }))
    server.registerResource(
      'note',
      new ResourceTemplate('notes://one/{id}', { list: undefined, complete: { id: () => ['7'] } }),
      {},
      (uri, { id }) => ({ contents: [{ uri: uri.href, text: `note ${id}` }] }),
    )
    server.registerPrompt(
      'review',
      { description: 'Reviews', argsSchema: z.object({ tone: z.string() }) },
      ({ tone }) => ({ messages: [{ role: 'user', content: { type: 'text', text: `Review, ${tone}.` } }] }),
    )
    for (const extra of extras) extra(server)
    return server
  }
  const handler = createMcpHandler(
    ({ authInfo }) => create((authInfo?.extra?.authorization as string | null) ?? null),
    { legacy: 'stateless' },
  )
  let http: HttpServer | undefined
  const listen = async (port: number) => {
    http = createServer(
      getRequestListener(async request => {
        const body = request.method === 'POST' ? await request.clone().text() : ''
        seen.push({ method: request.method, headers: request.headers, body })
        if (body.includes('"resourceSubscriptions"')) {
          const uris = JSON.parse(body).params.notifications.resourceSubscriptions as string[]
          followed.add(uris)
          request.signal.addEventListener('abort', () => followed.delete(uris))
        }
        const authorization = request.headers.get('authorization')
        const status = options.admit?.(authorization)
        if (status !== undefined) return new Response(null, { status })
        return handler.fetch(request, {
          authInfo: { token: '', clientId: '', scopes: [], extra: { authorization } },
        })
      }),
    ).listen(port, '127.0.0.1')
    await once(http, 'listening')
    return (http.address() as AddressInfo).port
  }
  const stop = async () => {
    http?.close()
    http?.closeAllConnections()
    http = undefined
  }
  const port = await listen(options.port ?? 0)
  who.clear()
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    seen,
    aborted,
    /** Adds a tool, and tells who listens. */
    add(extra: ExtraTool) {
      extras.push(extra)
      handler.notify.toolsChanged()
    },
    /** Resources that are followed now. */
    follows: () => [...followed].flat(),
    /** Tells those who follow a resource that it has changed. */
    update: (uri: string) => handler.notify.resourceUpdated(uri),
    stop,
    comeBack: () => listen(port),
    async close() {
      await handler.close()
      await stop()
    },
  }
}
