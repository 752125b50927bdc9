// A server on stdio, run as a process of its own by stdio.test.ts.

import { z } from 'zod'
import { createServer } from './create-server.ts'
import { requiresAuth } from './requires-auth.ts'
import { serveStdio } from './stdio.ts'

const signIn = { kind: 'page', id: 'page', label: 'Page', handle: async () => new Response('') } as const
const server = createServer({
  name: 'local',
  version: '1',
  signIn,
  logLevel: 'trace',
  port: Number(process.env.PORT),
  sessionProvider: 'memory',
  secrets: 'a-secret-for-tests-that-is-long-enough-0123456789',
  environment: {},
})
server.tool('hello', { description: 'Greets', run: () => 'hello' })
server.tool('either', {
  description: 'Greets whoever calls',
  auth: { anonymous: true },
  run: (_, { caller }) => caller?.userId ?? 'nobody',
})
server.tool('sure', {
  description: 'Asks whether you are',
  run: async (_, { elicit }) =>
    (await elicit({ message: 'Sure?', schema: z.object({ yes: z.boolean() }) })).action,
})
server.tool('whoami', { description: 'Names you', auth: {}, run: (_, { caller }) => caller.userId })
server.tool('secret', {
  description: 'Tells the secret',
  run: requiresAuth({ scopes: ['x'] }, () => 'secret'),
})
server.tool('typed', {
  description: 'Counts your notes',
  output: z.object({ notes: z.number() }),
  auth: {},
  run: () => ({ notes: 1 }),
})
server.resource('notes://all', { name: 'notes', auth: {}, run: () => 'notes' })
server.prompt('review', { description: 'Reviews', auth: {}, run: () => 'Review this.' })
server.tool('hidden', { description: 'd', auth: { scopes: ['admin'], hidden: true }, run: () => '' })
await serveStdio(server)
