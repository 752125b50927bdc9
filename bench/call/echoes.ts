import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { Hono } from 'hono'
import { type Contender, path } from './contender.ts'

/** What an echo answers: a result of the same size as the others'. */
const answer = (body: string): string => {
  const { id, params } = JSON.parse(body)
  return JSON.stringify({
    result: { content: [{ type: 'text', text: params.arguments.text }] },
    jsonrpc: '2.0',
    id,
  })
}

/** The least a server can do: node:http, JSON in, JSON out, nobody asked who calls. */
export async function createNodeEcho(): Promise<Contender> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', chunk => chunks.push(chunk))
    request.on('end', () => {
      const text = answer(Buffer.concat(chunks).toString())
      response.writeHead(200, { 'Content-Type': 'application/json' }).end(text)
    })
  })
  return listening(server)
}

/** The same on Hono, as its documentation writes it. */
export async function createHonoEcho(): Promise<Contender> {
  const app = new Hono()
  app.post(path, async c => c.body(answer(await c.req.text()), 200, { 'Content-Type': 'application/json' }))
  return listening(createServer(getRequestListener(app.fetch)))
}

/** Listens on a free port. */
export async function listening(server: ReturnType<typeof createServer>, token = ''): Promise<Contender> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    token,
    async close() {
      server.closeAllConnections()
      server.close()
    },
  }
}
