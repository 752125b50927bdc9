import { sha256 } from '../../protocol/hash.ts'
import { scripts } from '../lua.generated.ts'
import { operationKey } from '../operation-id.ts'
import { recordSchemas } from '../records.ts'
import type { RedisSteps } from '../redis-steps.ts'
import type { PendingAuthorizationStore } from './pending-authorization-store.ts'

const kind = 'pending_authorization'

export function createRedisPendingAuthorizations({
  keys,
  commands,
  run,
  put,
  unreadable,
  parse,
}: RedisSteps): PendingAuthorizationStore {
  return {
    async putPendingAuthorization({ record, limit, now }) {
      const [outcome] = await put(
        kind,
        scripts.putPendingAuthorization,
        [keys.pendingAuthorization(record.id), keys.openAuthorizations()],
        [now, limit, sha256(record.id), record.step, record.expiresAt, JSON.stringify(record)],
      )
      return outcome as 'stored' | 'full'
    },
    async findPendingAuthorization({ id, now }) {
      const key = keys.pendingAuthorization(id)
      const text = await commands.read(client => client.hget(key, 'record'))
      if (text === null) return undefined
      if (text === undefined) return unreadable(kind)
      const record = parse(kind, recordSchemas.pendingAuthorization, () => JSON.parse(text))
      return record && record.expiresAt > now ? record : undefined
    },
    async stepPendingAuthorization(step) {
      const { id, fromStep, next, now } = step
      const reply = await run(
        kind,
        scripts.stepPendingAuthorization,
        [
          keys.pendingAuthorization(id),
          keys.openAuthorizations(),
          keys.pendingOperation(operationKey('stepPendingAuthorization', step)),
        ],
        [
          now,
          fromStep,
          sha256(id),
          next?.step ?? '',
          next?.expiresAt ?? '',
          next ? JSON.stringify(next) : '',
        ],
      )
      return (reply?.[0] ?? 'unknown') as 'taken' | 'stale' | 'unknown'
    },
  }
}
