import type { CallTaskStore } from './call-tasks/call-task-store.ts'
import type { ChangeStore } from './changes/change-store.ts'
import type { CircuitStore } from './circuits/circuit-store.ts'
import type { ClientStore } from './clients/client-store.ts'
import type { ConnectionStore } from './connections/connection-store.ts'
import type { GrantStore } from './grants/grant-store.ts'
import type { LeaseStore } from './leases/lease-store.ts'
import type { PendingAuthorizationStore } from './pending-authorizations/pending-authorization-store.ts'
import type { SessionStore } from './sessions/session-store.ts'
import type { SigningKeyStore } from './signing-keys/signing-key-store.ts'
import type { SingleUseStore } from './single-use/single-use-store.ts'
import type { StatisticsStore } from './statistics/statistics-store.ts'
import type { TaskStore } from './tasks/task-store.ts'
import type { UserStore } from './users/user-store.ts'
import type { WindowCounter } from './window-counter.ts'

export type { CallTaskKey, CallTaskStore } from './call-tasks/call-task-store.ts'
export type { ChangeStore, ChangeWatcher } from './changes/change-store.ts'
export type { CircuitStore } from './circuits/circuit-store.ts'
export type { ClientStore } from './clients/client-store.ts'
export type { ConnectionKey, ConnectionPage, ConnectionStore } from './connections/connection-store.ts'
export type { GrantStore, RedeemOutcome, RevokedPage, RotateOutcome } from './grants/grant-store.ts'
export type { ClaimOutcome, LeaseKey, LeaseStore } from './leases/lease-store.ts'
export type { PendingAuthorizationStore } from './pending-authorizations/pending-authorization-store.ts'
export type { Revocation } from './records.ts'
export type { SessionStore, StreamEvent } from './sessions/session-store.ts'
export type { SigningKeyStore } from './signing-keys/signing-key-store.ts'
export type { SingleUseKind, SingleUseStore } from './single-use/single-use-store.ts'
export type { StoreStats } from './statistics/statistics-store.ts'
export type { TaskPage, TaskQueue, TaskStore } from './tasks/task-store.ts'
export type { UserStore } from './users/user-store.ts'

/**
 * The storage port: one method per protocol step, each atomic by itself, so that an adapter can be one Lua
 * script, one SQL transaction, or a stretch of code without `await`. It shows no connection and no transaction.
 *
 * - `now` is passed in (seconds since the epoch); a record whose end has passed counts as absent.
 * - `operationId` is random per step. The same step with the same id, sent twice because a reply was lost,
 *   has the effect of one and gets the same outcome (R164).
 * - Expected outcomes are values. Every method throws `StoreUnavailableError` when the outcome is unknown,
 *   and nothing else.
 * - A store belongs to one tenant; its keys carry the tenant, no argument does.
 */
export interface Store
  extends UserStore,
    ClientStore,
    PendingAuthorizationStore,
    GrantStore,
    ConnectionStore,
    LeaseStore,
    CircuitStore,
    TaskStore,
    SigningKeyStore,
    SingleUseStore,
    SessionStore,
    ChangeStore,
    CallTaskStore,
    StatisticsStore {
  /** Tenant (`OAUTH_SANDBOX`) whose records this store holds; part of the context of every sealed value. */
  readonly tenant: string
  /**
   * Counts for rate limits, by all processes on the store together. Not one of the steps: a count rejects with any
   * error, and may be off by one then. Absent where the backend cannot count; each process then counts alone.
   */
  createWindowCounter?(limit: { name: string; windowSeconds: number }): WindowCounter
  /** Resolves when the store can answer. For the health endpoint. */
  check(): Promise<void>
  /** Deletes records whose end has passed. Adapters whose backend does so by itself resolve at once. */
  cleanupExpired(step: { now: number }): Promise<void>
  close(): Promise<void>
}
