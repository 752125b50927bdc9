import { content, createServer, currentCall, developmentSignIn, ToolError } from '@sallyport/mcp-server'
import { z } from 'zod'

// The code that docs/migrate-from-chuk.md shows about calls, compiled and run by chuk-calls.test.ts.

const server = createServer({
  name: 'studio',
  version: '1.0.0',
  signIn: developmentSignIn(),
  // #region timeouts
  questionTiming: { answerMs: 120_000 },
  // #endregion timeouts
})

// #region who
server.tool('account', {
  description: 'Tells who you are',
  auth: { anonymous: true },
  run: (_, { caller }) => caller?.userId ?? 'nobody',
})

server.tool('drafts', {
  description: 'Lists your drafts',
  auth: {},
  run: (_, { caller }) => draftsOf(caller.userId, caller.grantId),
})
// #endregion who

// #region deep
function requireUserId(): string {
  const userId = currentCall()?.caller?.userId
  if (userId === undefined) throw new ToolError('Sign in first.')
  return userId
}
// #endregion deep

// #region files
const files = new Map<string, Uint8Array>()
const fileOf = (path: string) => `${requireUserId()}/${path}`

server.tool('write-file', {
  description: 'Writes a file of yours',
  input: z.object({ path: z.string().regex(/^[\w-]+(\/[\w-]+)*$/), text: z.string() }),
  auth: {},
  run: ({ path, text }) => {
    files.set(fileOf(path), new TextEncoder().encode(text))
    return `Written: ${path}`
  },
})

server.resource('files://{+path}', {
  auth: {},
  run: ({ path }) => files.get(fileOf(path)),
})
// #endregion files

// #region progress
server.tool('render', {
  description: 'Renders a film',
  input: z.object({ frames: z.int().positive() }),
  run: async ({ frames }, { progress, log, signal }) => {
    for (let frame = 1; frame <= frames; frame++) {
      signal.throwIfAborted()
      await progress(frame, frames, `Frame ${frame} of ${frames}`)
    }
    await log.toClient('info', { frames }, 'renderer')
    return `${frames} frames`
  },
})
// #endregion progress

// #region sampling
server.tool('caption', {
  description: 'Has your model write a caption',
  input: z.object({ text: z.string() }),
  run: async ({ text }, { sample, clientCan }) => {
    if (!clientCan.sample) return `${text.slice(0, 40)}…`
    const { content: answer } = await sample({
      messages: [{ role: 'user', content: { type: 'text', text: `A caption for: ${text}` } }],
      systemPrompt: 'Answer with the caption alone.',
      maxTokens: 100,
      temperature: 0.2,
    })
    return answer
  },
})
// #endregion sampling

// #region elicitation
server.tool('order-print', {
  description: 'Orders a print, after asking how many',
  run: async (_, { elicit }) => {
    const answer = await elicit({
      message: 'How many prints?',
      schema: z.object({ copies: z.int().min(1).max(10), size: z.enum(['A4', 'A3']) }),
    })
    if (answer.action !== 'accept') return 'Nothing was ordered.'
    return `Ordered ${answer.content.copies} × ${answer.content.size}.`
  },
})
// #endregion elicitation

// #region url
server.tool('buy', {
  description: 'Buys an album on a page of the shop',
  run: async (_, { elicit }) => {
    const { action } = await elicit({ message: 'Pay for it here', url: 'https://shop.example/checkout' })
    return action === 'accept' ? 'The page was opened.' : 'Not bought.'
  },
})
// #endregion url

// #region roots
server.tool('folders', {
  description: 'Names the folders you work in',
  run: async (_, { roots }) => (await roots()).map(({ uri }) => uri).join(', '),
})
// #endregion roots

// #region request
server.tool('trace', {
  description: 'Tells what the client sent along',
  run: (_, { request }) => ({ id: request.id, meta: request.params._meta }),
})
// #endregion request

// #region links
server.tool('export', {
  description: 'Exports the film',
  run: () => [
    content.text('Exported.'),
    content.link({ uri: 'films://1', name: 'The film', description: 'In full', mimeType: 'video/mp4' }),
  ],
})
// #endregion links

const drafts = new Map<string, string[]>()
const draftsOf = (userId: string, _session: string) => drafts.get(userId) ?? ['Untitled']

export { server }
