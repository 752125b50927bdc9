import { getRequestListener } from '@hono/node-server'
import Fastify from 'fastify'
import { port, server } from './notes.ts'

await server.start({ transport: 'mounted' })

const listener = getRequestListener(
  (request, { incoming }) => {
    const { remoteAddress } = incoming.socket
    return server.fetch(request, remoteAddress === undefined ? {} : { remoteAddress })
  },
  { overrideGlobalObjects: false },
)

const app = Fastify()
// Before routing, where bodies are parsed: the MCP server reads its requests itself.
app.addHook('onRequest', async (request, reply) => {
  if (!server.serves(new URL(request.url, server.url).pathname)) return
  reply.hijack()
  await listener(request.raw, reply.raw)
})
app.get('/', async () => 'The application itself.')

await app.listen({ port, host: '127.0.0.1' })
console.log(`ready: ${server.url}`)
process.once('SIGTERM', () => void app.close().then(() => server.close()))
