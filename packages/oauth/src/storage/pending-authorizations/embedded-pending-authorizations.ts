import type { EmbeddedSteps } from '../embedded-steps.ts'
import { operationKey } from '../operation-id.ts'
import { recordSchemas } from '../records.ts'
import type { PendingAuthorizationStore } from './pending-authorization-store.ts'

const kind = 'pending_authorization'

export function createEmbeddedPendingAuthorizations({
  keeper,
  write,
  read,
  find,
  rememberOutcome,
}: EmbeddedSteps): PendingAuthorizationStore {
  const findRecord = (id: string, now: number) => find(kind, recordSchemas.pendingAuthorization, id, now)

  return {
    putPendingAuthorization: ({ record, limit, now }) =>
      write(() => {
        // The same record sent again neither counts twice nor takes back a step.
        if (findRecord(record.id, now)) return 'stored'
        if (keeper.count(kind, now) >= limit) return 'full'
        keeper.put(kind, record.id, { value: JSON.stringify(record), expiresAt: record.expiresAt }, now)
        return 'stored'
      }),
    findPendingAuthorization: ({ id, now }) => read(() => findRecord(id, now)),
    stepPendingAuthorization: step =>
      write(() => {
        const { id, fromStep, next, now } = step
        const operation = operationKey('stepPendingAuthorization', step)
        if (keeper.find('operation', operation, now) !== undefined) return 'taken'
        const record = findRecord(id, now)
        if (!record) return 'unknown'
        if (record.step !== fromStep) return 'stale'
        rememberOutcome(operation, 'taken', now)
        if (!next) keeper.delete(kind, id)
        else keeper.put(kind, id, { value: JSON.stringify(next), expiresAt: next.expiresAt }, now)
        return 'taken'
      }),
  }
}
