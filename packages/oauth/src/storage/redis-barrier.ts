import type { Redis } from 'ioredis'

/**
 * What a write waits for before its outcome is told: a replica that has it (WAIT), the disk of the server (WAITAOF),
 * or both of them on their disks.
 */
export type RedisWaitFor = 'replica' | 'disk' | 'replica-disk'

/** The command for each: how many servers have to say that they have it, and how to read the answer. */
const waits: Readonly<
  Record<RedisWaitFor, { command: readonly [string, ...number[]]; isMet: (reply: unknown) => boolean }>
> = {
  replica: { command: ['WAIT', 1], isMet: reply => Number(reply) >= 1 },
  disk: { command: ['WAITAOF', 1, 0], isMet: reply => counts(reply)[0]! >= 1 },
  'replica-disk': { command: ['WAITAOF', 1, 1], isMet: reply => counts(reply).every(count => count >= 1) },
}

/** Makes sure that what was written survives the server it was written to. */
export interface RedisBarrier {
  /**
   * Resolves to whether everything that `node` has written over its present connection is where it has to be: true
   * as soon as it is, false when that takes too long. Rejects when the connection breaks meanwhile: the write may be
   * lost with the server, and has to be made again.
   *
   * @param key where the confirmation is asked for: any key in a hash slot of the node
   * @param until on `performance.now()`: when to give up at the latest
   */
  pass(node: Redis, key: string, until: number): Promise<boolean>
  /** Whether the server would confirm a write now. Rejects with what Redis says of the command. */
  probe(node: Redis): Promise<boolean>
}

/** How long an answer takes to be passed on, in milliseconds. */
const marginMs = 25

/** One connection: how often it has been a new one, and who waits on it. */
interface Line {
  epoch: number
  /** The wait that is under way. */
  running: Promise<unknown> | undefined
  /** The one after it, which confirms everything that is written until it begins. */
  next: Promise<{ epoch: number; isMet: boolean }> | undefined
}

/**
 * Creates a barrier. WAIT blocks its connection, so it needs one of its own, which the writes share: WAIT counts what
 * its own connection has written. Writes that come while one waits are confirmed together by the next.
 *
 * @param waitMs how long one wait may take, in milliseconds
 */
export function createRedisBarrier(waitFor: RedisWaitFor, waitMs: number): RedisBarrier {
  const { command, isMet } = waits[waitFor]
  const lines = new WeakMap<Redis, Line>()

  const lineOf = (node: Redis): Line => {
    let line = lines.get(node)
    if (!line) {
      const made: Line = { epoch: 0, running: undefined, next: undefined }
      node.on('close', () => made.epoch++)
      lines.set(node, made)
      line = made
    }
    return line
  }
  const wait = (node: Redis) => {
    const [name, ...counts] = command
    return node.call(name, ...counts, waitMs)
  }
  const begin = async (node: Redis, key: string, { epoch }: Line) => {
    // A write of its own: a step that was made before and found done writes nothing, and would confirm nothing.
    // Sent together, so that both travel over the same connection.
    const [, reply] = await Promise.all([node.set(key, '1', 'EX', 60), wait(node)])
    return { epoch, isMet: isMet(reply) }
  }

  return {
    async pass(node, key, until) {
      const line = lineOf(node)
      const { epoch } = line
      line.next ??= (async () => {
        await line.running?.catch(() => {})
        line.next = undefined
        const running = begin(node, key, line)
        line.running = running
        return running
      })()
      const met = await within(line.next, until)
      if (!met) return false
      // Confirmed for a connection that came after the one of the write.
      if (met.epoch !== epoch) throw new Error('the connection was lost')
      return met.isMet
    },
    probe: async node => isMet(await wait(node)),
  }
}

async function within<T>(promise: Promise<T>, until: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<undefined>(resolve => {
    timer = setTimeout(() => resolve(undefined), Math.max(until - marginMs - performance.now(), 0))
  })
  return Promise.race([promise, timeout]).finally(() => clearTimeout(timer))
}

function counts(reply: unknown): readonly number[] {
  return (reply as readonly unknown[]).map(Number)
}
