// A server on stdio, run as a process of its own by stdio.test.ts.

import { createServer } from './create-server.ts'
import { requiresAuth } from './requires-auth.ts'
import { serveStdio } from './stdio.ts'

const signIn = { kind: 'page', id: 'page', label: 'Page', handle: async () => new Response('') } as const
const server = createServer({ name: 'local', version: '1', signIn, logLevel: 'trace', environment: {} })
server.tool('hello', { description: 'Greets', run: () => 'hello' })
server.tool('either', {
  description: 'Greets whoever calls',
  auth: { anonymous: true },
  run: (_, { caller }) => caller?.userId ?? 'nobody',
})
server.tool('whoami', { description: 'Names you', auth: {}, run: (_, { caller }) => caller.userId })
server.tool('secret', {
  description: 'Tells the secret',
  run: requiresAuth({ scopes: ['x'] }, () => 'secret'),
})
await serveStdio(server)
