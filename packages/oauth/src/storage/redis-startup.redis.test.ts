import { once } from 'node:events'
import { createServer } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { ConfigurationError, StoreUnavailableError } from '../errors.ts'
import { startRedisProxy } from './redis-proxy.fixture.ts'
import { freePort, type RedisServer, startRedisCluster, startRedisServer } from './redis-server.fixture.ts'
import { createRedisStore, type RedisStoreOptions } from './redis-store.ts'

const ending: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end()
})
const start = async (config?: Record<string, string>): Promise<RedisServer> => {
  const server = await startRedisServer(config)
  ending.push(() => server.stop())
  return server
}
/** Opens a store, and tells what it warned of. */
const open = async (options: Partial<RedisStoreOptions> & { url: string }): Promise<string[]> => {
  const warnings: string[] = []
  const store = await createRedisStore({
    commandTimeoutMs: 500,
    stepTimeoutMs: 500,
    onWarning: sentence => warnings.push(sentence),
    ...options,
  })
  ending.push(() => store.close())
  return warnings
}

describe('starting with a Redis', () => {
  it('R167, R168: says nothing about one that keeps records and evicts none', async () => {
    const { url } = await start({ appendonly: 'yes' })
    expect(await open({ url })).toEqual([])
  })

  it.each([
    ['R168: one that evicts', { appendonly: 'yes', 'maxmemory-policy': 'allkeys-lru' }, 'allkeys-lru'],
    ['R167: one that keeps snapshots only', { save: '900 1' }, 'codes and refresh tokens used since'],
    ['R167: one that keeps nothing', {}, 'Redis keeps nothing on disk'],
  ])('%s brings a warning', async (_, config, words) => {
    const { url } = await start(config)
    const warnings = await open({ url })
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toContain(words)
  })

  it('R173: where INFO and CONFIG are forbidden, it says what it could not see, and works', async () => {
    const { url, client, port } = await start({ appendonly: 'yes' })
    await client.acl('SETUSER', 'blind', 'on', '>secret', '~*', '&*', '+@all', '-info', '-config')
    const warnings = await open({ url: `redis://blind:secret@127.0.0.1:${port}` })
    expect(warnings.map(sentence => sentence.slice(0, 45))).toEqual([
      'Redis does not say whether it evicts records:',
      'Redis does not say whether it keeps its recor',
    ])
    await client.config('SET', 'appendonly', 'no')
    await client.acl('SETUSER', 'blind', '+info')
    expect(await open({ url: `redis://blind:secret@127.0.0.1:${port}` })).toEqual([
      'Redis keeps no append-only file, and does not say whether it saves snapshots: turn appendonly on.',
    ])
    expect(url).toBeDefined()
  })

  it('warns once about three nodes that have the same fault', async () => {
    const cluster = await startRedisCluster()
    ending.push(cluster.stop)
    const warnings = await open({ url: cluster.url, stepTimeoutMs: 2_500 })
    expect(warnings).toHaveLength(1)
  })

  it('refuses a Redis that is too old', async () => {
    const server = await start({ appendonly: 'yes' })
    const proxy = await startRedisProxy(server)
    ending.push(() => proxy.close())
    const info = '# Server\r\nredis_version:6.0.16\r\nmaxmemory_policy:noeviction\r\naof_enabled:1'
    proxy.answer('\r\ninfo\r\n', `$${info.length}\r\n${info}`, 1)
    await expect(open({ url: proxy.url })).rejects.toThrow(
      new ConfigurationError('Redis 6.0.16 is too old for the store: use 6.2 or newer.'),
    )
  })

  it.each([
    ['a wrong password', 'redis://:wrong@', 'Redis refuses the user or the password in SESSION_REDIS_URL'],
    ['no password', 'redis://', 'Redis refuses the user or the password in SESSION_REDIS_URL'],
    ['a user who may not write', 'redis://reader:secret@', 'lacks a right the store needs'],
    ['a user who may not subscribe', 'redis://deaf:secret@', 'lacks a right the store needs'],
  ])('refuses %s with a sentence that says so', async (_, prefix, sentence) => {
    const { port, client } = await start({ appendonly: 'yes' })
    await client.acl('SETUSER', 'reader', 'on', '>secret', '~*', '&*', '+@read', '+@connection', '+info')
    await client.acl('SETUSER', 'deaf', 'on', '>secret', '~*', 'resetchannels', '+@all')
    await client.acl('SETUSER', 'default', 'resetpass', '>right')
    const failure = await open({ url: `${prefix}127.0.0.1:${port}` }).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(ConfigurationError)
    expect(String(failure)).toContain(sentence)
    expect(String(failure)).not.toMatch(/wrong@|secret/)
  })

  it('refuses a URL that says cluster where there is none, and the other way round', async () => {
    const one = await start({ appendonly: 'yes' })
    const other = await start({ appendonly: 'yes' })
    await expect(
      open({ url: `redis://127.0.0.1:${one.port},127.0.0.1:${other.port}`, stepTimeoutMs: 1_000 }),
    ).rejects.toThrow('lists hosts that are no cluster')
    const cluster = await startRedisCluster()
    ending.push(cluster.stop)
    await expect(open({ url: cluster.nodes[0]!.url })).rejects.toThrow('names one node of a cluster')
  })

  it('refuses a replica, a Redis without memory or EVAL, and a database it has not, and says which', async () => {
    const { port, url } = await start({ appendonly: 'yes' })
    const sentenceOf = (options: Partial<RedisStoreOptions> & { url: string }) =>
      open(options).then(String, (error: unknown) =>
        error instanceof ConfigurationError ? error.message : error,
      )
    const replica = await start({ replicaof: `127.0.0.1 ${port}` })
    expect(await sentenceOf({ url: replica.url })).toContain('SESSION_REDIS_URL names a replica')
    const full = await start({ maxmemory: '1mb' })
    expect(await sentenceOf({ url: full.url })).toContain('Redis has no memory left')
    expect(await sentenceOf({ url: `${url}/99` })).toContain(
      'names database 99, which this Redis does not have',
    )
    const proxy = await startRedisProxy(await start({ appendonly: 'yes' }))
    ending.push(() => proxy.close())
    proxy.answer('\r\nevalsha\r\n', "-ERR unknown command 'evalsha'", 1)
    expect(await sentenceOf({ url: proxy.url })).toContain('Redis refuses a command the store needs')
  })

  it('R166: says in time that nobody answers, and why', async () => {
    await expect(open({ url: `redis://127.0.0.1:${await freePort()}` })).rejects.toThrow(
      'Redis could not answer (ECONNREFUSED)',
    )
    const silent = createServer(() => {}).listen(0, '127.0.0.1')
    await once(silent, 'listening')
    ending.push(async () => silent.close())
    const { port } = silent.address() as { port: number }
    await expect(open({ url: `redis://127.0.0.1:${port}` })).rejects.toThrow(StoreUnavailableError)
  })
})
