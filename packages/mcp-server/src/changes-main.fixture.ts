// One of several processes on one store, for changes.test.ts and changes.redis.test.ts.
import { createRedisStore } from '@sallyport/oauth/redis'
import { createServer, developmentSignIn } from './index.ts'

const { REDIS_URL: url } = process.env
const server = createServer({
  name: 'one of two',
  version: '1.0.0',
  signIn: developmentSignIn(),
  ...(url === undefined ? {} : { store: await createRedisStore({ url, heartbeatMs: 1_000 }) }),
})
server.resource('news://today', { auth: {}, run: () => 'nothing new' })
server.resource('vault://today', { auth: { scopes: ['vault'] }, run: () => 'gold' })

process.on('message', async (told: string) => {
  if (told === 'resources') server.notify.resourcesChanged()
  else server.notify.resourceUpdated(told)
  process.send?.('told')
})
// The test has gone: so does the server.
process.on('disconnect', () => process.exit(0))
await server.start({ silent: true })
process.send?.('ready')
