import type { PendingAuthorization } from '../records.ts'

export interface PendingAuthorizationStore {
  /** `full` when `limit` transactions are open already: nothing is stored, none is evicted (R60). */
  putPendingAuthorization(step: {
    record: PendingAuthorization
    limit: number
    now: number
  }): Promise<'stored' | 'full'>
  findPendingAuthorization(step: { id: string; now: number }): Promise<PendingAuthorization | undefined>
  /**
   * Takes the step from `fromStep`: writes `next`, or deletes the record when the transaction is over.
   * `stale` when another request took that step before; `unknown` when there is no such transaction.
   */
  stepPendingAuthorization(step: {
    id: string
    fromStep: number
    next: PendingAuthorization | undefined
    operationId: string
    now: number
  }): Promise<'taken' | 'stale' | 'unknown'>
}
