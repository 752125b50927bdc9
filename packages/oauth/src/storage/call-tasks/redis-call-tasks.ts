import { sha256 } from '../../protocol/hash.ts'
import { scripts } from '../lua.generated.ts'
import { recordSchemas } from '../records.ts'
import type { RedisSteps } from '../redis-steps.ts'
import type { CallTaskStore } from './call-task-store.ts'

export function createRedisCallTasks(steps: RedisSteps): CallTaskStore {
  const { keys, commands, run, put, parse, parseNumbered } = steps
  return {
    async putCallTask({ record, limit, now }) {
      const { callerHash, expiresAt, sealed, idHash } = record
      const [outcome] = await put(
        'call_task',
        scripts.putCallTask,
        [keys.callTasksOf(callerHash), keys.callTask(record)],
        [now, sha256(idHash), expiresAt, sealed, limit],
      )
      return outcome as 'stored' | 'full'
    },
    async findCallTask({ callerHash, idHash, now }) {
      const value = await commands.read(client => client.get(keys.callTask({ callerHash, idHash })))
      const found = parseNumbered('call_task', value)
      if (!found) return undefined
      const { first: generation, second: expiresAt, record: sealed } = found
      if (expiresAt <= now) return undefined
      return parse('call_task', recordSchemas.callTask, () => ({
        version: 1,
        callerHash,
        idHash,
        sealed,
        generation,
        expiresAt,
      }))
    },
    async replaceCallTask({ sealed, generation, now, ...key }) {
      const reply = await run(
        'call_task',
        scripts.replaceCallTask,
        [keys.callTask(key)],
        [now, sealed, generation],
      )
      return (reply?.[0] ?? 'stale') as 'replaced' | 'stale'
    },
  }
}
