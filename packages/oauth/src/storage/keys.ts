import { sha256 } from '../protocol/hash.ts'
import type { CallTaskKey, TaskQueue } from './store.ts'

/**
 * Every key of Redis, in one function each. What stands in braces decides the hash slot of a cluster: it is chosen
 * here, and all keys of one script share it. What comes from outside is hashed, so that it cannot break out of its
 * place (R169).
 */
export interface Keys {
  /** A token family. */
  grant(id: string): string
  /** Matches `grant` of all families, for SCAN. */
  grantsPattern(): string
  /** Outcome of one step of a token family. */
  grantOperation(id: string, operation: string): string
  /** Revocations, in the slot of the family: both are written in one step. */
  revocations(id: string): string
  /** Where `revocations` of all families lie. */
  allRevocations(): readonly string[]
  /** Token families of a user or a client. */
  grantsOf(by: { userId: string } | { clientId: string }): string
  /** All connections of a user. */
  connections(userId: string): string
  /** Matches `connections` of all users, for SCAN. */
  connectionsPattern(): string
  /** Connections on a list (`connection-lists.ts`), whoever made them. */
  connectionsOf(list: string): string
  lease(kind: string, id: string): string
  /** Circuit breaker of a provider client. */
  circuit(id: string): string
  /** Tasks of one queue, and the same by when they are due: one slot. */
  tasks(queue: TaskQueue): string
  dueTasks(queue: TaskQueue): string
  /** Matches `tasks` of one kind, for SCAN. */
  tasksPattern(kind: string): string
  user(identityHash: string): string
  /** Mark of a disabled user. */
  disabledUser(userId: string): string
  /** Mark of a sign-out, of one user or of all. */
  signOut(userId: string | undefined): string
  clientTombstone(clientIdHash: string): string
  pendingAuthorization(id: string): string
  /** Open pending authorizations: they share one slot, because they are counted. */
  openAuthorizations(): string
  pendingOperation(operation: string): string
  signingKeys(): string
  singleUse(kind: string, idHash: string): string
  endedSession(idHash: string): string
  /** Events of one stream of a session. */
  streamEvents(stream: string): string
  /** What one session follows. */
  subscriptions(session: string): string
  /** A task of a caller, and all of the caller's by their end: one slot. */
  callTask(key: CallTaskKey): string
  callTasksOf(callerHash: string): string
  /** One window of a rate limit. */
  counter(limit: string, id: string): string
  /** In the slot of another key: written to have what came before it confirmed. */
  confirmation(key: string): string
  /** Written to see whether Redis can be written. */
  check(): string
  /** Channel on which revocations are announced; no key. */
  revocationChannel(): string
  /** Channel on which changes are announced; no key. */
  changeChannel(): string
}

/** First characters of a SHA-256 in base64url: token families are spread over 64 hash slots by them. */
const shards = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_']

/** The keys of one tenant. */
export function createKeys(tenant: string): Keys {
  // A colon or a brace in the name must not make it another tenant's.
  const name = /^[\w-]{1,64}$/.test(tenant) ? tenant : `~${sha256(tenant)}`
  const inSlot = (slot: string, ...rest: string[]) => [`sallyport:{${name}:${slot}}`, ...rest].join(':')
  const family = (id: string) => `grants:${sha256(id)[0]}`
  return {
    grant: id => inSlot(family(id), 'grant', sha256(id)),
    grantsPattern: () => inSlot('grants:*', 'grant', '*'),
    grantOperation: (id, operation) => inSlot(family(id), 'operation', operation),
    revocations: id => inSlot(family(id), 'revocations'),
    allRevocations: () => shards.map(shard => inSlot(`grants:${shard}`, 'revocations')),
    grantsOf: by =>
      'userId' in by
        ? inSlot(`user:${sha256(by.userId)}`, 'grants')
        : inSlot(`client:${sha256(by.clientId)}`, 'grants'),
    connections: userId => inSlot(`user:${sha256(userId)}`, 'connections'),
    connectionsPattern: () => inSlot('user:*', 'connections'),
    connectionsOf: list => inSlot(`account:${sha256(list)}`, 'links'),
    lease: (kind, id) => inSlot(`lease:${sha256(JSON.stringify([kind, id]))}`),
    circuit: id => inSlot(`circuit:${sha256(id)}`),
    tasks: ({ kind, provider }) => inSlot(`tasks:${kind}:${sha256(provider)}`, 'records'),
    dueTasks: ({ kind, provider }) => inSlot(`tasks:${kind}:${sha256(provider)}`, 'due'),
    tasksPattern: kind => inSlot(`tasks:${kind}:*`, 'records'),
    user: identityHash => inSlot(`identity:${sha256(identityHash)}`),
    disabledUser: userId => inSlot(`disabled-user:${sha256(userId)}`),
    signOut: userId => inSlot(userId === undefined ? 'sign-out' : `sign-out:${sha256(userId)}`),
    clientTombstone: clientIdHash => inSlot(`deleted-client:${sha256(clientIdHash)}`),
    pendingAuthorization: id => inSlot('pending', 'record', sha256(id)),
    openAuthorizations: () => inSlot('pending', 'open'),
    pendingOperation: operation => inSlot('pending', 'operation', operation),
    signingKeys: () => inSlot('signing-keys'),
    singleUse: (kind, idHash) => inSlot(`used:${sha256(JSON.stringify([kind, idHash]))}`),
    endedSession: idHash => inSlot(`ended-session:${sha256(idHash)}`),
    streamEvents: stream => inSlot(`stream:${sha256(stream)}`),
    subscriptions: session => inSlot(`subscriptions:${sha256(session)}`),
    callTask: ({ callerHash, idHash }) =>
      inSlot(`call-tasks:${sha256(callerHash)}`, 'record', sha256(idHash)),
    callTasksOf: callerHash => inSlot(`call-tasks:${sha256(callerHash)}`, 'all'),
    counter: (limit, id) => inSlot(`limit:${sha256(JSON.stringify([limit, id]))}`),
    confirmation: key => `${key.slice(0, key.indexOf('}') + 1)}:confirmation`,
    check: () => inSlot('check'),
    revocationChannel: () => `sallyport:${name}:revocations`,
    changeChannel: () => `sallyport:${name}:changes`,
  }
}
