import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import { Redis } from 'ioredis'

/** A real Redis of this test's own, on a free port and in a folder of its own. */
export interface RedisServer {
  readonly port: number
  readonly url: string
  /** Where its files are. */
  readonly folder: string
  /** A client without any of our settings, for looking and for breaking things. */
  readonly client: Redis
  /** Freezes the process, as a machine that stalls does. */
  freeze(): void
  thaw(): void
  /** Kills it as a crash does: nothing is written any more. */
  kill(): Promise<void>
  /** Starts it again over the same folder. */
  restart(): Promise<void>
  stop(): Promise<void>
}

/** Starts `redis-server`; `config` are its settings, such as `{ appendonly: 'yes' }`. */
export async function startRedisServer(config: Record<string, string> = {}): Promise<RedisServer> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-redis-'))
  const port = await freePort()
  const settings = { port: `${port}`, bind: '127.0.0.1', dir: folder, save: '', ...config }
  const parameters = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value])
  const start = () => launch(parameters, 'Ready to accept connections')
  let child = await start()
  const client = new Redis({ port, retryStrategy: () => 50, maxRetriesPerRequest: null })
  client.on('error', () => {})
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    folder,
    client,
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    kill,
    async restart() {
      await kill()
      child = await start()
    },
    async stop() {
      client.disconnect()
      await kill()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function launch(parameters: readonly string[], sign: string): Promise<ChildProcess> {
  // Nothing of ours is inherited: a run that has died would otherwise be waited for until its Redis has.
  const child = spawn('redis-server', parameters, { stdio: ['ignore', 'pipe', 'ignore'] })
  child.on('error', () => {
    throw new Error('redis-server is not installed: run npm test, or apt-get install redis-server')
  })
  // A child must not outlive a test run that dies, or is ended because it took too long.
  const end = () => child.kill('SIGKILL')
  const endAndGo = () => {
    end()
    process.exit(1)
  }
  process.once('exit', end)
  process.once('SIGTERM', endAndGo)
  child.once('exit', () => process.off('exit', end).off('SIGTERM', endAndGo))
  let log = ''
  for await (const chunk of child.stdout!) {
    log += chunk
    if (log.includes(sign)) break
  }
  if (!log.includes(sign)) throw new Error(`redis-server did not start:\n${log}`)
  return child
}

/** A sentinel that alone decides; it follows `main`. */
export interface RedisSentinel {
  readonly port: number
  readonly client: Redis
  stop(): Promise<void>
}

/** Starts a sentinel that watches a master and finds its replicas by itself. */
export async function startRedisSentinel(master: { port: number }): Promise<RedisSentinel> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-sentinel-'))
  const port = await freePort()
  const file = join(folder, 'sentinel.conf')
  writeFileSync(
    file,
    [
      `port ${port}`,
      'bind 127.0.0.1',
      `dir ${folder}`,
      `sentinel monitor main 127.0.0.1 ${master.port} 1`,
      'sentinel down-after-milliseconds main 500',
      'sentinel failover-timeout main 5000',
    ].join('\n'),
  )
  const child = await launch([file, '--sentinel'], 'Sentinel ID is')
  const client = new Redis({ port, maxRetriesPerRequest: null })
  client.on('error', () => {})
  return {
    port,
    client,
    async stop() {
      client.disconnect()
      const exited = once(child, 'exit')
      child.kill('SIGKILL')
      await exited
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Three masters that share the hash slots. */
export interface RedisCluster {
  readonly nodes: readonly RedisServer[]
  readonly url: string
  stop(): Promise<void>
}

/** Starts a cluster of three masters, each with so many replicas, and waits until each node serves. */
export async function startRedisCluster(
  config: Record<string, string> = {},
  replicas = 0,
): Promise<RedisCluster> {
  const settings = { 'cluster-enabled': 'yes', 'cluster-node-timeout': '2000', ...config }
  const count = 3 * (1 + replicas)
  const nodes = await Promise.all(Array.from({ length: count }, () => startRedisServer(settings)))
  const addresses = nodes.map(({ port }) => `127.0.0.1:${port}`)
  const create = ['--cluster', 'create', ...addresses, '--cluster-replicas', `${replicas}`, '--cluster-yes']
  await promisify(execFile)('redis-cli', create)
  for (const { client } of nodes) {
    while (!String(await client.cluster('INFO')).includes('cluster_state:ok')) await pause(20)
  }
  return {
    nodes,
    url: `redis://${addresses.join(',')}`,
    stop: async () => void (await Promise.all(nodes.map(node => node.stop()))),
  }
}

/** A port that was free a moment ago; a cluster node also takes the one 10000 above. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 20_000)
    if ((await isFree(port)) && (await isFree(port + 10_000))) return port
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
