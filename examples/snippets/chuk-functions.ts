import { getRequestListener } from '@hono/node-server'
import { createServer } from '@sallyport/mcp-server'

// The code that docs/migrate-from-chuk.md shows about Google Cloud Functions, compiled and run by chuk-serving.test.ts.

const server = createServer({ name: 'functions', version: '1.0.0', sessions: { when: 'never' } })
server.tool('hello', { description: 'Greets', run: () => 'Hello from a function!' })

// #region functions
await server.start({ transport: 'mounted' })
export const mcp = getRequestListener(request => server.fetch(request))
// #endregion functions
