import { setImmediate as nextTick } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  basicClient,
  otherClient,
  placeCode,
  postClient,
  publicClient,
  type TestClient,
} from './authorization-server.fixture.ts'
import { type FleetAnswer, type FleetProcess, startFleetProcess } from './fleet.fixture.ts'
import { createRedisStore } from './redis.ts'
import { type RedisProxy, startRedisProxy } from './storage/redis-proxy.fixture.ts'
import { type RedisServer, startRedisServer } from './storage/redis-server.fixture.ts'
import { newTenant } from './storage/redis-store.fixture.ts'
import type { Store } from './storage/store.ts'

const now = 1_800_000_000

let server: RedisServer
let proxy: RedisProxy
let store: Store
let tenant: string
let fleet: [FleetProcess, FleetProcess]
beforeAll(async () => {
  server = await startRedisServer({ appendonly: 'yes' })
  proxy = await startRedisProxy(server)
  tenant = newTenant()
  // No heartbeat helps: what one process revokes, the other hears of by the message or not at all. Nothing else goes
  // wrong, however slow the machine is.
  const redis = {
    url: server.url,
    tenant,
    heartbeatMs: 3_600_000,
    commandTimeoutMs: 3_600_000,
    stepTimeoutMs: 3_600_000,
  }
  store = await createRedisStore(redis)
  const start = () => startFleetProcess({ redis, startAt: now })
  fleet = await Promise.all([start(), start()])
})
afterAll(async () => {
  for (const one of fleet) await one.close()
  await store.close()
  await proxy.close()
  await server.stop()
})

const told = ({ status, body }: FleetAnswer) =>
  body.error === undefined ? `${status}` : `${status} ${body.error}`

/** Everything a client can hold of one user, and the user's connection. */
interface Holdings {
  client: TestClient
  userId: string
  grantId: string
  usedCode: string
  access: string
  /** Refresh tokens, oldest first; all but the last have been rotated away. */
  refresh: string[]
  /** Of another session of the same user and client: a code that nobody has redeemed yet. */
  code: string
}
let users = 0
async function holdings(client: TestClient): Promise<Holdings> {
  const userId = `user-${users++}`
  const { code: usedCode, grantId } = await placeCode(store, client, now, { userId })
  const first = await fleet[0].redeem(client, usedCode)
  const second = await fleet[1].refresh(client, first.body.refresh_token!)
  const third = await fleet[0].refresh(client, second.body.refresh_token!)
  await store.putConnection({
    record: {
      version: 1,
      userId,
      provider: 'google',
      account: 'default',
      writtenBy: 'sign-in',
      state: 'active',
      scopes: ['calendar'],
      sealed: 'sealed',
      accessEndsAt: now + 3_600,
      updatedAt: now,
      expiresAt: now + 86_400,
    },
    now,
  })
  return {
    client,
    userId,
    grantId,
    usedCode,
    access: third.body.access_token!,
    refresh: [first, second, third].map(({ body }) => body.refresh_token!),
    code: (await placeCode(store, client, now, { userId })).code,
  }
}
const isConnected = async (userId: string) =>
  (await store.findConnection({ userId, provider: 'google', account: 'default', now })) !== undefined

/** How long each first refusal in the other process took after the revocation had been answered, in milliseconds. */
const delays: number[] = []

interface Way {
  by: string
  end: (one: FleetProcess, held: Holdings) => Promise<unknown>
  /** What the one who does it is told. */
  answer: unknown
  /** What it means for the other session of the same user and client, whose code nobody has redeemed. */
  endsOthers?: true
  client?: TestClient
}
const statusOf = async (asked: Promise<FleetAnswer>) => told(await asked)
const ways: Way[] = [
  {
    by: 'refresh token',
    end: (one, { client, refresh }) => statusOf(one.revoke(client, refresh[2]!)),
    answer: '200',
  },
  {
    by: 'refresh token that was rotated away',
    end: (one, { client, refresh }) => statusOf(one.revoke(client, refresh[0]!)),
    answer: '200',
  },
  {
    by: 'access token',
    end: (one, { client, access }) => statusOf(one.revoke(client, access)),
    answer: '200',
  },
  {
    by: 'reuse of a refresh token',
    end: (one, { client, refresh }) => statusOf(one.refresh(client, refresh[0]!)),
    answer: '400 invalid_grant',
  },
  {
    by: 'replay of the code',
    end: (one, { client, usedCode }) => statusOf(one.redeem(client, usedCode)),
    answer: '400 invalid_grant',
  },
  { by: 'grant', end: (one, { grantId }) => one.admin('revokeGrant', grantId), answer: true },
  { by: 'user', end: (one, { userId }) => one.admin('revokeUser', userId), answer: 2, endsOthers: true },
  {
    by: 'user who is disabled',
    end: (one, { userId }) => one.admin('disableUser', userId),
    answer: 2,
    endsOthers: true,
  },
]

async function expectEnded(one: FleetProcess, other: FleetProcess, held: Holdings, way: Way): Promise<void> {
  const { client, access, refresh, code, userId } = held
  for (const process of [one, other]) expect((await process.verify(access)).state).toBe('live')

  expect(await way.end(one, held)).toEqual(way.answer)
  const began = performance.now()
  expect((await one.verify(access)).state, 'access token, same process').toBe('refused')
  while ((await other.verify(access)).state !== 'refused') await nextTick()
  delays.push(performance.now() - began)
  for (const process of [one, other]) {
    // The newest first: an older one could end the family by itself.
    for (const token of [...refresh].reverse()) {
      expect(told(await process.refresh(client, token)), 'refresh token').toBe(refusal(way))
    }
    expect(told(await process.redeem(client, held.usedCode)), 'code that was used').toBe(refusal(way))
  }
  const redeemed = await other.redeem(client, code)
  expect(told(redeemed), 'code of another session').toBe(way.endsOthers ? refusal(way) : '200')
  // Sessions end; what the user has connected is theirs, and waits for the next sign-in.
  expect(await isConnected(userId)).toBe(true)
}
const refusal = ({ by }: Way) => (by === 'client' ? '401 invalid_client' : '400 invalid_grant')

describe.each([
  [0, 'one process'],
  [1, 'the other'],
])('R139, R141, R157: revoked in %s of two (%s), refused in both', nth => {
  const pair = () => [fleet[nth]!, fleet[1 - nth]!] as const
  const bystander = async () => {
    const held = await holdings(otherClient)
    return async (state: 'live' | 'refused') => {
      for (const one of fleet) {
        while ((await one.verify(held.access)).state !== state) {
          // A revocation is on its way; what lives must live at once.
          expect(state).toBe('refused')
          await nextTick()
        }
      }
      const refreshed = await fleet[nth]!.refresh(otherClient, held.refresh[2]!)
      expect(told(refreshed)).toBe(state === 'live' ? '200' : '400 invalid_grant')
    }
  }

  it.each(ways)('by $by: access token, refresh tokens, code; nobody else’s', async way => {
    const expectBystander = await bystander()
    await expectEnded(...pair(), await holdings(publicClient), way)
    await expectBystander('live')
  })

  it('by client, which is unknown from now on', async () => {
    const client = nth === 0 ? basicClient : postClient
    const [expectBystander, held] = [await bystander(), await holdings(client)]
    const end = (one: FleetProcess) => one.admin('revokeClient', client.clientId)
    await expectEnded(...pair(), held, { by: 'client', end, answer: 2, endsOthers: true })
    await expectBystander('live')
  })

  it('by tenant: everybody’s', async () => {
    const expectBystander = await bystander()
    const held = await holdings(publicClient)
    const end = async (one: FleetProcess) => Number(await one.admin('revokeAll')) >= 4
    await expectEnded(...pair(), held, { by: 'tenant', end, answer: true, endsOthers: true })
    await expectBystander('refused')
  })

  it('a connection alone: gone in both, and the session lives on', async () => {
    const [one, other] = pair()
    const { client, userId, access, refresh } = await holdings(publicClient)
    const connections = {
      one: () => one.admin('listConnections', userId),
      other: () => other.admin('listConnections', userId),
    }
    expect(await connections.other()).toHaveLength(1)
    expect(await one.admin('deleteConnection', userId, 'google')).toBe(true)
    expect(await connections.one()).toEqual([])
    expect(await connections.other()).toEqual([])
    expect((await other.verify(access)).state).toBe('live')
    expect(told(await other.refresh(client, refresh[2]!))).toBe('200')
  })
})

it('R157: the other process refuses within a second', () => {
  const sorted = delays.toSorted((a, b) => a - b)
  const [median, slowest] = [sorted[Math.floor(sorted.length / 2)]!, sorted.at(-1)!]
  console.log(
    `revocation reaches the other process after ${median.toFixed(1)} ms (median of ${sorted.length}, slowest ${slowest.toFixed(1)} ms)`,
  )
  expect(sorted.length).toBe(20)
  expect(median).toBeLessThan(1_000)
})

it('R157: a process that has not heard of revocations for 60 s trusts no token, and afterwards knows what was revoked', async () => {
  const deaf = await startFleetProcess({
    redis: { url: proxy.url, tenant, heartbeatMs: 100, commandTimeoutMs: 200, stepTimeoutMs: 400 },
    startAt: now,
  })
  const [revoked, kept] = [await holdings(publicClient), await holdings(publicClient)]
  const states = () =>
    Promise.all([revoked, kept].map(async ({ access }) => (await deaf.verify(access)).state))
  const eventually = (expected: string[]) => expect.poll(states, { timeout: 30_000 }).toEqual(expected)
  await eventually(['live', 'live'])

  proxy.hang()
  expect((await fleet[0].revoke(publicClient, revoked.refresh[2]!)).status).toBe(200)
  await deaf.setTime(now + 60)
  expect(await states(), 'what it last knew').toEqual(['live', 'live'])
  await deaf.setTime(now + 61)
  expect(await states()).toEqual(['unavailable', 'unavailable'])
  await deaf.setTime(now + 300)
  expect(await states()).toEqual(['unavailable', 'unavailable'])

  proxy.release()
  await eventually(['refused', 'live'])
  await deaf.close()
})
