import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { scripts } from './lua.generated.ts'
import { type RedisProxy, startRedisProxy } from './redis-proxy.fixture.ts'
import { type RedisServer, startRedisServer } from './redis-server.fixture.ts'
import { redisUnderTest } from './redis-store.fixture.ts'
import { describeStoreContract } from './store-contract.ts'

/** The scripts that write records, by the hash that a request for one contains. */
const writes = Object.values(scripts)
  .filter(({ name }) => name !== 'check-write')
  .map(({ sha1 }) => sha1)

let server: RedisServer
let proxy: RedisProxy
beforeAll(async () => {
  server = await startRedisServer({ appendonly: 'yes' })
  proxy = await startRedisProxy(server)
})
afterAll(async () => {
  await proxy.close()
  await server.stop()
})

/** A store behind a network in trouble, with as much time as it takes to get through. */
const behind = (commandTimeoutMs: number, trouble: () => void) => async () => {
  // What other tests left would only make this one's walks over all keys longer.
  await server.client.flushall()
  // Known before they are sent, so that it is their reply that gets lost, and not that they are unknown.
  for (const { lua } of Object.values(scripts)) await server.client.script('LOAD', lua)
  const options = { url: proxy.url, commandTimeoutMs, stepTimeoutMs: 25_000 }
  const underTest = await redisUnderTest(options, [server.client])
  trouble()
  return underTest
}

describe('R163, R164: on a network that drops a reply', () => {
  // One in each test, and all scripts take turns.
  const nextToLose = () => {
    const counts = writes.map(sha1 => proxy.lost.filter(each => each === sha1).length)
    const least = Math.min(...counts)
    proxy.loseReplyTo(...writes.filter((_, i) => counts[i] === least))
  }
  describeStoreContract('redis store', behind(10_000, nextToLose))

  it('every script has lost one', () => {
    expect(writes.filter(sha1 => !proxy.lost.includes(sha1))).toEqual([])
    proxy.loseReplyTo()
  })
})

describe('R163, R165: on a network that is slow', () => {
  describeStoreContract(
    'redis store',
    behind(10_000, () => proxy.delay(1)),
  )
  afterAll(() => proxy.delay(0))
})

describe('R163, R164, R165: on a network that hangs for longer than a command may take', () => {
  let before: number
  beforeAll(() => {
    before = proxy.interventions
  })
  describeStoreContract(
    'redis store',
    behind(80, () => proxy.hangAt('evalsha', 100)),
  )

  it('it hung in most tests', () => expect(proxy.interventions - before).toBeGreaterThan(50))
})
