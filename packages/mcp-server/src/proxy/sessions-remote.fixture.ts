import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { McpServer, WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/server'

interface RemoteSession {
  server: McpServer
  transport: WebStandardStreamableHTTPServerTransport
  authorization: string | null
  followed: Set<string>
}

/**
 * A remote server of the 2025 revisions with sessions, on a port of this machine. It answers by session, and tells of
 * changes one session at a time.
 *
 * @param options.admit whether it takes an `Authorization`. Default: any
 */
export async function startSessionsRemote(
  options: { admit?: (authorization: string | null) => boolean } = {},
) {
  const sessions = new Map<string, RemoteSession>()
  const seen: { method: string; authorization: string | null; session: string | null }[] = []
  const names = ['first']

  async function open(authorization: string | null): Promise<RemoteSession> {
    const followed = new Set<string>()
    const server = new McpServer(
      { name: 'remote', version: '1' },
      { capabilities: { tools: { listChanged: true }, resources: { subscribe: true, listChanged: true } } },
    )
    for (const name of names) server.registerTool(name, { description: 'd' }, () => ({ content: [] }))
    for (const uri of ['notes://all', 'notes://other']) {
      server.registerResource(uri, uri, {}, () => ({ contents: [{ uri, text: 'a note' }] }))
    }
    server.server.setRequestHandler('resources/subscribe', ({ params: { uri } }) => {
      followed.add(uri)
      return {}
    })
    server.server.setRequestHandler('resources/unsubscribe', ({ params: { uri } }) => {
      followed.delete(uri)
      return {}
    })
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: id => void sessions.set(id, session),
      onsessionclosed: id => void sessions.delete(id),
    })
    const session: RemoteSession = { server, transport, authorization, followed }
    await server.connect(transport)
    return session
  }

  const http = createServer(
    getRequestListener(async request => {
      const authorization = request.headers.get('authorization')
      const id = request.headers.get('mcp-session-id')
      const body: unknown = request.method === 'POST' ? await request.clone().json() : undefined
      const { method = request.method } = Object(body) as { method?: string }
      seen.push({ method, authorization, session: id })
      if (options.admit?.(authorization) === false) return new Response(null, { status: 401 })
      if (method === 'server/discover') return new Response(null, { status: 404 })
      const session = id === null ? await open(authorization) : sessions.get(id)
      return session?.transport.handleRequest(request) ?? new Response(null, { status: 404 })
    }),
  ).listen(0, '127.0.0.1')
  await once(http, 'listening')
  const of = (authorization: string | null) =>
    [...sessions.values()].filter(session => session.authorization === authorization)

  return {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}/mcp`,
    seen,
    /** What somebody follows, in all their sessions. */
    followedBy: (authorization: string | null) => of(authorization).flatMap(({ followed }) => [...followed]),
    /** What anybody follows. */
    followed: () => [...sessions.values()].flatMap(({ followed }) => [...followed]),
    /** Tells the sessions of one caller, whether they follow it or not. */
    async update(authorization: string | null, uri: string) {
      for (const { server } of of(authorization)) await server.server.sendResourceUpdated({ uri })
    },
    /** Gives everybody one more tool, and tells one caller. */
    async add(authorization: string | null, name: string) {
      names.push(name)
      for (const { server } of of(authorization)) {
        server.registerTool(name, { description: 'd' }, () => ({ content: [] }))
      }
    },
    /** Forgets all sessions, as after a restart. */
    async forget() {
      const ending = [...sessions.values()]
      sessions.clear()
      for (const { server } of ending) await server.close()
    },
    async close() {
      http.close()
      http.closeAllConnections()
    },
  }
}
