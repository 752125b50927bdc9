import {
  type CallContext,
  type Caller,
  ConnectionRequiredError,
  createServer,
  developmentSignIn,
  requiresAuth,
  ToolError,
  tool,
} from '@sallyport/mcp-server'
import { google } from '@sallyport/providers'
import { z } from 'zod'

// The code that docs/tools.md shows, compiled and run by tools.test.ts.

// #region server
const server = createServer({
  name: 'notebook',
  version: '1.0.0',
  signIn: developmentSignIn(),
  providers: [google()],
  scopes: {
    'notes:write': 'Add notes to your notebook',
    'notes:read': 'Read your notebook',
    'jobs:run': 'Run jobs',
  },
  scopeHierarchy: { 'notes:write': ['notes:read'] },
})
// #endregion server

// #region public
server.tool('add', {
  description: 'Adds two numbers',
  input: z.object({ a: z.number(), b: z.number() }),
  run: ({ a, b }) => `${a + b}`,
})
// #endregion public

// #region signed-in
server.tool('whoami', {
  description: 'Tells who is signed in',
  auth: {},
  run: (_, { caller }) => caller.userId,
})
// #endregion signed-in

// #region scopes
server.tool('add-note', {
  description: 'Adds a note',
  input: z.object({ text: z.string() }),
  auth: { scopes: ['notes:write'] },
  run: async ({ text }, { caller }) => saveNote(caller.userId, text),
})
// #endregion scopes

// #region recent
server.tool('delete-notebook', {
  description: 'Deletes your notebook for good',
  auth: { scopes: ['notes:write'], maxAgeSeconds: 300 },
  run: async (_, { caller }) => removeNote(caller.userId, 'all'),
})
// #endregion recent

// #region anonymous
server.tool('greet', {
  description: 'Greets you, by id when you are signed in',
  auth: { anonymous: true },
  run: (_, { caller }) => (caller ? `Hello, ${caller.userId}` : 'Hello, whoever you are'),
})
// #endregion anonymous

// #region clients
server.tool('run-job', {
  description: 'Runs the nightly job',
  auth: { scopes: ['jobs:run'], clients: true },
  run: (_, { caller }) =>
    caller.principal === 'client' ? `Started by ${caller.clientId}.` : `Started by you, ${caller.userId}.`,
})
// #endregion clients

// #region provider
server.tool('calendars', {
  description: 'Names of your Google calendars',
  auth: { google: ['https://www.googleapis.com/auth/calendar.readonly'] },
  run: async (_, { fetch }) => {
    const response = await fetch('https://www.googleapis.com/calendar/v3/users/me/calendarList')
    if (!response.ok) throw new ToolError(`Google answered ${response.status}.`)
    return response.json()
  },
})
// #endregion provider

// #region token
server.tool('calendar-count', {
  description: 'How many Google calendars you have',
  auth: { google: ['https://www.googleapis.com/auth/calendar.readonly'] },
  run: async (_, { token }) => {
    const { value } = await token('google')
    return countCalendars({ accessToken: value })
  },
})
// #endregion token

// #region connection
server.tool('calendar-health', {
  description: 'Whether your Google calendar can be read now',
  auth: { google: ['https://www.googleapis.com/auth/calendar.readonly'] },
  run: async (_, { connection }) => {
    const { state, nextAttemptAt } = await connection('google')
    if (nextAttemptAt === undefined) return state
    return `${state}, next attempt ${new Date(nextAttemptAt * 1000).toISOString()}`
  },
})
// #endregion connection

// #region accounts
server.tool('agenda', {
  description: 'Your events, from each Google account you have connected',
  auth: { google: ['https://www.googleapis.com/auth/calendar.readonly'] },
  run: async (_, { accounts, fetch }) => {
    const agenda: Record<string, unknown> = {}
    for (const { id, label, state } of await accounts('google')) {
      if (state !== 'active') continue
      const url = 'https://www.googleapis.com/calendar/v3/calendars/primary/events'
      agenda[label ?? id] = await (await fetch(url, { account: id })).json()
    }
    return agenda
  },
})
// #endregion accounts

// #region another-account
server.tool('next-in-both', {
  description: 'The next event of each of two Google accounts',
  auth: { google: ['https://www.googleapis.com/auth/calendar.readonly'] },
  run: async (_, { accounts, fetch }) => {
    const connected = await accounts('google')
    if (connected.length < 2) throw new ConnectionRequiredError('google', 'another_account')
    const url = 'https://www.googleapis.com/calendar/v3/calendars/primary/events?maxResults=1'
    return Promise.all(connected.map(async ({ id }) => (await fetch(url, { account: id })).json()))
  },
})
// #endregion another-account

// #region decorators
class Notebook {
  @tool({ description: 'Deletes a note', input: z.object({ id: z.string() }) })
  @requiresAuth({ scopes: ['notes:write'] })
  async deleteNote({ id }: { id: string }, { caller }: CallContext<Caller>) {
    await removeNote(caller.userId, id)
    return 'Deleted.'
  }
}
server.register(new Notebook())
// #endregion decorators

// #region function
const adminOnly = { scopes: ['admin'] }
server.tool('shut-down', {
  description: 'Stops the machine',
  run: requiresAuth(adminOnly, async () => 'Stopping.'),
})
// #endregion function

// #region errors
server.tool('read-note', {
  description: 'Reads a note',
  input: z.object({ id: z.string() }),
  auth: {},
  run: async ({ id }, { caller }) => {
    const note = await findNote(caller.userId, id)
    if (!note) throw new ToolError('There is no such note.')
    return note
  },
})
// #endregion errors

const notes = new Map<string, string>()
async function saveNote(userId: string, text: string): Promise<string> {
  notes.set(`${userId}/${notes.size}`, text)
  return 'Saved.'
}
async function findNote(userId: string, id: string): Promise<string | undefined> {
  return notes.get(`${userId}/${id}`)
}
async function removeNote(userId: string, id: string): Promise<void> {
  notes.delete(`${userId}/${id}`)
}
async function countCalendars(client: { accessToken: string }): Promise<string> {
  return client.accessToken === '' ? 'none' : 'some'
}

export { server }
