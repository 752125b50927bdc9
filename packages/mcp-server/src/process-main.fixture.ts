// A server with sign-in, run as a process of its own by process.test.ts and configured by environment alone.
import { createServer, developmentSignIn } from './index.ts'

const server = createServer({ name: 'process', version: '1', signIn: developmentSignIn() })
server.tool('whoami', { description: 'Names you', auth: {}, run: (_, { caller }) => caller.userId })
await server.start()
