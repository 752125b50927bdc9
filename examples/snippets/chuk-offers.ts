import { content, createServer } from '@sallyport/mcp-server'
import { z } from 'zod'

// The code that docs/migrate-from-chuk.md shows about resources and prompts, compiled and run by chuk-offers.test.ts.

// #region pages
const server = createServer({ name: 'library', version: '1.0.0', pageSize: 100 })
// #endregion pages

// #region resource
server.resource('config://settings', {
  name: 'Settings',
  description: 'How the library is set up',
  icons: [{ src: 'https://library.example.com/gear.svg', mimeType: 'image/svg+xml' }],
  run: () => ({ theme: 'dark', version: '1.0' }),
})

server.resource('docs://readme', { mimeType: 'text/markdown', run: () => '# The library' })
server.resource('docs://logo', { mimeType: 'image/png', run: () => new Uint8Array([137, 80, 78, 71]) })
// #endregion resource

// #region template
server.resource('users://{id}/profile', {
  name: 'User profile',
  list: () => [...users].map(([id, name]) => ({ uri: `users://${id}/profile`, name })),
  run: ({ id }) => {
    const name = users.get(id)
    return name && { id, name }
  },
})
// #endregion template

// #region prompt
server.prompt('code-review', {
  description: 'Asks for a review',
  input: z.object({
    code: z.string().describe('What to review'),
    language: z.string().default('python'),
  }),
  run: ({ code, language }) => `Review this ${language} code:\n\n${code}`,
})

server.prompt('interview', {
  description: 'Begins an interview',
  run: () => [
    { role: 'user', content: 'Ask me three questions.' },
    { role: 'assistant', content: 'First: what are you building?' },
    content.resource('docs://readme', '# The library', { mimeType: 'text/markdown' }),
  ],
})
// #endregion prompt

// #region completion
server.prompt('explain', {
  description: 'Explains something of a language',
  input: z.object({ language: z.string(), topic: z.string() }),
  complete: {
    language: typed => ['python', 'typescript', 'rust'].filter(each => each.startsWith(typed)),
    topic: (typed, { language = '' }) => topicsOf(language).filter(each => each.startsWith(typed)),
  },
  run: ({ language, topic }) => `Explain ${topic} in ${language}.`,
})
// #endregion completion

// #region changes
server.tool('rename', {
  description: 'Renames a user',
  input: z.object({ id: z.string(), name: z.string() }),
  run: ({ id, name }) => {
    const isNew = !users.has(id)
    users.set(id, name)
    if (isNew) server.notify.resourcesChanged()
    server.notify.resourceUpdated(`users://${id}/profile`)
    return 'Renamed.'
  },
})
// #endregion changes

// #region cache
server.resource('rates://today', {
  cache: { ttlMs: 60_000, cacheScope: 'public' },
  run: () => ratesOfToday(),
})

let rates: { at: number; value: Promise<object> } | undefined
function ratesOfToday(now = Date.now()): Promise<object> {
  if (!rates || now - rates.at > 60_000) rates = { at: now, value: loadRates() }
  return rates.value
}
// #endregion cache

const users = new Map([['1', 'Ada']])
const topicsOf = (language: string) => (language === 'rust' ? ['borrowing', 'traits'] : ['classes'])
export let loads = 0
async function loadRates(): Promise<object> {
  loads += 1
  return { euro: 1.1 }
}

export { server }
