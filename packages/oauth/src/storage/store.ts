import type {
  CallTask,
  Circuit,
  Connection,
  Grant,
  PendingAuthorization,
  Revocation,
  RevocationReason,
  SigningKey,
  Task,
  TaskKind,
} from './records.ts'
import type { WindowCounter } from './window-counter.ts'

export type { Revocation } from './records.ts'

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
    CallTaskStore {
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
  /** Counts what there is. It looks at every record: for an operator now and then, not for a health check. */
  stats(step: { now: number }): Promise<StoreStats>
  close(): Promise<void>
}

/** How much of everything there is, without what has ended. */
export interface StoreStats {
  /** Token families that are not revoked. */
  grants: number
  /** Those among them that have an access token which has not ended. */
  grantsWithAccess: number
  connections: { active: number; dead: number }
  /** Sign-ins under way. */
  pendingAuthorizations: number
  signingKeys: number
}

export interface UserStore {
  /**
   * The user id of an upstream identity. The first caller's `userId` wins and stays; `expiresAt` renews.
   * The identity is a hash of (issuer, subject), never an e-mail address.
   */
  findOrPutUser(step: {
    identityHash: string
    userId: string
    expiresAt: number
    now: number
  }): Promise<string>
  /** The user id of an upstream identity that has signed in before. Renews nothing. */
  findUser(step: { identityHash: string; now: number }): Promise<string | undefined>
  /** Marks a user as disabled. */
  putDisabledUser(step: { userId: string; expiresAt: number; now: number }): Promise<void>
  /** Takes the mark away. */
  deleteDisabledUser(step: { userId: string; now: number }): Promise<void>
  isUserDisabled(step: { userId: string; now: number }): Promise<boolean>
}

export interface ClientStore {
  /** Marks a client as deleted. Registrations are stateless, so a tombstone is all there is to store. */
  putClientTombstone(step: { clientIdHash: string; expiresAt: number; now: number }): Promise<void>
  isClientDeleted(step: { clientIdHash: string; now: number }): Promise<boolean>
}

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

export type RedeemOutcome = 'redeemed' | 'replayed' | 'expired' | 'revoked' | 'unknown'

export type RotateOutcome =
  | { outcome: 'rotated' }
  /** The token before the current one, within the grace: `replay` is the sealed reply of that rotation. */
  | { outcome: 'grace'; replay: string }
  /** A token that had been rotated away: the family is revoked by this step. */
  | { outcome: 'reused' }
  | { outcome: 'expired' | 'revoked' | 'unknown' }

export interface GrantStore {
  /** Opens a token family in the state "authorization code issued". It ends with the code unless redeemed. */
  putGrant(step: { record: Grant; now: number }): Promise<void>
  findGrant(step: { id: string; now: number }): Promise<Grant | undefined>
  /** Families of a user or a client that have not ended and are not revoked, newest first. */
  listGrants(step: ({ userId: string } | { clientId: string }) & { now: number }): Promise<Grant[]>
  /**
   * Redeems the authorization code, once. The caller has checked client, verifier, redirect URI and resource
   * before. A second redemption is `replayed` and revokes the family in the same step (RFC 6749 §4.1.2).
   * The record then lives as long as any token of the family may.
   */
  redeemCode(step: {
    id: string
    codeHash: string
    operationId: string
    now: number
    /** First refresh token and its idle end; absent for a client that may not refresh. */
    refresh?: { hash: string; idleEndsAt: number }
    /** `exp` of the access token issued with it. */
    accessEndsAt: number
  }): Promise<RedeemOutcome>
  /** Counts a wrong verifier for a valid code; at `limit` the code is spent (R102). Revokes nothing. */
  countFailedRedemption(step: {
    id: string
    codeHash: string
    limit: number
    operationId: string
    now: number
  }): Promise<void>
  /**
   * Rotates the refresh token: claims `presentedHash`, installs `successorHash`, stores `replay`.
   * Presented again within `graceSeconds` and before the successor was used, the stored reply is returned and
   * nothing changes. A hash that is neither current nor in grace revokes the family when `genuine` (the token
   * is proven to be ours), and is `unknown` otherwise, so that a guessed token cannot end a session (R97).
   */
  rotateRefreshToken(step: {
    id: string
    presentedHash: string
    genuine: boolean
    successorHash: string
    replay: string
    graceSeconds: number
    /** New idle end; the store caps it at the absolute end of the family. */
    idleEndsAt: number
    accessEndsAt: number
    operationId: string
    now: number
  }): Promise<RotateOutcome>
  /** Ends a family at once and announces it on the revocation feed. */
  revokeGrant(step: {
    id: string
    reason: RevocationReason
    operationId: string
    now: number
  }): Promise<'revoked' | 'already' | 'unknown'>
  /**
   * Ends all families of a user, of a client, or of the tenant, page by page, each at once as `revokeGrant` does:
   * `cursor` is undefined for the first page, then what the page before returned. A family that is there during the
   * whole walk is ended, one that is opened meanwhile perhaps; a walk that broke off is begun again. `limit` is about
   * how many families one page looks at; a page may be empty and not the last. Each page has an `operationId` of its
   * own.
   */
  revokeGrants(step: {
    of: { userId: string } | { clientId: string } | 'tenant'
    reason: RevocationReason
    cursor: string | undefined
    limit: number
    operationId: string
    now: number
  }): Promise<RevokedPage>
  /** Revoked families that may still have a live access token. */
  listRevocations(step: { now: number }): Promise<Revocation[]>
  /**
   * Follows revocations made by any process on this store: in this process at once, in others within a second.
   * `onSynced` is called each time the feed is known to be complete up to now.
   */
  watchRevocations(watcher: { onRevoked: (revocation: Revocation) => void; onSynced: () => void }): () => void
}

export interface RevokedPage {
  /** Ids of the families that this page has ended. */
  revoked: string[]
  /** Where the next page begins; undefined after the last. Opaque, and of use in the same walk only. */
  cursor: string | undefined
}

export interface ConnectionKey {
  userId: string
  provider: string
  account: string
}

export interface ConnectionStore {
  findConnection(step: ConnectionKey & { now: number }): Promise<Connection | undefined>
  listConnections(step: { userId: string; now: number }): Promise<Connection[]>
  /**
   * Connections to one account at a provider, of all users, dead ones too: whom a signal from the provider is about.
   * Those are found whose record carries this `accountHash`.
   */
  findConnectionsByAccount(step: { accountHash: string; now: number }): Promise<Connection[]>
  /** Connections that hold a refresh token: those are found whose record has this among its `tokenHashes`. */
  findConnectionsByToken(step: { tokenHash: string; now: number }): Promise<Connection[]>
  /** Writes a connection the user has just made, over whatever was there; returns its new generation. */
  putConnection(step: { record: Omit<Connection, 'generation'>; now: number }): Promise<number>
  /** Writes only when the stored generation is still `generation`; the record then carries `generation + 1`. */
  replaceConnection(step: {
    record: Omit<Connection, 'generation'>
    generation: number
    now: number
  }): Promise<'replaced' | 'stale'>
  deleteConnection(step: ConnectionKey & { now: number }): Promise<void>
  /**
   * Connections of all users, page by page: `cursor` is undefined for the first page, then what the page before
   * returned. A connection that is there during the whole walk is returned at least once, one that comes or goes
   * meanwhile perhaps. `limit` is about how many one page holds; a page may be empty and not the last.
   */
  listAllConnections(step: {
    cursor: string | undefined
    limit: number
    now: number
  }): Promise<ConnectionPage>
}

export interface ConnectionPage {
  connections: Connection[]
  /** Where the next page begins; undefined after the last. Opaque, and of use in the same walk only. */
  cursor: string | undefined
}

/** What a lease is for, and of what. */
export interface LeaseKey {
  kind: 'connection_refresh'
  id: string
}

export type ClaimOutcome =
  /** `isTakenOver`: the lease before it ended without being released, so what it was for may be half done. */
  | { outcome: 'claimed'; isTakenOver: boolean }
  | { outcome: 'held'; endsAt: number }
  /** The last one ended without being released, and the caller did not want it then. */
  | { outcome: 'abandoned' }

/** Leases: one owner at a time, across processes. What a late owner writes is stopped by generations, not by them. */
export interface LeaseStore {
  /**
   * Claims a lease until `endsAt`, unless another owner holds it. `owner` is random for each claim, and the operation
   * id of it. That a lease was not released is remembered for ten minutes after its end.
   */
  claimLease(
    step: LeaseKey & { owner: string; endsAt: number; takesOver: boolean; now: number },
  ): Promise<ClaimOutcome>
  /** Gives a lease back, if `owner` still holds it or was the last to. */
  releaseLease(step: LeaseKey & { owner: string; now: number }): Promise<void>
}

export interface CircuitStore {
  findCircuit(step: { id: string; now: number }): Promise<Circuit | undefined>
  /**
   * Writes only when the stored generation is still `generation` (0: when there is none); the record then carries
   * `generation + 1`. The same write sent again counts once.
   */
  replaceCircuit(step: {
    record: Omit<Circuit, 'generation'>
    generation: number
    now: number
  }): Promise<'replaced' | 'stale'>
}

/** The tasks of one kind for one provider, each queue by itself: one that stands still holds up no other. */
export interface TaskQueue {
  kind: TaskKind
  provider: string
}

/** Work without a caller, of which each task is done by one process at a time. */
export interface TaskStore {
  /** Writes a task. Unless it `replaces`, one that is there already stays as it is: `exists`. */
  putTask(step: { record: Task; replaces: boolean; now: number }): Promise<'stored' | 'exists'>
  /**
   * Claims at most `limit` tasks that are due, longest due first: until `until` nobody else gets them, and then they
   * are due again. `owner` is random for each claim, and the operation id of it; tasks come back as written by it.
   */
  claimTasks(step: TaskQueue & { owner: string; limit: number; until: number; now: number }): Promise<Task[]>
  /**
   * Writes `next` over a task, or deletes it when there is none, unless somebody else has written since `writtenBy`.
   * Sent again, it is `replaced` again.
   */
  replaceTask(
    step: TaskQueue & { id: string; writtenBy: string; next: Task | undefined; now: number },
  ): Promise<'replaced' | 'stale'>
  /**
   * Tasks of one kind, for all providers, page by page as `listAllConnections` has them; of these, claimed ones too.
   */
  listTasks(step: {
    kind: TaskKind
    cursor: string | undefined
    limit: number
    now: number
  }): Promise<TaskPage>
}

export interface TaskPage {
  tasks: Task[]
  /** Where the next page begins; undefined after the last. Opaque, and of use in the same walk only. */
  cursor: string | undefined
}

export interface SigningKeyStore {
  /** Every key that has not retired, oldest first. */
  listSigningKeys(step: { now: number }): Promise<SigningKey[]>
  /**
   * Adds a key, unless `newestKid` is no longer the `kid` of the newest stored key (undefined: no key at all):
   * then another process was first and the caller lists again.
   */
  putSigningKey(step: {
    record: SigningKey
    newestKid: string | undefined
    now: number
  }): Promise<'stored' | 'stale'>
  /**
   * Sets when a key leaves the JWKS and counts as absent. An end that was set before can be brought forward, not put
   * off: `already` when the key ends by then anyway, `unknown` when there is no such key.
   */
  retireSigningKey(step: {
    kid: string
    retiresAt: number
    now: number
  }): Promise<'retired' | 'already' | 'unknown'>
  /**
   * Replaces the sealed part of a key and nothing else, unless it is no longer `expectedSealed`. Sent again, it is
   * `resealed` again; `stale` also when there is no such key.
   */
  resealSigningKey(step: {
    kid: string
    sealed: string
    expectedSealed: string
    now: number
  }): Promise<'resealed' | 'stale'>
}

/** What an id is of. */
export type SingleUseKind = 'connect-link' | 'jti' | 'request-state' | 'security-event'

export interface SingleUseStore {
  /** Marks an id as used until `expiresAt`. `used` when it was before, by another operation. */
  claimSingleUse(step: {
    kind: SingleUseKind
    idHash: string
    expiresAt: number
    operationId: string
    now: number
  }): Promise<'claimed' | 'used'>
  /** Whether an id is marked as used: for work that may be done again until it has succeeded once. Marks nothing. */
  isSingleUseClaimed(step: { kind: SingleUseKind; idHash: string; now: number }): Promise<boolean>
}

/** An event of a stream, sealed by whoever appended it. */
export interface StreamEvent {
  position: number
  sealed: string
}

/** MCP sessions: their ids say what they are, so that all there is to store is which have ended, and their streams. */
export interface SessionStore {
  /** Marks a session as ended, until its id would have ended anyway. */
  putEndedSession(step: { idHash: string; expiresAt: number; now: number }): Promise<void>
  isSessionEnded(step: { idHash: string; now: number }): Promise<boolean>
  /**
   * Keeps an event, and of its stream no more than the last `limit`. Whoever appends numbers the events, from 1 and
   * without a gap; what is kept at a position stays, whatever comes for it later.
   */
  appendEvent(step: {
    stream: string
    position: number
    sealed: string
    limit: number
    expiresAt: number
    now: number
  }): Promise<void>
  /** Events kept of a stream behind the position `after`, in order. */
  readEvents(step: { stream: string; after: number; now: number }): Promise<StreamEvent[]>
  /** Keeps that a session follows something; `full` when it follows `limit` others: nothing is stored. */
  putSubscription(step: {
    session: string
    idHash: string
    sealed: string
    limit: number
    expiresAt: number
    now: number
  }): Promise<'stored' | 'full'>
  deleteSubscription(step: { session: string; idHash: string; now: number }): Promise<void>
  /** What a session follows, each as it was sealed, in no particular order. */
  listSubscriptions(step: { session: string; now: number }): Promise<string[]>
}

/** Whoever follows what the processes on a store tell each other. */
export interface ChangeWatcher {
  /** Gets what any process announced, this one too; in a cluster of Redis not always in order. */
  onChange: (sealed: string) => void
  /** Something may have been missed: it is not told again. */
  onGap: () => void
}

/** News for all processes on a store. Nothing is kept for those who come later. */
export interface ChangeStore {
  /** Tells all processes that follow, at least once; the store sees nothing of what it says. */
  announceChange(step: { sealed: string; now: number }): Promise<void>
  /** Follows what is announced from now on: by any process on this store, within a second. */
  watchChanges(watcher: ChangeWatcher): () => void
}

/** Which task, of which caller: nobody finds it under another caller's name. */
export interface CallTaskKey {
  callerHash: string
  idHash: string
}

/**
 * Tasks of callers (MCP, `io.modelcontextprotocol/tasks`): calls that go on after they were answered. Not to be taken for
 * the work without a caller in {@link TaskStore}.
 */
export interface CallTaskStore {
  /** `full` when the caller has `limit` tasks that have not ended: nothing is stored, none is evicted. */
  putCallTask(step: {
    record: Omit<CallTask, 'generation'>
    limit: number
    now: number
  }): Promise<'stored' | 'full'>
  findCallTask(step: CallTaskKey & { now: number }): Promise<CallTask | undefined>
  /**
   * Writes only when the stored generation is still `generation`; the record then carries `generation + 1`. A task keeps
   * its end. Sent again, it is `replaced` again; `stale` also when there is no such task.
   */
  replaceCallTask(
    step: CallTaskKey & { sealed: string; generation: number; now: number },
  ): Promise<'replaced' | 'stale'>
}
