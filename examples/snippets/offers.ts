import {
  type CallContext,
  type Caller,
  content,
  createServer,
  currentCall,
  developmentSignIn,
  prompt,
  requiresAuth,
  resource,
} from '@sallyport/mcp-server'
import { z } from 'zod'

// The code that docs/resources-and-prompts.md shows, compiled and run by offers.test.ts.

const notes = new Map([['1', { owner: '', text: 'Buy milk' }]])
const mayRead = (caller: Caller, id: string) =>
  notes.get(id)?.owner === '' || notes.get(id)?.owner === caller.userId

const server = createServer({
  name: 'notebook',
  version: '1.0.0',
  signIn: developmentSignIn(),
  scopes: { 'notes:read': 'Read your notes', 'notes:write': 'Change your notes', admin: 'Administer' },
  // #region hierarchy
  scopeHierarchy: { 'notes:write': ['notes:read'] },
  // #endregion hierarchy
})

// #region resource
server.resource('notebook://help', { mimeType: 'text/markdown', run: () => '# Help' })

server.resource('notes://{id}', {
  title: 'One of your notes',
  auth: { scopes: ['notes:read'] },
  list: () => [...notes.keys()].map(id => ({ uri: `notes://${id}`, name: `Note ${id}` })),
  complete: { id: typed => [...notes.keys()].filter(id => id.startsWith(typed)) },
  run: ({ id }) => notes.get(id)?.text,
})
// #endregion resource

// #region prompt
server.prompt('sum-up', {
  description: 'Sums a note up',
  input: z.object({ id: z.string().describe('Which note') }),
  auth: { scopes: ['notes:read'] },
  run: ({ id }) => [
    'Sum this up in one sentence.',
    content.resource(`notes://${id}`, notes.get(id)?.text ?? ''),
  ],
})
// #endregion prompt

// #region allow
server.tool('share', {
  description: 'Shares a note',
  input: z.object({ id: z.string() }),
  auth: {
    scopes: ['notes:write'],
    allow: (caller: Caller, input?: { id: string }) => input !== undefined && mayRead(caller, input.id),
  },
  run: ({ id }) => `Shared ${id}.`,
})

server.tool('statistics', {
  description: 'Counts all notes',
  auth: { scopes: ['admin'], hidden: true },
  run: () => `${notes.size}`,
})
// #endregion allow

// #region decorators
class Journal {
  @resource('journal://{day}')
  @requiresAuth({ scopes: ['notes:read'] })
  entry({ day }: { day: string }, { caller }: CallContext<Caller>) {
    return `${day} of ${caller.userId}`
  }

  @prompt({ description: 'Asks about a day', input: z.object({ day: z.string() }) })
  ask({ day }: { day: string }) {
    return `How was ${day}?`
  }
}
server.register(new Journal())
// #endregion decorators

// #region context
/** Anywhere below a handler; nobody has to pass the context along. */
async function importNotes(all: readonly string[]) {
  const call = currentCall()
  for (const [index, note] of all.entries()) {
    call?.signal.throwIfAborted()
    notes.set(`${notes.size + 1}`, { owner: call?.caller?.userId ?? '', text: note })
    await call?.progress(index + 1, all.length)
  }
  call?.log.info({ count: all.length }, 'notes imported')
  await call?.log.toClient('info', `${all.length} notes imported`)
  server.notify.resourcesChanged()
}
// #endregion context

server.tool('import', {
  description: 'Imports notes',
  auth: { scopes: ['notes:write'] },
  input: z.object({ notes: z.array(z.string()) }),
  run: async input => {
    await importNotes(input.notes)
    return `Imported ${input.notes.length}.`
  },
})

export { server }
