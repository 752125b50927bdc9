// One of several processes on one Redis, for tasks.redis.test.ts.
import { createRedisStore } from '@sallyport/oauth/redis'
import { createServer, developmentSignIn } from '../index.ts'

let offset = 0
const server = createServer({
  name: 'one of two',
  version: '1.0.0',
  signIn: developmentSignIn(),
  store: await createRedisStore({ url: process.env.REDIS_URL! }),
  clock: () => Math.floor(Date.now() / 1_000) + offset,
  tasks: { pollIntervalMs: 50 },
})
server.tool('wait', {
  description: 'Waits until nobody wants it',
  auth: {},
  task: 'required',
  run: (_, { signal }) =>
    new Promise<string>(resolve => {
      signal.addEventListener('abort', () => {
        process.send?.('aborted')
        resolve('too late')
      })
    }),
})
server.tool('greet', {
  description: 'Asks for a name',
  auth: {},
  task: 'required',
  run: async (_, { caller, elicit }) => {
    const schema = { type: 'object', properties: { name: { type: 'string' } } } as const
    const { content } = await elicit({ id: 'name', message: 'Your name?', schema })
    return `${content?.name} is ${caller.userId}`
  },
})

process.on('message', (seconds: number) => {
  offset += seconds
  process.send?.('later')
})
// The test has gone: so does the server.
process.on('disconnect', () => process.exit(0))
await server.start({ silent: true })
process.send?.('ready')
