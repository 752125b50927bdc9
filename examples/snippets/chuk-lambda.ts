import { createServer } from '@sallyport/mcp-server'
import { handle } from 'hono/aws-lambda'

// The code that docs/migrate-from-chuk.md shows about AWS Lambda, compiled and run by chuk-serving.test.ts.

// #region lambda
const server = createServer({
  name: 'functions',
  version: '1.0.0',
  sessions: { when: 'never' },
})

server.tool('hello', { description: 'Greets', run: () => 'Hello from Lambda!' })

await server.start({ transport: 'mounted' })
export const handler = handle(server.app)
// #endregion lambda
