import { sha256 } from '../../protocol/hash.ts'
import type { EmbeddedSteps } from '../embedded-steps.ts'
import { type CallTask, recordSchemas } from '../records.ts'
import type { CallTaskKey, CallTaskStore } from './call-task-store.ts'

export function createEmbeddedCallTasks({ keeper, write, read, find }: EmbeddedSteps): CallTaskStore {
  const findCallTask = (key: CallTaskKey, now: number) =>
    find('call_task', recordSchemas.callTask, callTaskId(key), now)
  const putCallTask = (record: CallTask, now: number) => {
    const { callerHash, expiresAt } = record
    const clientId = sha256(callerHash)
    keeper.put('call_task', callTaskId(record), { value: JSON.stringify(record), expiresAt, clientId }, now)
  }

  return {
    putCallTask: ({ record, limit, now }) =>
      write(() => {
        // Sent again after it was replaced, it must not take that back.
        if (findCallTask(record, now)) return 'stored'
        // What a record is listed by is its client; tasks are listed by their caller.
        const own = keeper.list('call_task', { clientId: sha256(record.callerHash) }, now)
        if (own.length >= limit) return 'full'
        putCallTask({ ...record, generation: 1 }, now)
        return 'stored'
      }),
    findCallTask: ({ now, ...key }) => read(() => findCallTask(key, now)),
    replaceCallTask: ({ sealed, generation, now, ...key }) =>
      write(() => {
        const before = findCallTask(key, now)
        if (before?.generation === generation) {
          putCallTask({ ...before, sealed, generation: generation + 1 }, now)
          return 'replaced'
        }
        return before?.generation === generation + 1 && before.sealed === sealed ? 'replaced' : 'stale'
      }),
  }
}

function callTaskId({ callerHash, idHash }: CallTaskKey): string {
  return JSON.stringify([callerHash, idHash])
}
