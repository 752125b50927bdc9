import { setTimeout as pause } from 'node:timers/promises'
import { StoreUnavailableError } from '../errors.ts'
import { currentRequest } from '../request-scope.ts'
import type { Script } from './lua.generated.ts'
import { createRedisClock } from './redis-clock.ts'
import type { Confirmation } from './redis-confirmation.ts'
import type { RedisConnection } from './redis-connection.ts'
import { isPassing, isUnanswered, redisErrorCode, redisUnavailable } from './redis-error.ts'

export type RedisReply = readonly (string | number | null)[]

/** Commands with a bounded wait: an answer, or `StoreUnavailableError` and nothing that happens later. */
export interface RedisCommands {
  /**
   * When a step that begins now must have ended, on `performance.now()`: for all commands of one step together, and
   * for all steps of a request that limits its wait.
   */
  stepEndsAt(): number
  /**
   * Runs a script. `args` are those after the deadline. Undefined when a key holds what is not ours (R172).
   *
   * @throws {StoreUnavailableError} when the outcome is unknown
   */
  run(
    script: Script,
    keys: readonly string[],
    args: readonly (string | number)[],
    until?: number,
  ): Promise<RedisReply | undefined>
  /**
   * The same for a step whose loss somebody would notice: it is told when what `confirmed` waits for has come true, and
   * made again when the server went away before. Where nothing is waited for, this is `run`.
   */
  runConfirmed: RedisCommands['run']
  /**
   * Reads. Undefined when the key holds what is not ours (R172).
   *
   * @throws {StoreUnavailableError} when Redis does not answer
   */
  read<T>(command: (client: RedisConnection['client']) => Promise<T>, until?: number): Promise<T | undefined>
  close(): void
}

/** The server reached a step after its deadline. */
const late = new Error('late')

/** Outcomes of steps that have written nothing. */
const writesNothing: ReadonlySet<unknown> = new Set(['index', 'unknown', 'expired', 'stale'])

/**
 * @param stepTimeoutMs how long a caller waits at most, attempts and pauses together
 * @param confirmation default: no step waits for anything but its reply
 */
export function createRedisCommands(
  connection: RedisConnection,
  stepTimeoutMs: number,
  confirmation?: Confirmation,
): RedisCommands {
  const { client } = connection
  const clock = createRedisClock(connection)
  let isClosed = false

  const stepEndsAt = () => {
    // R165: four steps that each just made it would be one very late answer.
    const waitedMs = currentRequest()?.storeWait?.elapsedMs ?? 0
    return performance.now() + Math.max(stepTimeoutMs - waitedMs, 0)
  }
  const remaining = (until: number) => Math.max(until - performance.now(), 0)

  const withinTime = <T>(
    attempt: () => Promise<T>,
    until: number,
    via = connection,
  ): Promise<T | undefined> => {
    let reason = 'timeout'
    const end = currentRequest()?.storeWait?.begin()
    const attempts = async (): Promise<T | undefined> => {
      // Whether Redis may still get to an earlier attempt. It does not after `until`; before, nobody is told that
      // the step failed (R165).
      let isPending = false
      for (let waitMs = 25; ; waitMs = Math.min(waitMs * 2, 200)) {
        if (isClosed) throw new StoreUnavailableError('the store is closed')
        try {
          return await attempt()
        } catch (error) {
          const code = error === late ? 'late' : redisErrorCode(error)
          if (code === 'WRONGTYPE') return undefined
          if (isUnanswered(code)) {
            isPending = true
            // What Redis said of itself tells more than that it then closed the connection.
            if (isUnanswered(reason)) reason = via.lastError() ?? code
          } else reason = code
          if (code === 'MOVED') via.refresh()
          if (!isPassing(code)) {
            if (isPending) await pause(remaining(until))
            throw redisUnavailable(code)
          }
        }
        await pause(Math.min(waitMs, remaining(until)))
        if (remaining(until) === 0) throw redisUnavailable(reason)
      }
    }
    let timer: NodeJS.Timeout | undefined
    const timeout = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(redisUnavailable(reason)), remaining(until))
    })
    return Promise.race([attempts(), timeout]).finally(() => {
      clearTimeout(timer)
      end?.()
    })
  }

  const send = async (
    to: RedisConnection['client'],
    script: Script,
    keys: readonly string[],
    args: readonly (string | number)[],
    until: number,
  ): Promise<RedisReply> => {
    // The script refuses to run after this: a command that hung in a queue, in a socket or in a frozen Redis
    // does nothing once its caller was told that it failed (R165).
    const deadline = await clock.deadline(keys[0]!, until)
    const all = [...keys, `${deadline}`, ...args.map(String)]
    const reply = (await to.evalsha(script.sha1, keys.length, ...all).catch((error: unknown) => {
      // It has not run: Redis was restarted or is new to us.
      if (redisErrorCode(error) !== 'NOSCRIPT') throw error
      return to.eval(script.lua, keys.length, ...all)
    })) as RedisReply
    if (reply[0] !== 'late') return reply
    // Either too late, or the clock of the server was set: then a new comparison helps.
    clock.forget(keys[0]!)
    throw late
  }
  const run: RedisCommands['run'] = (script, keys, args, until = stepEndsAt()) =>
    withinTime(() => send(client, script, keys, args, until), until)

  return {
    stepEndsAt,
    run,
    runConfirmed(script, keys, args, until = stepEndsAt()) {
      if (!confirmation) return run(script, keys, args, until)
      const { barrier, keyFor, onUnconfirmed, connection: via } = confirmation
      const attempt = async () => {
        // The very server, also in a cluster: it is the one that must confirm.
        const node = via.nodeOf(keys[0]!)
        if (!node) throw new Error('no server is known for the key')
        const reply = await send(node, script, keys, args, until)
        if (writesNothing.has(reply[0])) return reply
        if (!(await barrier.pass(node, keyFor(keys[0]!), until))) onUnconfirmed()
        return reply
      }
      return withinTime(attempt, until, via)
    },
    read: (command, until = stepEndsAt()) => withinTime(() => command(client), until),
    close() {
      isClosed = true
      connection.close()
      confirmation?.connection.close()
    },
  }
}
