import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Pool } from 'undici'
import { freePort, startRedisServer } from '../../packages/oauth/src/storage/redis-server.fixture.ts'
import type { ContenderName } from './contender.ts'
import { type ContenderProcess, startContender } from './contender-process.ts'
import { sendAll } from './load.ts'
import { collectTokens, type Operation, operations, type RoundTokens, requestsOf } from './operations.ts'

/** One operation of one contender in one round. */
export interface Sample {
  contender: ContenderName
  operation: Operation
  /** CPU time of the contender's process, all threads, in microseconds per request. */
  cpuMicros: number
  /** CPU time of the Redis server, in microseconds per request; undefined without Redis. */
  redisMicros: number | undefined
  requestsPerSecond: number
}

export interface MeasureOptions {
  contenders: readonly ContenderName[]
  /** Rounds that count; one more goes before them to warm up. */
  rounds: number
  /** Requests of each operation in a round. */
  requests: number
  /** Requests on their way at once. */
  concurrency: number
  /** Options of Node for the contenders. Default: none. */
  execArgv?: readonly string[]
}

/** Runs the contenders round by round, one after another in each (A B C A B C …), and measures their processes. */
export async function measure({
  contenders,
  rounds,
  requests,
  concurrency,
  execArgv = [],
}: MeasureOptions): Promise<Sample[]> {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-bench-'))
  // As STORAGE.md asks for: everything in an append-only file.
  const redis = contenders.includes('redis') ? await startRedisServer({ appendonly: 'yes' }) : undefined
  const running: { process: ContenderProcess; pool: Pool }[] = []
  const samples: Sample[] = []
  try {
    for (const name of contenders) {
      const settings = { name, port: await freePort(), folder: join(folder, name), redisUrl: redis?.url }
      const process = await startContender(settings, execArgv)
      running.push({
        process,
        pool: new Pool(`http://127.0.0.1:${process.port}`, { connections: concurrency }),
      })
    }
    for (let round = 0; round <= rounds; round++) {
      for (const { process, pool } of running) {
        const tokens: RoundTokens = {
          codes: await process.ask('mint', requests),
          refreshTokens: [],
          accessTokens: [],
        }
        for (const operation of operations) {
          const batch = requestsOf(operation, process, tokens)
          const redisCpu = async () =>
            redis && process.name === 'redis' ? cpuOfRedis(await redis.client.info('cpu')) : undefined
          const redisBefore = await redisCpu()
          const before = await process.ask('cpu', undefined)
          const startedAt = performance.now()
          const bodies = await sendAll(pool, batch, concurrency)
          const seconds = (performance.now() - startedAt) / 1000
          const after = await process.ask('cpu', undefined)
          const redisAfter = await redisCpu()
          if (bodies[0] !== '') collectTokens(tokens, bodies)
          // The first round warms up.
          if (round === 0) continue
          samples.push({
            contender: process.name,
            operation,
            cpuMicros: (after - before) / batch.length,
            redisMicros:
              redisBefore === undefined || redisAfter === undefined
                ? undefined
                : (redisAfter - redisBefore) / batch.length,
            requestsPerSecond: batch.length / seconds,
          })
        }
      }
    }
    return samples
  } finally {
    for (const { process, pool } of running) {
      await pool.close()
      await process.stop()
    }
    await redis?.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

/** Microseconds of CPU a Redis server has used, of what `INFO cpu` says. */
function cpuOfRedis(info: string): number {
  const seconds = ['used_cpu_user', 'used_cpu_sys'].map(name =>
    Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(info)?.[1]),
  )
  return (seconds[0]! + seconds[1]!) * 1e6
}
