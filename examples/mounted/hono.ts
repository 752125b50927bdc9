import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { port, server } from './notes.ts'

await server.start({ transport: 'mounted' })

const app = new Hono()
app.get('/', c => c.text('The application itself.'))
app.route('/', server.app)

const listener = serve({ fetch: app.fetch, port, hostname: '127.0.0.1' }, () => {
  console.log(`ready: ${server.url}`)
})
process.once('SIGTERM', () => listener.close(() => void server.close()))
