import { getRequestListener } from '@hono/node-server'
import express from 'express'
import { port, server } from './notes.ts'

await server.start({ transport: 'mounted' })

const listener = getRequestListener(
  (request, { incoming }) => {
    const { remoteAddress } = incoming.socket
    return server.fetch(request, remoteAddress === undefined ? {} : { remoteAddress })
  },
  { overrideGlobalObjects: false },
)

const app = express()
// Before any body parser: the MCP server reads its requests itself.
app.use((request, response, next) => {
  if (server.serves(request.path)) void listener(request, response)
  else next()
})
app.use(express.json())
app.get('/', (_, response) => {
  response.send('The application itself.')
})

const listening = app.listen(port, '127.0.0.1', () => console.log(`ready: ${server.url}`))
process.once('SIGTERM', () => listening.close(() => void server.close()))
