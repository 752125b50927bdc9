import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  challenge,
  createFixture,
  type Fixture,
  issuer,
  outcome,
  postClient,
  publicClient,
  redirectUri,
  resource,
  ringSecret,
  verifier,
} from './authorization-server.fixture.ts'
import { createBrowser, createFakeProvider, parametersOf } from './endpoints/sign-in.fixture.ts'
import { createSealer } from './keys/sealer.ts'
import { createSecretRing } from './keys/secret-ring.ts'
import { createRedisStore } from './redis.ts'
import { systemRandom } from './runtime.ts'
import { startRedisProxy } from './storage/redis-proxy.fixture.ts'
import { type RedisServer, startRedisServer } from './storage/redis-server.fixture.ts'
import { newTenant, tenantKeys } from './storage/redis-store.fixture.ts'
import type { Store } from './storage/store.ts'

type Body = Record<string, string>

let server: RedisServer
beforeAll(async () => {
  server = await startRedisServer({ appendonly: 'yes' })
})
afterAll(() => server.stop())

let tenant: string
let here: Fixture
let there: Fixture
const stores: Store[] = []
/** One process: its own connections, its own authorization server. */
const startProcess = async () => {
  const store = await createRedisStore({ url: server.url, tenant, heartbeatMs: 200 })
  stores.push(store)
  return createFixture({ store, signIn: createFakeProvider('google', 'Google') })
}
beforeEach(async () => {
  tenant = newTenant()
  here = await startProcess()
  there = await startProcess()
})
afterEach(async () => {
  for (const fixture of [here, there]) await fixture.server.close()
  for (const store of stores.splice(0)) await store.close()
})

describe('a Redis that answers slowly', () => {
  it('R165: all steps of one request share the time there is for one: it is not told late that it failed', async () => {
    const { grantId, refresh } = await here.session(publicClient)
    const proxy = await startRedisProxy(server)
    const timeouts = { commandTimeoutMs: 1_000, stepTimeoutMs: 1_000 }
    const store = await createRedisStore({ url: proxy.url, tenant, ...timeouts })
    stores.push(store)
    const slow = createFixture({ store })
    // A refresh takes three steps, each of which would be answered in time.
    proxy.delay(400)
    expect(await outcome(await slow.refresh(publicClient, refresh))).toBe('503 temporarily_unavailable')
    proxy.delay(0)
    // The time is that of one request: the next one has all of it again, and nothing had happened.
    expect((await here.store.findGrant({ id: grantId, now: here.time.now }))?.refresh?.generation).toBe(0)
    expect(await outcome(await slow.refresh(publicClient, refresh))).toBe('200')
    await slow.server.close()
    await proxy.close()
  })
})

/** A secret as it could lie about: as it is, and in the codings a dump could hide it in. */
const shapes = (secret: string) => [
  secret,
  Buffer.from(secret).toString('base64').replace(/=+$/, ''),
  Buffer.from(secret).toString('base64url'),
  Buffer.from(secret).toString('hex'),
  secret.replace(/[a-z]/gi, letter => {
    const base = letter <= 'Z' ? 65 : 97
    return String.fromCharCode(((letter.charCodeAt(0) - base + 13) % 26) + base)
  }),
]

/** Everything in Redis: names and values, in words. */
async function dump(): Promise<string> {
  const { client } = server
  const lines: string[] = []
  for (const key of await tenantKeys([client], tenant)) {
    const type = await client.type(key)
    lines.push(
      key,
      JSON.stringify(
        type === 'hash'
          ? await client.hgetall(key)
          : type === 'zset'
            ? await client.zrange(key, '0', '-1', 'WITHSCORES')
            : await client.get(key),
      ),
    )
  }
  return lines.join('\n')
}

describe('what lies in Redis', () => {
  it('R162: after a whole flow no code, token, secret, state or address can be read there', async () => {
    const send = async (request: Request) => (await here.server.handle(request))!
    const browser = createBrowser(send)
    const authorize = new URLSearchParams({
      response_type: 'code',
      client_id: publicClient.clientId,
      redirect_uri: redirectUri,
      code_challenge: challenge,
      code_challenge_method: 'S256',
      state: 'canary-client-state',
      scope: 'notes:read',
      resource,
    })
    const page = await browser.open(`${issuer}/oauth/authorize?${authorize}`)
    const sentTo = await browser.submit(page, { decision: 'allow' })
    const upstreamState = new URL(sentTo.location!).searchParams.get('state')!
    const duringSignIn = await dump()
    const back = new URLSearchParams({ code: 'canary-upstream-code', state: upstreamState })
    const code = parametersOf(await browser.open(`${issuer}/oauth/callback/google?${back}`)).get('code')!
    const first = (await (await here.redeem(publicClient, code)).json()) as Body
    const second = (await (await there.refresh(publicClient, first.refresh_token!)).json()) as Body
    const other = await here.session(postClient)
    await here.revoke(postClient, other.refresh)
    const sealer = createSealer(createSecretRing([ringSecret]), systemRandom)
    const context = { tenant, kind: 'connection', id: 'user' }
    const { now } = here.time
    await here.store.putConnection({
      record: {
        version: 1,
        userId: 'user',
        provider: 'google',
        account: 'default',
        writtenBy: 'write',
        state: 'active',
        scopes: ['email'],
        sealed: sealer.seal('canary-external-token of ada@canary.example', context),
        accessEndsAt: 0,
        updatedAt: now,
        expiresAt: now + 60,
      },
      now,
    })

    const held = `${duringSignIn}\n${await dump()}`
    expect(held.length).toBeGreaterThan(5_000)
    const secrets = {
      verifier,
      code,
      'client state': 'canary-client-state',
      'upstream state': upstreamState,
      'upstream code': 'canary-upstream-code',
      'external token': 'canary-external-token',
      'e-mail address': 'ada@canary.example',
      'ring secret': ringSecret,
      'first access token': first.access_token!,
      'first refresh token': first.refresh_token!,
      'second access token': second.access_token!,
      'second refresh token': second.refresh_token!,
      'revoked refresh token': other.refresh,
      'client secret': postClient.body.client_secret!,
      ...Object.fromEntries([...browser.cookies.values()].map((cookie, i) => [`cookie ${i}`, cookie])),
    }
    for (const [name, secret] of Object.entries(secrets)) {
      expect(secret.length, name).toBeGreaterThan(9)
      for (const shape of shapes(secret)) expect(held.includes(shape), `${name} as ${shape}`).toBe(false)
    }
    // So that the search is known to find what is there.
    expect(held).toContain(challenge)
    expect(held).toContain('notes:read')
  })
})
