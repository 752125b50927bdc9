import { createServer, developmentSignIn } from '@sallyport/mcp-server'
import { serveStdio } from '@sallyport/mcp-server/stdio'

// The code that docs/stdio.md shows, compiled and run by stdio.test.ts.

// #region server
const server = createServer({ name: 'notebook', version: '1.0.0', signIn: developmentSignIn() })

server.tool('whoami', {
  description: 'Tells who is signed in',
  auth: {},
  run: (_, { caller }) => caller.userId,
})

await serveStdio(server)
// #endregion server
