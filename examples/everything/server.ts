import { createServer, developmentSignIn } from '@sallyport/mcp-server'
import { addContent } from './content.ts'
import type { Protection, Target } from './declare.ts'
import { addOnTheWay } from './on-the-way.ts'
import { addQuestions, addRounds } from './questions.ts'
import { addPrompts, addResources } from './resources-and-prompts.ts'
import { addSchemas } from './schemas.ts'
import { addTasks } from './tasks.ts'

function addEverything(server: Target, auth: Protection): void {
  addContent(server, auth)
  addOnTheWay(server, auth)
  addSchemas(server, auth)
  addQuestions(server, auth)
  addRounds(server, auth)
  addTasks(server, auth)
  addResources(server, auth)
  addPrompts(server, auth)
}

// Two addresses on loopback: PUBLIC_URL could be that of one of them only.
const { PUBLIC_URL: _, ...environment } = process.env

const common = {
  version: '1.0.0',
  instructions: 'Each tool shows one thing that a server can do.',
  // Clients of the 2025 revisions get a session even when they cannot be asked anything.
  sessions: { when: 'always' },
  // Off, everything goes through the SDK's engine. Nobody can tell by the answers: see docs/conformance.md.
  leanCalls: environment.LEAN_CALLS !== 'off',
} as const

/** Open to everybody. */
export const open = createServer({ ...common, name: 'everything', environment })
addEverything(open, undefined)

/** The same behind sign-in, on PROTECTED_PORT or the next port. */
export const guarded = createServer({
  ...common,
  name: 'everything-protected',
  environment: {
    ...environment,
    PORT: environment.PROTECTED_PORT ?? String(Number(environment.PORT ?? 3000) + 1),
  },
  signIn: developmentSignIn(),
  scopes: { everything: 'Use everything that this server has' },
})
addEverything(guarded, { scopes: ['everything'] })

await open.start()
await guarded.start()
