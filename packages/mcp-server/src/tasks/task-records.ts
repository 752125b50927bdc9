import { createHash } from 'node:crypto'
import {
  type CallTaskKey,
  type CallTaskStore,
  type Clock,
  type RandomBytes,
  type Sealer,
  StoreUnavailableError,
} from '@sallyport/oauth'
import { looksDifferent, parseTaskState, type TaskState } from './task-state.ts'

/** How often a write is made again because somebody else has written meanwhile. */
const attempts = 50

/** What questions and answers, or an error, may be together, in bytes: they are written again and again. */
const maxStateBytes = 196_608

/**
 * Longest sealed task, in characters: the largest result that can be kept, the arguments of the call and the rest. None
 * comes from outside, so that it need not be near the limit of this process: another one may have a higher.
 */
export const maxSealedLength = 33_554_432

/** Random bytes of a task id: nobody guesses one. */
const idBytes = 24

/** Tasks as they lie in the store: by caller, hashed and sealed (R160, R162). */
export interface TaskRecords {
  /** @returns its id; undefined when the caller has as many as it may */
  create(principal: string, state: TaskState, limit: number): Promise<string | undefined>
  read(principal: string, taskId: string): Promise<TaskState | undefined>
  /** What `onChange` knows a task by. */
  keyOf(principal: string, taskId: string): string
  /**
   * Writes what `change` makes of the state, again and again until nobody has come between. Nothing is written when it
   * makes undefined of it.
   *
   * @returns the state as it is now; undefined when there is no such task
   * @throws {RangeError} when the state is too large to be kept
   */
  update(
    principal: string,
    taskId: string,
    change: (state: TaskState) => TaskState | undefined,
  ): Promise<TaskState | undefined>
}

/** Creates the way to tasks in a store. */
export function createTaskRecords(options: {
  store: CallTaskStore
  sealer: Sealer
  tenant: string
  clock: Clock
  random: RandomBytes
  /** Told when a task was written that its client would now see differently. */
  onChange: (key: string) => void
}): TaskRecords {
  const { store, sealer, tenant, clock, random } = options
  const keyOf = (principal: string, taskId: string): CallTaskKey => ({
    callerHash: hashOf(principal),
    idHash: hashOf(taskId),
  })
  const nameOf = ({ callerHash, idHash }: CallTaskKey) => JSON.stringify([callerHash, idHash])
  const placeOf = (key: CallTaskKey) => ({ tenant, kind: 'call-task', id: nameOf(key) })
  const seal = (key: CallTaskKey, state: TaskState) => {
    const { result: _, arguments: __, ...rest } = state
    if (Buffer.byteLength(JSON.stringify(rest)) > maxStateBytes) {
      throw new RangeError('The state of the task is too large to be kept.')
    }
    return sealer.seal(JSON.stringify(state), placeOf(key))
  }
  const find = async (key: CallTaskKey) => {
    const record = await store.findCallTask({ ...key, now: clock() })
    const opened = record && sealer.open(record.sealed, placeOf(key))
    const state = opened && parseTaskState(opened.plaintext)
    return state && record && { state, generation: record.generation }
  }

  return {
    async create(principal, state, limit) {
      const taskId = Buffer.from(random(idBytes)).toString('base64url')
      const key = keyOf(principal, taskId)
      const expiresAt = state.createdAt + state.ttlSeconds
      const record = { version: 1 as const, ...key, sealed: seal(key, state), expiresAt }
      const outcome = await store.putCallTask({ record, limit, now: clock() })
      return outcome === 'stored' ? taskId : undefined
    },
    keyOf: (principal, taskId) => nameOf(keyOf(principal, taskId)),
    read: async (principal, taskId) => (await find(keyOf(principal, taskId)))?.state,
    async update(principal, taskId, change) {
      const key = keyOf(principal, taskId)
      for (let attempt = 0; attempt < attempts; attempt++) {
        const found = await find(key)
        if (!found) return undefined
        const next = change(found.state)
        if (!next) return found.state
        const { generation } = found
        const write = { ...key, sealed: seal(key, next), generation, now: clock() }
        if ((await store.replaceCallTask(write)) === 'replaced') {
          if (looksDifferent(found.state, next)) options.onChange(nameOf(key))
          return next
        }
      }
      throw new StoreUnavailableError('a task is written by too many at once')
    },
  }
}

const hashOf = (value: string) => createHash('sha256').update(value).digest('base64url')
