import { createServer, developmentSignIn, type RecordedEvent } from '@sallyport/mcp-server'
import { Hono } from 'hono'
import { contextStorage, tryGetContext } from 'hono/context-storage'
import { z } from 'zod'

// The code that docs/migrate-from-chuk.md shows about serving, compiled and run by chuk-serving.test.ts.

// #region options
const server = createServer({
  name: 'api',
  version: '1.0.0',
  signIn: developmentSignIn(),
  port: 8000,
  logLevel: 'warn',
  maxBodyBytes: 10 * 1024 * 1024,
  allowedOrigins: ['https://app.example.com'],
  onEvent: count,
})
// #endregion options

server.tool('whoami', { description: 'Who', auth: {}, run: (_, { caller }) => caller.userId })

// #region endpoint
server.app.get('/api/data', c => c.json({ data: 'example' }))

server.app.post('/api/data/:id', async c => {
  const { value } = z.object({ value: z.string() }).parse(await c.req.json())
  return c.json({ id: c.req.param('id'), value }, 201)
})
// #endregion endpoint

// #region health
server.app.get('/ping', c => c.json({ status: 'pong' }))
server.app.get('/version', c => c.json({ name: 'api', version: '1.0.0' }))
server.app.get('/health/detailed', async c => {
  if (c.req.header('authorization') !== `Bearer ${process.env.HEALTH_TOKEN}`) return c.body(null, 401)
  return c.json({ uptimeSeconds: Math.floor(process.uptime()), ...(await server.admin.stats()) })
})
// #endregion health

// #region metrics
const calls = new Map<string, { count: number; failures: number; totalMs: number }>()

function count(event: RecordedEvent): void {
  if (event.type !== 'tool_called') return
  const { count, failures, totalMs } = calls.get(event.tool) ?? { count: 0, failures: 0, totalMs: 0 }
  calls.set(event.tool, {
    count: count + 1,
    failures: failures + (event.ok ? 0 : 1),
    totalMs: totalMs + event.durationMs,
  })
}
// #endregion metrics

// #region middleware
server.tool('region', {
  description: 'Tells from which region the call came',
  run: () => tryGetContext()?.req.header('x-region') ?? 'unknown',
})

const app = new Hono()
app.use(contextStorage())
app.use(async (c, next) => {
  if (c.req.header('x-region') === 'nowhere') return c.json({ error: 'not_here' }, 403)
  await next()
})
app.route('/', server.app)
// #endregion middleware

// #region platforms
const handler = { fetch: (request: Request) => app.fetch(request) }

// #endregion platforms

export { app, calls, handler, server }
