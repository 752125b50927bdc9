import { createServer, developmentSignIn } from '@sallyport/mcp-server'
import { z } from 'zod'

// The code that docs/extensions.md shows, compiled and run by extensions.test.ts.

// #region server
export const server = createServer({
  name: 'studio',
  version: '1.0.0',
  signIn: developmentSignIn(),
  tasks: { ttlSeconds: 7_200, maxPerCaller: 20 },
  inBandChallenges: userAgent => userAgent.startsWith('openai-mcp'),
})
// #endregion server

// #region task
server.tool('render', {
  description: 'Renders a film, which takes a while',
  input: z.object({ film: z.string() }),
  auth: {},
  task: 'optional',
  run: async ({ film }, { progress, signal }) => {
    const scenes = await scenesOf(film)
    for (const [index, scene] of scenes.entries()) {
      signal.throwIfAborted()
      await progress(index, scenes.length)
      await renderScene(scene)
    }
    return `${film} is ready`
  },
})
// #endregion task

// #region ask
server.tool('publish', {
  description: 'Publishes a film, after asking where',
  input: z.object({ film: z.string() }),
  auth: {},
  task: 'required',
  run: async ({ film }, { elicit }) => {
    const { content } = await elicit({
      id: 'place',
      message: `Where shall ${film} be published?`,
      schema: z.object({ place: z.enum(['archive', 'cinema']) }),
    })
    return content ? `${film} is in the ${content.place}` : 'Not published.'
  },
})
// #endregion ask

// #region ask-first
server.tool('print', {
  description: 'Prints a film on reels, after asking how many',
  input: z.object({ film: z.string() }),
  auth: {},
  task: 'optional',
  taskCreation: 'by-handler',
  run: async ({ film }, { elicit, createTask }) => {
    const { content } = await elicit({
      message: `How many copies of ${film}?`,
      schema: z.object({ copies: z.int().min(1) }),
    })
    if (!content) return 'Not printed.' // answered at once: there is no task
    await createTask() // the client gets its task id here
    for (let copy = 1; copy <= content.copies; copy++) await renderScene(`${film}, copy ${copy}`)
    return `${content.copies} copies of ${film} are printed.`
  },
})
// #endregion ask-first

// #region view
server.tool('storyboard', {
  description: 'Shows the scenes of a film',
  input: z.object({ film: z.string() }),
  output: z.object({ scenes: z.array(z.string()) }),
  auth: {},
  ui: { html: storyboardPage, csp: { resourceDomains: ['https://cdn.example.com'] } },
  run: async ({ film }) => ({ scenes: await scenesOf(film) }),
})
// #endregion view

// #region app-tool
server.tool('move-scene', {
  description: 'Moves a scene, at the wish of the storyboard',
  input: z.object({ from: z.int(), to: z.int() }),
  auth: {},
  ui: { uri: 'ui://storyboard/view', visibility: ['app'] },
  run: ({ from, to }) => `Moved ${from} to ${to}.`,
})
// #endregion app-tool

function storyboardPage(): string {
  return '<!doctype html><title>Storyboard</title><script type="module" src="https://cdn.example.com/board.js"></script>'
}
async function scenesOf(film: string): Promise<string[]> {
  return [`${film}: opening`, `${film}: ending`]
}
async function renderScene(scene: string): Promise<string> {
  return `rendered ${scene}`
}
