import { setImmediate } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import { StoreUnavailableError } from '../errors.ts'
import type { EventSink } from '../events.ts'
import { sha256 } from '../protocol/hash.ts'
import { accountList, connectionLists, tokenList } from './connection-lists.ts'
import {
  countFailedRedemption,
  countGrant,
  type GrantStep,
  grantEndsAt,
  redeemCode,
  revokeGrant,
  rotateRefreshToken,
} from './grant-steps.ts'
import { noEnd, type RecordKeeper, type RecordKind } from './record-keeper.ts'
import {
  type CallTask,
  type Connection,
  type Grant,
  recordSchemas,
  type SigningKey,
  type Task,
} from './records.ts'
import type {
  CallTaskKey,
  ClaimOutcome,
  ConnectionKey,
  LeaseKey,
  Revocation,
  Store,
  StoreStats,
  TaskQueue,
} from './store.ts'

/** How long the outcome of a step is kept for the same step sent again (R164), in seconds. */
const operationMemorySeconds = 120

/** How long a revocation stays on the feed when no access token makes it stay longer, in seconds. */
const feedMemorySeconds = 60

/** How long the generation of a deleted connection is kept: longer than any refresh is under way, in seconds. */
const connectionTombstoneSeconds = 3600

/** How long it is remembered that a lease was not released, in seconds. */
const abandonedLeaseSeconds = 600

/** How many records are read at once where all are. */
const walkPageSize = 500

const text = z.string().min(1)
const generationSchema = z.int().positive()
const singleUseSchema = z.strictObject({ operationId: text })
const streamEventSchema = z.strictObject({ position: z.int().positive(), sealed: text })
const accountLinkSchema = z.strictObject({
  userId: text,
  provider: text,
  account: text,
  expiresAt: z.int().nonnegative(),
})
type AccountLink = z.infer<typeof accountLinkSchema>
const outcomeSchema = z.union([text, z.strictObject({ outcome: text, replay: text.optional() })])

/** Options every embedded store has. */
export interface EmbeddedStoreOptions {
  /** Whose records these are (`OAUTH_SANDBOX`). Default `default`. */
  tenant?: string
  /** Hears of records that could not be read (R172). Default: nobody. */
  onEvent?: EventSink
}

/**
 * The protocol steps of the port, written once for every adapter that lives in this process. A step reads and writes
 * without `await` in between, so that it is atomic as soon as the keeper keeps other processes out.
 */
export function createEmbeddedStore(
  keeper: RecordKeeper,
  { tenant = 'default', onEvent }: EmbeddedStoreOptions,
): Store {
  let isOpen = true

  // Async, so that what a keeper throws is a rejection.
  const write = async <T>(step: (revocations: Revocation[]) => T): Promise<T> => {
    assertOpen(isOpen)
    const revocations: Revocation[] = []
    const result = keeper.write(() => step(revocations))
    keeper.revocations.announce(revocations)
    return result
  }
  const read = async <T>(step: () => T): Promise<T> => {
    assertOpen(isOpen)
    return keeper.read(step)
  }

  /** R172: what does not fit its schema is foreign or corrupt: absent, and somebody is told. */
  const parse = <T>(kind: RecordKind, schema: z.ZodType<T>, value: string | undefined): T | undefined => {
    if (value === undefined) return undefined
    const parsed = schema.safeParse(parseJson(value))
    if (parsed.success) return parsed.data
    onEvent?.({ type: 'record_unreadable', kind })
    return undefined
  }
  const find = <T>(kind: RecordKind, schema: z.ZodType<T>, id: string, now: number): T | undefined =>
    parse(kind, schema, keeper.find(kind, id, now))
  const list = <T>(
    kind: RecordKind,
    schema: z.ZodType<T>,
    by: { userId: string } | { clientId: string } | undefined,
    now: number,
  ): T[] => keeper.list(kind, by, now).flatMap(value => parse(kind, schema, value) ?? [])

  const findCallTask = (key: CallTaskKey, now: number) =>
    find('call_task', recordSchemas.callTask, callTaskId(key), now)
  const putCallTask = (record: CallTask, now: number) => {
    const { callerHash, expiresAt } = record
    const clientId = sha256(callerHash)
    keeper.put('call_task', callTaskId(record), { value: JSON.stringify(record), expiresAt, clientId }, now)
  }

  const rememberOutcome = (operation: string, outcome: unknown, now: number) =>
    keeper.put(
      'operation',
      operation,
      { value: JSON.stringify(outcome), expiresAt: now + operationMemorySeconds },
      now,
    )

  const findGrant = (id: string, now: number) => find('grant', recordSchemas.grant, id, now)
  const putGrant = (grant: Grant, now: number) =>
    keeper.put(
      'grant',
      grant.id,
      {
        value: JSON.stringify(grant),
        expiresAt: grantEndsAt(grant),
        userId: grant.userId,
        clientId: grant.clientId,
      },
      now,
    )

  const putRevocation = ({ id, accessEndsAt }: Grant, now: number): Revocation => {
    const revocation = { grantId: id, accessEndsAt }
    const expiresAt = Math.max(accessEndsAt, now + feedMemorySeconds)
    keeper.put('revocation', id, { value: JSON.stringify(revocation), expiresAt }, now)
    return revocation
  }

  /** One step of a token family, once per operation id. */
  const stepGrant = <Step extends { id: string; operationId: string; now: number }, Outcome>(
    name: string,
    step: Step,
    rule: (grant: Grant, step: Step) => GrantStep<Outcome>,
    unknown: Outcome,
  ): Promise<Outcome> =>
    write(revocations => {
      const { id, now } = step
      const operation = operationKey(name, step)
      const earlier = find('operation', outcomeSchema, operation, now)
      if (earlier !== undefined) return earlier as Outcome
      const before = findGrant(id, now)
      if (!before) return unknown
      const { grant, outcome } = rule(before, step)
      const hasChanged = grant !== before
      // Any other outcome stays what it is when the step comes again.
      if (hasChanged || isGrace(outcome)) rememberOutcome(operation, outcome, now)
      if (hasChanged) putGrant(grant, now)
      if (grant.revokedAt !== before.revokedAt) revocations.push(putRevocation(grant, now))
      return outcome
    })

  const findConnection = (key: ConnectionKey, now: number) =>
    find('connection', recordSchemas.connection, connectionId(key), now)
  const putConnection = (record: Connection, before: Connection | undefined, now: number) => {
    keeper.put(
      'connection',
      connectionId(record),
      { value: JSON.stringify(record), expiresAt: record.expiresAt, userId: record.userId },
      now,
    )
    const { userId, provider, account, expiresAt } = record
    const lists = connectionLists(record)
    unlink(before, now, lists)
    for (const list of lists) {
      const others = linksTo(list, now).filter(link => !isSameKey(link, record))
      putLinks(list, [...others, { userId, provider, account, expiresAt }], now)
    }
  }

  /** What a list of connections names, without those whose end has passed. */
  const linksTo = (list: string, now: number): AccountLink[] =>
    (find('account', z.array(accountLinkSchema), list, now) ?? []).filter(({ expiresAt }) => expiresAt > now)
  const putLinks = (list: string, links: AccountLink[], now: number) => {
    if (links.length === 0) return keeper.delete('account', list)
    const expiresAt = Math.max(...links.map(link => link.expiresAt))
    keeper.put('account', list, { value: JSON.stringify(links), expiresAt }, now)
  }
  const unlink = (connection: Connection | undefined, now: number, but: readonly string[] = []) => {
    if (!connection) return
    for (const list of connectionLists(connection)) {
      if (but.includes(list)) continue
      const others = linksTo(list, now).filter(link => !isSameKey(link, connection))
      putLinks(list, others, now)
    }
  }
  const findLinked = (list: string, now: number): Connection[] =>
    linksTo(list, now)
      .flatMap(link => findConnection(link, now) ?? [])
      .filter(connection => connectionLists(connection).includes(list))

  const findTask = (key: TaskQueue & { id: string }, now: number) =>
    find('task', recordSchemas.task, taskId(key), now)
  const putTask = (record: Task, now: number) => {
    const { userId, dueAt, expiresAt } = record
    const value = JSON.stringify(record)
    keeper.put('task', taskId(record), { value, expiresAt, userId, queue: queueName(record), dueAt }, now)
  }

  const listSigningKeys = (now: number): SigningKey[] =>
    list('signing_key', recordSchemas.signingKey, undefined, now)
  const findSigningKey = (kid: string, now: number) => find('signing_key', recordSchemas.signingKey, kid, now)
  const putSigningKey = (record: SigningKey, now: number) => {
    const expiresAt = record.retiresAt === 0 ? noEnd : record.retiresAt
    keeper.put('signing_key', record.kid, { value: JSON.stringify(record), expiresAt }, now)
  }

  /** Every record of a kind, in steps short enough for requests to get in between. */
  const walk = async <T>(kind: RecordKind, schema: z.ZodType<T>, now: number, visit: (record: T) => void) => {
    for (let position = 0; ; await setImmediate()) {
      const page = await read(() => keeper.listPage(kind, undefined, { position, limit: walkPageSize }, now))
      for (const value of page.values) {
        const record = parse(kind, schema, value)
        if (record) visit(record)
      }
      if (page.values.length < walkPageSize) return
      position = page.position
    }
  }

  return {
    tenant,
    check: () => read(() => keeper.check()),
    cleanupExpired: ({ now }) => write(() => keeper.deleteExpired(now)),
    async stats({ now }) {
      const stats: StoreStats = {
        grants: 0,
        grantsWithAccess: 0,
        connections: { active: 0, dead: 0 },
        pendingAuthorizations: await read(() => keeper.count('pending_authorization', now)),
        signingKeys: await read(() => keeper.count('signing_key', now)),
      }
      await walk('grant', recordSchemas.grant, now, grant => countGrant(stats, grant, now))
      await walk('connection', recordSchemas.connection, now, ({ state }) => void stats.connections[state]++)
      return stats
    },
    async close() {
      if (!isOpen) return
      isOpen = false
      keeper.close()
    },

    findOrPutUser: ({ identityHash, userId, expiresAt, now }) =>
      write(() => {
        const known = find('user', text, identityHash, now) ?? userId
        keeper.put('user', identityHash, { value: JSON.stringify(known), expiresAt }, now)
        return known
      }),

    findUser: ({ identityHash, now }) => read(() => find('user', text, identityHash, now)),

    putDisabledUser: ({ userId, expiresAt, now }) =>
      write(() => keeper.put('disabled_user', userId, { value: 'true', expiresAt }, now)),
    deleteDisabledUser: ({ userId }) => write(() => keeper.delete('disabled_user', userId)),
    isUserDisabled: ({ userId, now }) => read(() => keeper.find('disabled_user', userId, now) !== undefined),

    putClientTombstone: ({ clientIdHash, expiresAt, now }) =>
      write(() => keeper.put('client_tombstone', clientIdHash, { value: 'true', expiresAt }, now)),
    isClientDeleted: ({ clientIdHash, now }) =>
      read(() => keeper.find('client_tombstone', clientIdHash, now) !== undefined),

    putPendingAuthorization: ({ record, limit, now }) =>
      write(() => {
        const kind = 'pending_authorization'
        // The same record sent again neither counts twice nor takes back a step.
        if (find(kind, recordSchemas.pendingAuthorization, record.id, now)) return 'stored'
        if (keeper.count(kind, now) >= limit) return 'full'
        keeper.put(kind, record.id, { value: JSON.stringify(record), expiresAt: record.expiresAt }, now)
        return 'stored'
      }),
    findPendingAuthorization: ({ id, now }) =>
      read(() => find('pending_authorization', recordSchemas.pendingAuthorization, id, now)),
    stepPendingAuthorization: step =>
      write(() => {
        const { id, fromStep, next, now } = step
        const kind = 'pending_authorization'
        const operation = operationKey('stepPendingAuthorization', step)
        if (keeper.find('operation', operation, now) !== undefined) return 'taken'
        const record = find(kind, recordSchemas.pendingAuthorization, id, now)
        if (!record) return 'unknown'
        if (record.step !== fromStep) return 'stale'
        rememberOutcome(operation, 'taken', now)
        if (!next) keeper.delete(kind, id)
        else keeper.put(kind, id, { value: JSON.stringify(next), expiresAt: next.expiresAt }, now)
        return 'taken'
      }),

    putGrant: ({ record, now }) =>
      write(() => {
        // Sent again after the code was redeemed, it must not make the code new.
        if (!findGrant(record.id, now)) putGrant(record, now)
      }),
    findGrant: ({ id, now }) => read(() => findGrant(id, now)),
    listGrants: ({ now, ...by }) =>
      read(() =>
        list('grant', recordSchemas.grant, by, now)
          .filter(grant => grant.revokedAt === undefined)
          .reverse()
          .sort((a, b) => b.createdAt - a.createdAt),
      ),
    redeemCode: step => stepGrant('redeemCode', step, redeemCode, 'unknown'),
    async countFailedRedemption(step) {
      await stepGrant('countFailedRedemption', step, countFailedRedemption, 'ignored')
    },
    rotateRefreshToken: step =>
      stepGrant('rotateRefreshToken', step, rotateRefreshToken, { outcome: 'unknown' }),
    revokeGrant: step => stepGrant('revokeGrant', step, revokeGrant, 'unknown'),
    revokeGrants: ({ of, cursor, limit, ...step }) =>
      write(revocations => {
        const by = of === 'tenant' ? undefined : of
        const { now } = step
        const { values, position } = keeper.listPage(
          'grant',
          by,
          { position: Number(cursor ?? 0), limit },
          now,
        )
        for (const value of values) {
          const before = parse('grant', recordSchemas.grant, value)
          if (!before || before.revokedAt !== undefined) continue
          const { grant } = revokeGrant(before, { ...step, id: before.id })
          putGrant(grant, now)
          revocations.push(putRevocation(grant, now))
        }
        return {
          revoked: revocations.map(({ grantId }) => grantId),
          cursor: values.length < limit ? undefined : `${position}`,
        }
      }),
    listRevocations: ({ now }) =>
      read(() =>
        list('revocation', recordSchemas.revocation, undefined, now).filter(
          ({ accessEndsAt }) => accessEndsAt > now,
        ),
      ),
    watchRevocations(watcher) {
      assertOpen(isOpen)
      return keeper.revocations.watch(watcher)
    },

    findConnection: ({ now, ...key }) => read(() => findConnection(key, now)),
    listConnections: ({ userId, now }) =>
      read(() => list('connection', recordSchemas.connection, { userId }, now)),
    findConnectionsByAccount: ({ accountHash, now }) => read(() => findLinked(accountList(accountHash), now)),
    findConnectionsByToken: ({ tokenHash, now }) => read(() => findLinked(tokenList(tokenHash), now)),
    putConnection: ({ record, now }) =>
      write(() => {
        const before = findConnection(record, now)
        if (before && isSameWrite(before, record)) return before.generation
        // A generation is never used twice: a refresh that began before the user disconnected and connected again
        // must find its generation gone (R180).
        const last =
          before?.generation ?? find('connection_tombstone', generationSchema, connectionId(record), now) ?? 0
        putConnection({ ...record, generation: last + 1 }, before, now)
        return last + 1
      }),
    replaceConnection: ({ record, generation, now }) =>
      write(() => {
        const before = findConnection(record, now)
        if (!before) return 'stale'
        if (before.generation === generation) {
          putConnection({ ...record, generation: generation + 1 }, before, now)
          return 'replaced'
        }
        return before.generation === generation + 1 && isSameWrite(before, record) ? 'replaced' : 'stale'
      }),
    deleteConnection: ({ now, ...key }) =>
      write(() => {
        const before = findConnection(key, now)
        if (!before) return
        const expiresAt = now + connectionTombstoneSeconds
        keeper.put(
          'connection_tombstone',
          connectionId(key),
          { value: `${before.generation}`, expiresAt },
          now,
        )
        keeper.delete('connection', connectionId(key))
        unlink(before, now)
      }),
    listAllConnections: ({ cursor, limit, now }) =>
      read(() => {
        const { values, position } = keeper.listPage(
          'connection',
          undefined,
          { position: Number(cursor ?? 0), limit },
          now,
        )
        return {
          connections: values.flatMap(value => parse('connection', recordSchemas.connection, value) ?? []),
          cursor: values.length < limit ? undefined : `${position}`,
        }
      }),

    async claimLease({ owner, endsAt, takesOver, now, ...key }) {
      const claim = (): ClaimOutcome | undefined => {
        const before = find('lease', recordSchemas.lease, leaseId(key), now)
        if (before?.owner === owner) return { outcome: 'claimed', isTakenOver: before.isTakenOver }
        if (before && before.endsAt > now) return { outcome: 'held', endsAt: before.endsAt }
        return before && !takesOver ? { outcome: 'abandoned' } : undefined
      }
      // Who waits for a lease asks often, and must not keep the others from writing.
      const refused = await read(claim)
      if (refused) return refused
      return write(() => {
        const known = claim()
        if (known) return known
        const isTakenOver = keeper.find('lease', leaseId(key), now) !== undefined
        const value = JSON.stringify({ owner, endsAt, isTakenOver })
        keeper.put('lease', leaseId(key), { value, expiresAt: endsAt + abandonedLeaseSeconds }, now)
        return { outcome: 'claimed', isTakenOver }
      })
    },
    releaseLease: ({ owner, now, ...key }) =>
      write(() => {
        const before = find('lease', recordSchemas.lease, leaseId(key), now)
        if (before?.owner === owner) keeper.delete('lease', leaseId(key))
      }),

    findCircuit: ({ id, now }) => read(() => find('circuit', recordSchemas.circuit, id, now)),
    replaceCircuit: ({ record, generation, now }) =>
      write(() => {
        const before = find('circuit', recordSchemas.circuit, record.id, now)
        if ((before?.generation ?? 0) !== generation) {
          return before?.generation === generation + 1 && isSameWrite(before, record) ? 'replaced' : 'stale'
        }
        const value = JSON.stringify({ ...record, generation: generation + 1 })
        keeper.put('circuit', record.id, { value, expiresAt: record.expiresAt }, now)
        return 'replaced'
      }),

    putTask: ({ record, replaces, now }) =>
      write(() => {
        const before = findTask(record, now)
        if (before?.writtenBy === record.writtenBy) return 'stored'
        if (before && !replaces) return 'exists'
        putTask(record, now)
        return 'stored'
      }),
    async claimTasks({ owner, limit, until, now, ...queue }) {
      const listDue = (from: number, to: number, limit: number) =>
        keeper
          .listDue('task', queueName(queue), { from, to, limit }, now)
          .flatMap(value => parse('task', recordSchemas.task, value) ?? [])
      const step = (): Task[] | undefined => {
        const own = listDue(until, until, Number.MAX_SAFE_INTEGER).filter(
          ({ writtenBy }) => writtenBy === owner,
        )
        if (own.length > 0) return own
        return listDue(0, now, 1).length === 0 ? [] : undefined
      }
      // Every process asks again and again, mostly for nothing, and must not keep the others from writing.
      const known = await read(step)
      if (known) return known
      return write(() => {
        const known = step()
        if (known) return known
        const claimed = listDue(0, now, limit).map(task => ({ ...task, writtenBy: owner, dueAt: until }))
        for (const task of claimed) putTask(task, now)
        return claimed
      })
    },
    replaceTask: ({ writtenBy, next, now, ...key }) =>
      write(() => {
        const before = findTask(key, now)
        if (before?.writtenBy === next?.writtenBy) return 'replaced'
        if (before?.writtenBy !== writtenBy) return before || next ? 'stale' : 'replaced'
        if (next) putTask(next, now)
        else keeper.delete('task', taskId(key))
        return 'replaced'
      }),
    listTasks: ({ kind, cursor, limit, now }) =>
      read(() => {
        const page = { position: Number(cursor ?? 0), limit }
        const { values, position } = keeper.listPage('task', undefined, page, now)
        const tasks = values.flatMap(value => parse('task', recordSchemas.task, value) ?? [])
        return {
          tasks: tasks.filter(task => task.kind === kind),
          cursor: values.length < limit ? undefined : `${position}`,
        }
      }),

    listSigningKeys: ({ now }) => read(() => listSigningKeys(now)),
    putSigningKey: ({ record, newestKid, now }) =>
      write(() => {
        const newest = listSigningKeys(now).at(-1)?.kid
        if (newest === record.kid) return 'stored'
        if (newest !== newestKid) return 'stale'
        putSigningKey(record, now)
        return 'stored'
      }),
    retireSigningKey: ({ kid, retiresAt, now }) =>
      write(() => {
        const record = findSigningKey(kid, now)
        if (!record) return 'unknown'
        if (record.retiresAt !== 0 && record.retiresAt <= retiresAt) return 'already'
        putSigningKey({ ...record, retiresAt }, now)
        return 'retired'
      }),
    resealSigningKey: ({ kid, sealed, expectedSealed, now }) =>
      write(() => {
        const record = findSigningKey(kid, now)
        if (record?.sealed === sealed) return 'resealed'
        if (record?.sealed !== expectedSealed) return 'stale'
        putSigningKey({ ...record, sealed }, now)
        return 'resealed'
      }),

    claimSingleUse: ({ kind, idHash, expiresAt, operationId, now }) =>
      write(() => {
        const id = JSON.stringify([kind, idHash])
        const before = keeper.find('single_use', id, now)
        // An unreadable mark is still a mark: whoever can spoil it must not get a second use out of it.
        if (before !== undefined) {
          return parse('single_use', singleUseSchema, before)?.operationId === operationId
            ? 'claimed'
            : 'used'
        }
        keeper.put('single_use', id, { value: JSON.stringify({ operationId }), expiresAt }, now)
        return 'claimed'
      }),
    isSingleUseClaimed: ({ kind, idHash, now }) =>
      read(() => keeper.find('single_use', JSON.stringify([kind, idHash]), now) !== undefined),

    putEndedSession: ({ idHash, expiresAt, now }) =>
      write(() => keeper.put('ended_session', idHash, { value: 'true', expiresAt }, now)),
    isSessionEnded: ({ idHash, now }) => read(() => keeper.find('ended_session', idHash, now) !== undefined),
    appendEvent: ({ stream, position, sealed, limit, expiresAt, now }) =>
      write(() => {
        const idAt = (at: number) => JSON.stringify([stream, at])
        if (keeper.find('session_event', idAt(position), now) !== undefined) return
        // What a record is listed by is its client; events are listed by their stream.
        const clientId = sha256(stream)
        const value = JSON.stringify({ position, sealed })
        keeper.put('session_event', idAt(position), { value, expiresAt, clientId }, now)
        if (position > limit) keeper.delete('session_event', idAt(position - limit))
      }),
    readEvents: ({ stream, after, now }) =>
      read(() =>
        list('session_event', streamEventSchema, { clientId: sha256(stream) }, now)
          .filter(({ position }) => position > after)
          .sort((a, b) => a.position - b.position),
      ),
    putSubscription: ({ session, idHash, sealed, limit, expiresAt, now }) =>
      write(() => {
        // As with events: they are listed by their session.
        const clientId = sha256(session)
        const id = JSON.stringify([session, idHash])
        const isKnown = keeper.find('subscription', id, now) !== undefined
        if (!isKnown && keeper.list('subscription', { clientId }, now).length >= limit) return 'full'
        keeper.put('subscription', id, { value: sealed, expiresAt, clientId }, now)
        return 'stored'
      }),
    deleteSubscription: ({ session, idHash }) =>
      write(() => keeper.delete('subscription', JSON.stringify([session, idHash]))),
    listSubscriptions: ({ session, now }) =>
      read(() => keeper.list('subscription', { clientId: sha256(session) }, now)),

    // No step: nothing depends on it, and there is no record to find.
    announceChange: async ({ sealed, now }) => {
      assertOpen(isOpen)
      keeper.changes.announce(sealed, now)
    },
    watchChanges(watcher) {
      assertOpen(isOpen)
      return keeper.changes.watch(watcher)
    },

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

function assertOpen(isOpen: boolean): void {
  if (!isOpen) throw new StoreUnavailableError('the store is closed')
}

/** Names an operation by what it does to what, so that an id used for two steps does not join them. */
function operationKey(name: string, { id, operationId }: { id: string; operationId: string }): string {
  return sha256(JSON.stringify([name, id, operationId]))
}

function connectionId({ userId, provider, account }: ConnectionKey): string {
  return JSON.stringify([userId, provider, account])
}

function isSameKey(a: ConnectionKey, b: ConnectionKey): boolean {
  return connectionId(a) === connectionId(b)
}

function leaseId({ kind, id }: LeaseKey): string {
  return JSON.stringify([kind, id])
}

function callTaskId({ callerHash, idHash }: CallTaskKey): string {
  return JSON.stringify([callerHash, idHash])
}

function queueName({ kind, provider }: TaskQueue): string {
  return JSON.stringify([kind, provider])
}

function taskId({ kind, provider, id }: TaskQueue & { id: string }): string {
  return JSON.stringify([kind, provider, id])
}

function isSameWrite<T extends { generation: number }>(
  { generation: _, ...before }: T,
  record: Omit<T, 'generation'>,
): boolean {
  return isDeepStrictEqual(before, record)
}

function isGrace(outcome: unknown): boolean {
  return typeof outcome === 'object' && outcome !== null && 'replay' in outcome
}

function parseJson(value: string): unknown {
  try {
    return JSON.parse(value)
  } catch {
    return undefined
  }
}
