import { createHash, randomBytes } from 'node:crypto'
import { getRequestListener } from '@hono/node-server'
import {
  createAuthorizationServer,
  createFileStore,
  createMemoryStore,
  createSecretRing,
  type Store,
} from '@sallyport/oauth'
import { createRedisStore } from '@sallyport/oauth/redis'
import {
  type Contender,
  type ContenderSettings,
  challenge,
  redirectUri,
  resource,
  scopes,
} from './contender.ts'

/** Ours, in production form, over the store the name says. */
export async function createSallyport({
  name,
  port,
  folder,
  redisUrl,
}: ContenderSettings): Promise<Contender> {
  const store = await openStore(name, folder, redisUrl)
  const server = createAuthorizationServer({
    issuer: `http://localhost:${port}`,
    serverName: 'Bench',
    resources: [resource],
    scopes: Object.fromEntries(scopes.map(scope => [scope, `May ${scope}`])),
    defaultScopes: scopes,
    secrets: createSecretRing([randomBytes(48).toString('base64')]),
    // Nobody signs in: codes are put into the store.
    signIn: { kind: 'page', id: 'bench', label: 'Bench', handle: async () => ({ issuer: '', subject: '' }) },
    store,
  })
  await server.start()
  const notFound = () => new Response(null, { status: 404 })
  return {
    tokenPath: '/oauth/token',
    registrationPath: '/oauth/register',
    listener: getRequestListener(async request => (await server.handle(request)) ?? notFound(), {
      overrideGlobalObjects: false,
    }),
    mintCodes: (clientId, count) =>
      Promise.all(Array.from({ length: count }, () => putCode(store, clientId))),
    verify: token => server.verifyAccessToken(token, resource),
    async close() {
      await server.close()
      await store.close()
    },
  }
}

async function openStore(name: string, directory: string, redisUrl: string | undefined): Promise<Store> {
  if (name === 'file') return createFileStore({ directory })
  return name === 'redis' ? createRedisStore({ url: redisUrl ?? '' }) : createMemoryStore()
}

/** The record that the end of a sign-in writes, and its code. */
async function putCode(store: Store, clientId: string): Promise<string> {
  const id = randomBytes(18).toString('base64url')
  const code = `sp_ac_${id}.${randomBytes(21).toString('base64url')}`
  const now = Math.floor(Date.now() / 1000)
  await store.putGrant({
    record: {
      version: 1,
      id,
      userId: randomBytes(18).toString('base64url'),
      clientId,
      redirectUri,
      resource,
      scopes,
      authTime: now,
      amr: [],
      createdAt: now,
      endsAt: now + 30 * 86_400,
      accessEndsAt: 0,
      code: {
        hash: createHash('sha256').update(code).digest('base64url'),
        challenge,
        expiresAt: now + 600,
        failures: 0,
      },
    },
    now,
  })
  return code
}
