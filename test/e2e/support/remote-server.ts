import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import { z } from 'zod'
import { profileUrl } from './messages.ts'

/**
 * An MCP server of SDK 1.x, with sessions, for users of the test upstream: it takes their tokens of that upstream, and
 * remembers in each session what it was told there.
 */
export async function startRemoteServer(apiOrigin: () => string) {
  const sessions = new Map<string, { transport: StreamableHTTPServerTransport; subs: Set<string> }>()
  const headers: string[] = []
  const subOf = async ({ headers: { authorization } }: IncomingMessage): Promise<string | undefined> => {
    if (authorization === undefined) return undefined
    const response = await fetch(profileUrl(apiOrigin()), { headers: { authorization } })
    return response.ok ? ((await response.json()) as { sub: string }).sub : undefined
  }
  const open = async (sub: string) => {
    const words: string[] = []
    const server = new McpServer({ name: 'remote', version: '1' })
    server.registerTool('whoami', { description: 'Names you' }, () => ({
      content: [{ type: 'text', text: sub }],
    }))
    server.registerTool(
      'remember',
      { description: 'Remembers a word in this session', inputSchema: { word: z.string() } },
      async ({ word }, { sendNotification, _meta }) => {
        words.push(word)
        const progressToken = _meta?.progressToken
        if (progressToken !== undefined) {
          await sendNotification({
            method: 'notifications/progress',
            params: { progressToken, progress: words.length, message: word },
          })
        }
        return { content: [{ type: 'text', text: words.join() }] }
      },
    )
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      onsessioninitialized: id => void sessions.set(id, { transport, subs: new Set([sub]) }),
    })
    await server.connect(transport as Parameters<typeof server.connect>[0])
    return transport
  }
  const http = createServer(async (request, response) => {
    headers.push(JSON.stringify(request.rawHeaders))
    const sub = await subOf(request)
    if (sub === undefined) return response.writeHead(401).end()
    const id = request.headers['mcp-session-id']
    const session = typeof id === 'string' ? sessions.get(id) : undefined
    if (id !== undefined && !session) return response.writeHead(404).end()
    session?.subs.add(sub)
    await (session?.transport ?? (await open(sub))).handleRequest(request, response)
  }).listen(0, '127.0.0.1')
  await once(http, 'listening')
  return {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}/mcp`,
    /** Headers of all requests so far. */
    headers,
    /** Of each session, whose requests came in it. */
    subs: () => [...sessions.values()].map(({ subs }) => [...subs]),
    /** As a restart would. */
    forgetSessions: () => sessions.clear(),
    async close() {
      http.close()
      http.closeAllConnections()
    },
  }
}
