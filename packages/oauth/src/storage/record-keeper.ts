import type { ChangeWatcher, Revocation } from './store.ts'

/** Kinds of stored records. `operation` is the outcome of a step, kept so that a step sent twice happens once. */
export type RecordKind =
  | 'user'
  | 'disabled_user'
  | 'sign_out'
  | 'client_tombstone'
  | 'pending_authorization'
  | 'grant'
  | 'revocation'
  | 'connection'
  | 'connection_tombstone'
  | 'account'
  | 'lease'
  | 'circuit'
  | 'task'
  | 'signing_key'
  | 'single_use'
  | 'ended_session'
  | 'session_event'
  | 'subscription'
  | 'change'
  | 'call_task'
  | 'operation'

/** A record as it is kept: its JSON, its end, and whom it can be listed by. */
export interface KeptRecord {
  value: string
  /** Seconds since the epoch; `noEnd` for a signing key that nothing has replaced. */
  expiresAt: number
  userId?: string
  clientId?: string
  /** Of a task: its queue, and when it is due. */
  queue?: string
  dueAt?: number
}

/** Whose records are listed. */
export type RecordOwner = { userId: string } | { clientId: string }

/** Records of one kind, one page of them. */
export interface RecordPage {
  values: string[]
  /** Of the last value; 0 when there is none. */
  position: number
}

/** End of a record that has none yet. */
export const noEnd: number = Number.MAX_SAFE_INTEGER

/**
 * What an embedded adapter must bring: a place for records, and steps that nothing comes between. Everything is
 * synchronous, so a step is a stretch of code without `await`. All methods throw `StoreUnavailableError`.
 */
export interface RecordKeeper {
  /** Runs a step: alone, also towards other processes, and all of it or nothing. */
  write<T>(step: () => T): T
  /** Runs a step that only reads, and only once. */
  read<T>(step: () => T): T
  find(kind: RecordKind, id: string, now: number): string | undefined
  /** Live records in the order in which they were first put. */
  list(kind: RecordKind, by: RecordOwner | undefined, now: number): string[]
  /** Live records put first after `position` (0: all), at most `limit`, in that order, and the last one's position. */
  listPage(
    kind: RecordKind,
    by: RecordOwner | undefined,
    page: { position: number; limit: number },
    now: number,
  ): RecordPage
  /** Live records of a queue that are due between two moments, both included, in that order. */
  listDue(
    kind: RecordKind,
    queue: string,
    due: { from: number; to: number; limit: number },
    now: number,
  ): string[]
  count(kind: RecordKind, now: number): number
  put(kind: RecordKind, id: string, record: KeptRecord, now: number): void
  delete(kind: RecordKind, id: string): void
  deleteExpired(now: number): void
  /** Throws unless a step could be written now. */
  check(): void
  close(): void
  readonly revocations: RevocationFeed
  readonly changes: ChangeFeed
}

export interface RevocationWatcher {
  onRevoked: (revocation: Revocation) => void
  onSynced: () => void
}

/** How revocations reach those who follow them. The record of a revocation is written by the step itself. */
export interface RevocationFeed {
  /** Called after each step that succeeded, with the revocations it made. */
  announce(revocations: readonly Revocation[]): void
  watch(watcher: RevocationWatcher): () => void
}

/** How changes reach those who follow them. */
export interface ChangeFeed {
  /** Throws `StoreUnavailableError` when nobody was told. */
  announce(sealed: string, now: number): void
  watch(watcher: ChangeWatcher): () => void
}
