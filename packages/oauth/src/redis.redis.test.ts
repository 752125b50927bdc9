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
import { systemClock, systemRandom } from './runtime.ts'
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

const tally = (outcomes: readonly string[]) => {
  const counts: Record<string, number> = {}
  for (const one of outcomes) counts[one] = (counts[one] ?? 0) + 1
  return counts
}
const many = <T>(count: number, step: (fixture: Fixture) => Promise<T>) =>
  Promise.all(Array.from({ length: count }, (_, i) => step(i % 2 === 0 ? here : there)))

describe('two processes on one Redis', () => {
  it('R95: of 200 parallel redemptions of one code, one succeeds', async () => {
    const { code } = await here.placeCode(publicClient)
    const outcomes = await many(200, async fixture => outcome(await fixture.redeem(publicClient, code)))
    expect(tally(outcomes)).toEqual({ '200': 1, '400 invalid_grant': 199 })
  })

  it('R104: 200 parallel refreshes get one successor, and it works in either process', async () => {
    const { refresh } = await here.session(publicClient)
    const replies = await many(200, async fixture => {
      const response = await fixture.refresh(publicClient, refresh)
      expect(response.status).toBe(200)
      return (await response.json()) as Body
    })
    expect(new Set(replies.map(reply => reply.refresh_token)).size).toBe(1)
    const [{ refresh_token: successor }] = replies as [Body]
    expect(await outcome(await there.refresh(publicClient, successor!))).toBe('200')
  })

  it('R139: a token revoked in one is refused in the other within a second', async () => {
    const { access, refresh } = await here.session(publicClient)
    await expect.poll(() => there.isLive(access)).toBe(true)
    expect((await here.revoke(publicClient, refresh)).status).toBe(200)
    expect(await here.isLive(access)).toBe(false)
    await expect.poll(() => there.isLive(access), { timeout: 1_000, interval: 5 }).toBe(false)
    expect(await outcome(await there.refresh(publicClient, refresh))).toBe('400 invalid_grant')
  })

  it('R141: a refresh that races with a revocation leaves no token alive', async () => {
    for (let round = 0; round < 20; round++) {
      const { grantId, refresh } = await here.session(publicClient)
      const [, reply] = await Promise.all([
        here.revoke(publicClient, refresh),
        there.refresh(publicClient, refresh),
      ])
      const { access_token: access } = (await reply.json()) as Body
      if (access) await expect.poll(() => there.isLive(access), { timeout: 1_000, interval: 5 }).toBe(false)
      expect((await there.store.findGrant({ id: grantId, now: there.time.now }))?.revokedBy).toBe('client')
    }
  })

  it('R165, R166: killed and started again under load, Redis costs no client its session', {
    timeout: 60_000,
  }, async () => {
    const durable = await startRedisServer({ appendonly: 'yes', appendfsync: 'always' })
    const own = newTenant()
    const open = async () => {
      const store = await createRedisStore({ url: durable.url, tenant: own, heartbeatMs: 200 })
      stores.push(store)
      // The real time, and a grace that is over long before Redis is back.
      return createFixture({ store, clock: systemClock, lifetimes: { refreshGraceSeconds: 1 } })
    }
    const fixtures = [await open(), await open()]
    const clients = await Promise.all(
      Array.from({ length: 20 }, async () => (await fixtures[0]!.session(publicClient)).refresh),
    )
    const answers = new Set<string>()
    let isOver = false
    const play = async (first: string, index: number): Promise<string> => {
      let token = first
      for (let turn = index; !isOver; turn++) {
        const began = performance.now()
        const response = await fixtures[turn % 2]!.refresh(publicClient, token)
        expect(performance.now() - began).toBeLessThan(3_000)
        if (response.status === 503) expect(response.headers.get('Retry-After')).toMatch(/^\d+$/)
        const body = (await response.json()) as Body
        answers.add(body.error ?? 'refreshed')
        token = body.refresh_token ?? token
      }
      return token
    }
    const playing = Promise.all(clients.map(play))
    const settle = async (condition: () => boolean) => expect.poll(condition, { timeout: 20_000 }).toBe(true)
    await settle(() => answers.has('refreshed'))
    await durable.restart()
    answers.clear()
    await settle(() => answers.has('refreshed'))
    await durable.kill()
    await settle(() => answers.has('temporarily_unavailable'))
    await durable.restart()
    await settle(() => answers.has('refreshed'))
    durable.freeze()
    answers.clear()
    await settle(() => answers.has('temporarily_unavailable'))
    durable.thaw()
    answers.clear()
    await settle(() => answers.has('refreshed'))
    isOver = true
    for (const [index, token] of (await playing).entries()) {
      expect(await outcome(await fixtures[index % 2]!.refresh(publicClient, token))).toBe('200')
    }
    expect([...answers].filter(answer => !/refreshed|temporarily_unavailable/.test(answer))).toEqual([])
    await durable.stop()
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
