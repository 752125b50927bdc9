import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Pool } from 'undici'
import { sendAll } from '../token/load.ts'
import { type ContenderName, callOf, eras, type Ready } from './contender.ts'

/** One contender, one era, one round. */
export interface Sample {
  contender: ContenderName
  era: (typeof eras)[number]
  /** CPU time of the contender's process, all threads, in microseconds per call. */
  cpuMicros: number
}

export interface MeasureOptions {
  contenders: readonly ContenderName[]
  /** Rounds that count. */
  rounds: number
  /** Rounds before them, while V8 still compiles what it meets. */
  warmUpRounds: number
  /** Calls of each era in a round; eight times as many for all but the SDK, so that turns last about as long. */
  requests: number
  /** Calls on their way at once. */
  concurrency: number
  /** Options of Node for the contenders. Default: none. */
  execArgv?: readonly string[]
}

/** Runs the contenders round by round, one after another in each (A B C A B C …), and measures their processes. */
export async function measure(options: MeasureOptions): Promise<Sample[]> {
  const { contenders, rounds, warmUpRounds, requests, concurrency, execArgv = [] } = options
  const running: { name: ContenderName; pool: Pool; token: string; child: ReturnType<typeof fork> }[] = []
  const samples: Sample[] = []
  try {
    for (const name of contenders) {
      const child = fork(fileURLToPath(new URL('server.ts', import.meta.url)), [name], {
        execArgv: [...execArgv],
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      })
      const [ready] = (await Promise.race([
        once(child, 'message'),
        once(child, 'exit').then(([code]) => Promise.reject(new Error(`${name} ended with ${code}`))),
      ])) as [Ready]
      const pool = new Pool(`http://localhost:${ready.port}`, { connections: concurrency })
      running.push({ name, pool, token: ready.token, child })
    }
    for (let round = -warmUpRounds; round < rounds; round++) {
      for (const { name, pool, token, child } of running) {
        const cpu = async () => {
          child.send('cpu')
          const [micros] = (await once(child, 'message')) as [number]
          return micros
        }
        const count = name.startsWith('sdk') ? requests : 8 * requests
        for (const era of eras) {
          const call = callOf(era, token)
          const before = await cpu()
          const bodies = await sendAll(
            pool,
            Array.from({ length: count }, () => call),
            concurrency,
          )
          const after = await cpu()
          const stray = bodies.find(body => !body.includes('"text":"hello"'))
          if (stray !== undefined) throw new Error(`${name} answered ${stray.slice(0, 200)}`)
          if (round >= 0) samples.push({ contender: name, era, cpuMicros: (after - before) / count })
        }
      }
    }
    return samples
  } finally {
    for (const { pool, child } of running) {
      await pool.close()
      if (child.exitCode === null && child.connected) {
        const ended = once(child, 'exit')
        child.send('stop')
        await ended
      }
    }
  }
}
