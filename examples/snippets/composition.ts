import { createServer, developmentSignIn, ToolError } from '@sallyport/mcp-server'
import { timing } from 'hono/timing'

export const server = createServer({ name: 'office', version: '1.0.0', signIn: developmentSignIn() })
server.tool('admin-reset', { description: 'Resets it all', auth: {}, run: () => 'reset' })

/** Who is on call. */
export const onCall = new Set<string>()

// #region calls
server.use(async ({ kind, name, context }, next) => {
  const startedAt = performance.now()
  try {
    return await next()
  } finally {
    context.log.info({ kind, name, ms: performance.now() - startedAt }, 'called')
  }
})

server.use({ kind: 'tool', name: 'admin-*' }, ({ context }, next) => {
  if (!onCall.has(context.caller?.userId ?? '')) throw new ToolError('Only who is on call may do this.')
  return next()
})
// #endregion calls

// #region mount
const weather = createServer({ name: 'weather', version: '1.0.0' })
weather.tool('forecast', { description: 'The weather of tomorrow', run: () => 'sunny' })
weather.resource('weather://stations', { run: () => ['Oslo'] })

server.mount('weather', weather)
// #endregion mount

// #region proxy
server.proxy({
  url: process.env.TICKETS_URL ?? 'https://tickets.example.com/mcp',
  prefix: 'tickets',
  auth: { scopes: ['tickets'] },
  credentials: { bearer: process.env.TICKETS_TOKEN ?? '' },
  tools: {
    exclude: ['debug-*'],
    rename: { search_v2: 'search' },
    auth: { 'delete-*': { scopes: ['admin'] } },
  },
})
// #endregion proxy

// #region http
server.use('/*', timing())
// #endregion http
