import { createServer, developmentSignIn, ToolError } from '@sallyport/mcp-server'
import { z } from 'zod'

// The code that docs/migrate-from-chuk.md shows about several servers, compiled and run by chuk-composition.test.ts.

// #region mount
const weather = createServer({ name: 'weather', version: '1.0.0' })
weather.tool('forecast', {
  description: 'Tells the weather of tomorrow',
  input: z.object({ city: z.string() }),
  run: ({ city }) => `Sunny in ${city}.`,
})

const hub = createServer({ name: 'hub', version: '1.0.0', signIn: developmentSignIn() })
hub.mount('weather', weather)
// #endregion mount

// #region proxy
hub.proxy({ prefix: 'time', command: 'uvx', args: ['mcp-server-time'], tools: { include: ['greet'] } })

hub.proxy({
  prefix: 'api',
  url: process.env.API_URL ?? 'https://api.example.com/mcp',
  credentials: { bearer: process.env.API_TOKEN ?? 'none' },
  auth: {},
  timeoutMs: 30_000,
})
// #endregion proxy

// #region python
const front = createServer({ name: 'front', version: '1.0.0', signIn: developmentSignIn() })
front.proxy({ command: 'python', args: ['server.py', '--stdio'], auth: {} })
// #endregion python

const limited = createServer({ name: 'limited', version: '1.0.0' })
limited.tool('now', { description: 'Tells the time', run: () => new Date().toISOString() })

// #region limit
const windows = new Map<string, { second: number; calls: number }>()
limited.use({ kind: 'tool' }, ({ context }, next) => {
  const who = context.caller?.userId ?? 'nobody'
  const second = Math.floor(Date.now() / 1000)
  const before = windows.get(who)
  const calls = before?.second === second ? before.calls + 1 : 1
  windows.set(who, { second, calls })
  if (calls > 100) throw new ToolError('Too many calls: wait a second.')
  return next()
})

// #endregion limit

export { front, hub, limited }
