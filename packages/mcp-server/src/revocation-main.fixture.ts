// One of several processes on one store, for revocation.test.ts and revocation.redis.test.ts.
import { createRedisStore } from '@sallyport/oauth/redis'
import { createServer, developmentSignIn } from './index.ts'

const { REDIS_URL: url } = process.env
const server = createServer({
  name: 'one of two',
  version: '1.0.0',
  signIn: developmentSignIn(),
  ...(url === undefined ? {} : { store: await createRedisStore({ url }) }),
})
server.tool('whoami', { description: 'Names you', auth: {}, run: (_, { caller }) => caller.userId })

process.on('message', async (userId: string) => process.send?.(await server.admin.revokeUser(userId)))
// The test has gone: so does the server.
process.on('disconnect', () => process.exit(0))
await server.start({ silent: true })
process.send?.('ready')
