import { z } from 'zod'
import { StoreUnavailableError } from '../errors.ts'
import type { EventSink } from '../events.ts'
import { sha256 } from '../protocol/hash.ts'
import { systemRandom } from '../runtime.ts'
import { accountList, connectionLists, tokenList } from './connections/connection-lists.ts'
import { connectionTombstoneSeconds } from './connections/connection-store.ts'
import { grantEndsAt } from './grants/grant-steps.ts'
import { createKeys } from './keys.ts'
import { abandonedLeaseSeconds } from './leases/lease-store.ts'
import { type Script, scripts } from './lua.generated.ts'
import { operationId, operationKey } from './operation-id.ts'
import type { RecordKind } from './record-keeper.ts'
import {
  type Connection,
  type Grant,
  type PendingAuthorization,
  type Revocation,
  recordSchemas,
  type SigningKey,
  type Task,
} from './records.ts'
import type { RedisWaitFor } from './redis-barrier.ts'
import { createRedisCommands, type RedisReply } from './redis-commands.ts'
import { createConfirmation } from './redis-confirmation.ts'
import { connectRedis } from './redis-connection.ts'
import { createRedisCounter } from './redis-counter.ts'
import { createRedisFeed } from './redis-feed.ts'
import {
  grantFromFields,
  grantToFields,
  parseNumbered,
  parseTask,
  recordToText,
  taskToText,
} from './redis-records.ts'
import { scanKeys } from './redis-scan.ts'
import { checkRedis, checkWait, startupError } from './redis-startup.ts'
import { parseRedisUrl } from './redis-url.ts'
import { countGrant, walkPageSize } from './statistics/statistics-store.ts'
import type {
  ClaimOutcome,
  ConnectionKey,
  RedeemOutcome,
  RotateOutcome,
  Store,
  StoreStats,
  TaskQueue,
} from './store.ts'

/** Signing keys that nobody has read for so long are nobody's, in seconds: 400 days. */
const signingKeysIdleSeconds = 34_560_000

/** How many families are read at once for a list. */
const listBatchSize = 200

/** How a list names a connection. */
const connectionNameSchema = z.tuple([z.string(), z.string(), z.string()])

/** Options of a store in Redis. */
export interface RedisStoreOptions {
  /** `SESSION_REDIS_URL`: `redis://`, `rediss://`, `redis+sentinel://h1,h2/name/db`; a comma list is a cluster. */
  url: string
  /** Whose records these are (`OAUTH_SANDBOX`). Default `default`. */
  tenant?: string
  /** Hears at start, in one sentence each, what about this Redis puts records at risk. Default: nobody. */
  onWarning?: (sentence: string) => void
  /** Hears of records that could not be read (R172). Default: nobody. */
  onEvent?: EventSink
  /** How long one command may take, in milliseconds. Default 1000. */
  commandTimeoutMs?: number
  /**
   * How long a step may take, all its attempts together, in milliseconds; the steps of one OAuth request share it.
   * Default 2500.
   */
  stepTimeoutMs?: number
  /**
   * What a step waits for whose loss a user would notice: `replica`, until one has received it; `disk`, until it is in
   * the append-only file; `replica-disk`, both of them on their disks. When that takes longer than half of
   * `stepTimeoutMs` the step counts, and the event `store_write_unconfirmed` says so. Default `none`.
   */
  waitFor?: 'none' | RedisWaitFor
  /** How often the revocation feed shows that it is complete, in milliseconds. Default 5000. */
  heartbeatMs?: number
  /** User and password of the sentinels, where they have their own. */
  sentinelUsername?: string
  sentinelPassword?: string
  /** Further options of `node:tls` for `rediss://`, such as `ca`. */
  tls?: object
}

/**
 * Opens the store in a Redis or Valkey that many machines share: one script per step, each in one hash slot, sent
 * again with its operation id when its reply was lost, and refused by Redis once its caller has given up. STORAGE.md
 * says what lies where, and what survives which failure.
 *
 * @throws {ConfigurationError} when the URL cannot be read, or that Redis cannot be used
 * @throws {StoreUnavailableError} when Redis does not answer
 */
export async function createRedisStore({
  url,
  tenant = 'default',
  onWarning = () => {},
  onEvent,
  commandTimeoutMs = 1_000,
  stepTimeoutMs = 2_500,
  waitFor = 'none',
  heartbeatMs = 5_000,
  ...connectionOptions
}: RedisStoreOptions): Promise<Store> {
  const target = parseRedisUrl(url)
  const connection = connectRedis(target, { commandTimeoutMs, ...connectionOptions })
  const keys = createKeys(tenant)
  const confirmation =
    waitFor === 'none'
      ? undefined
      : createConfirmation(target, waitFor, {
          ...connectionOptions,
          commandTimeoutMs,
          stepTimeoutMs,
          keyFor: keys.confirmation,
          onEvent,
        })
  const commands = createRedisCommands(connection, stepTimeoutMs, confirmation)
  const channel = keys.revocationChannel()
  const channels = { revocations: channel, changes: keys.changeChannel() }
  const feed = createRedisFeed(connection, {
    channels,
    listRevocations: () => listRevocations('-inf'),
    heartbeatMs,
  })
  let isOpen = true

  const unreadable = (kind: RecordKind): undefined => {
    onEvent?.({ type: 'record_unreadable', kind })
    return undefined
  }

  /** A step whose record is not there when what lies there is not ours (R172). */
  const run = async (
    kind: RecordKind,
    script: Script,
    keyNames: readonly string[],
    args: readonly (string | number)[],
    until = commands.stepEndsAt(),
  ): Promise<RedisReply | undefined> =>
    (await commands.run(script, keyNames, args, until)) ?? unreadable(kind)
  /** The same for a step whose loss a user would notice. */
  const runConfirmed: typeof run = async (kind, ...step) =>
    (await commands.runConfirmed(...step)) ?? unreadable(kind)
  /** A step that cannot do without its key. */
  const put = async (...step: Parameters<typeof run>): Promise<RedisReply> => {
    return present(await run(...step))
  }
  const putConfirmed: typeof put = async (...step) => present(await runConfirmed(...step))

  /** R172: what does not fit its schema is foreign or corrupt: absent, and somebody is told. */
  const parse = <T>(
    kind: RecordKind,
    schema: { safeParse(value: unknown): { success: true; data: T } | { success: false } },
    read: () => unknown,
  ): T | undefined => {
    try {
      const parsed = schema.safeParse(read())
      if (parsed.success) return parsed.data
    } catch {
      // Not even JSON.
    }
    return unreadable(kind)
  }

  const readGrant = async (key: string, now: number, until: number): Promise<Grant | undefined> => {
    const fields = (await commands.read(client => client.hgetall(key), until)) ?? unreadable('grant')
    if (!fields || Object.keys(fields).length === 0) return undefined
    const grant = parse('grant', recordSchemas.grant, () => grantFromFields(fields))
    return grant && grantEndsAt(grant) > now ? grant : undefined
  }

  const findGrant = (id: string, now: number, until = commands.stepEndsAt()) =>
    readGrant(keys.grant(id), now, until)

  /** Both lists a family is found on. They lie in other slots, and are written before the family itself. */
  const indexGrant = (
    grant: { id: string; userId: string; clientId: string },
    endsAt: number,
    now: number,
    until: number,
  ) =>
    Promise.all(
      [{ userId: grant.userId }, { clientId: grant.clientId }].map(by =>
        put('grant', scripts.indexRecord, [keys.grantsOf(by)], [now, grant.id, endsAt], until),
      ),
    )

  /** One step of a token family, once per operation id; `revoking` are the outcomes by which it ends the family. */
  const stepGrant = async (
    name: string,
    script: Script,
    step: { id: string; operationId: string; now: number },
    revoking: readonly string[],
    args: (indexedUntil: number) => readonly (string | number)[],
  ): Promise<{ outcome: string; replay: string }> => {
    const { id, now } = step
    const until = commands.stepEndsAt()
    const keyNames = [
      keys.grant(id),
      keys.grantOperation(id, operationKey(name, step)),
      keys.revocations(id),
    ].slice(0, script.keys)
    let indexedUntil = 0
    for (;;) {
      const reply = await runConfirmed('grant', script, keyNames, [now, ...args(indexedUntil)], until)
      const [outcome, ...rest] = reply?.map(String) ?? ['unknown']
      if (outcome !== 'index') {
        const [replay = '', accessEndsAt] = rest
        if (revoking.includes(outcome!)) {
          feed.announce([{ grantId: id, accessEndsAt: Number(accessEndsAt) }])
        }
        return { outcome: outcome!, replay }
      }
      const [userId = '', clientId = '', recordEndsAt, endsAt] = rest
      indexedUntil = indexEndsAt(Number(recordEndsAt), Number(endsAt), now)
      await indexGrant({ id, userId, clientId }, indexedUntil, now, until)
    }
  }

  const listRevocations = async (after: string): Promise<Revocation[]> => {
    const until = commands.stepEndsAt()
    const found = await Promise.all(
      keys
        .allRevocations()
        .map(key => commands.read(client => client.zrangebyscore(key, after, '+inf', 'WITHSCORES'), until)),
    )
    return found.flatMap(entries => {
      const flat = (entries ?? unreadable('revocation') ?? []).flat()
      return flat.flatMap((grantId, i) => {
        if (i % 2 === 1) return []
        const accessEndsAt = Number(flat[i + 1])
        return parse('revocation', recordSchemas.revocation, () => ({ grantId, accessEndsAt })) ?? []
      })
    })
  }

  const parseConnection = (value: string, now: number): Connection | undefined => {
    const found = parseNumbered(value)
    if (!found) return unreadable('connection')
    // Deleted, or ended.
    if (found.record === '' || found.second <= now) return undefined
    return parse('connection', recordSchemas.connection, () => ({
      ...JSON.parse(found.record),
      generation: found.first,
    }))
  }

  const findConnection = async (key: ConnectionKey, now: number, until = commands.stepEndsAt()) => {
    const name = keys.connections(key.userId)
    const value = await commands.read(client => client.hget(name, connectionField(key)), until)
    if (value === null) return undefined
    return value === undefined ? unreadable('connection') : parseConnection(value, now)
  }

  /** The lists a connection is found by. They lie in other slots, and are written before the connection. */
  const indexConnection = async (record: Omit<Connection, 'generation'>, now: number, until: number) => {
    const { userId, provider, account, expiresAt } = record
    const name = JSON.stringify([userId, provider, account])
    await Promise.all(
      connectionLists(record).map(list =>
        put('account', scripts.indexRecord, [keys.connectionsOf(list)], [now, name, expiresAt], until),
      ),
    )
  }
  const findLinked = async (list: string, now: number): Promise<Connection[]> => {
    const until = commands.stepEndsAt()
    const key = keys.connectionsOf(list)
    const names =
      (await commands.read(client => client.zrangebyscore(key, `(${now}`, '+inf'), until)) ??
      unreadable('account') ??
      []
    const found = await Promise.all(
      names.map(async name => {
        const link = parse('account', connectionNameSchema, () => JSON.parse(name))
        if (!link) return undefined
        const [userId, provider, account] = link
        return findConnection({ userId, provider, account }, now, until)
      }),
    )
    // A list outlives what it names.
    return found.flatMap(each => (each && connectionLists(each).includes(list) ? each : []))
  }
  const toTask = (value: string, now: number): Task | undefined => {
    const task = parse<Task>('task', recordSchemas.task, () => parseTask(value))
    return task && task.expiresAt > now ? task : undefined
  }
  const taskKeys = (queue: TaskQueue) => [keys.dueTasks(queue), keys.tasks(queue)]

  const isMarked = async (key: string, now: number, endOf: (mark: string) => number = Number) => {
    const mark = await commands.read(client => client.get(key))
    if (mark === null) return false
    // An unreadable mark is still a mark.
    return mark === undefined || !(endOf(mark) <= now)
  }

  /** One page of all families, or of the ids on a list; either may name what is gone. */
  const listGrantPage = async (now: number, cursor: string | undefined, limit: number, until: number) => {
    const page = await commands.read(client => scanKeys(client, keys.grantsPattern(), cursor, limit), until)
    const found = await Promise.all((page?.found ?? []).map(key => readGrant(key, now, until)))
    return { grants: found.flatMap(grant => grant ?? []), cursor: page?.cursor }
  }
  const listIdPage = async (key: string, cursor: string | undefined, limit: number, until: number) => {
    const [next, flat] = (await commands.read(
      client => client.zscan(key, cursor ?? '0', 'COUNT', limit),
      until,
    )) ??
      unreadable('grant') ?? ['0', []]
    // The same member may come twice.
    return { ids: [...new Set(flat.filter((_, i) => i % 2 === 0))], cursor: next === '0' ? undefined : next }
  }

  const check = async (): Promise<void> => {
    await put('operation', scripts.checkWrite, [keys.check()], [0, channel])
  }

  const assertOpen = () => {
    if (!isOpen) throw new StoreUnavailableError('the store is closed')
  }

  const store: Store = {
    tenant,
    check,
    createWindowCounter: ({ name, windowSeconds }) =>
      createRedisCounter(connection, id => keys.counter(name, id), windowSeconds),
    // Redis ends records by itself, and the lists are cleaned by those who write them (R170).
    cleanupExpired: async () => {},
    async stats({ now }) {
      const open = keys.openAuthorizations()
      const stats: StoreStats = {
        grants: 0,
        grantsWithAccess: 0,
        connections: { active: 0, dead: 0 },
        pendingAuthorizations:
          (await commands.read(client => client.zcount(open, `(${now}`, '+inf'))) ??
          unreadable('pending_authorization') ??
          0,
        signingKeys: (await store.listSigningKeys({ now })).length,
      }
      let cursor: string | undefined
      do {
        const page = await listGrantPage(now, cursor, walkPageSize, commands.stepEndsAt())
        for (const grant of page.grants) countGrant(stats, grant, now)
        cursor = page.cursor
      } while (cursor !== undefined)
      do {
        const page = await store.listAllConnections({ cursor, limit: walkPageSize, now })
        for (const { state } of page.connections) stats.connections[state]++
        cursor = page.cursor
      } while (cursor !== undefined)
      return stats
    },
    async close() {
      isOpen = false
      feed.close()
      commands.close()
    },

    async findOrPutUser({ identityHash, userId, expiresAt, now }) {
      const reply = await put(
        'user',
        scripts.findOrPutUser,
        [keys.user(identityHash)],
        [now, userId, expiresAt],
      )
      return String(reply[1])
    },

    async findUser({ identityHash, now }) {
      const key = keys.user(identityHash)
      const fields = await commands.read(client => client.hmget(key, 'userId', 'endsAt'))
      if (!fields) return unreadable('user')
      const [userId, endsAt] = fields
      return userId && Number(endsAt) > now ? userId : undefined
    },

    async putDisabledUser({ userId, expiresAt, now }) {
      const key = keys.disabledUser(userId)
      await putConfirmed('disabled_user', scripts.putDisabledUser, [key], [now, expiresAt])
    },
    async deleteDisabledUser({ userId, now }) {
      await put('disabled_user', scripts.putDisabledUser, [keys.disabledUser(userId)], [now, ''])
    },
    isUserDisabled: ({ userId, now }) => isMarked(keys.disabledUser(userId), now),

    async putClientTombstone({ clientIdHash, expiresAt, now }) {
      await putConfirmed(
        'client_tombstone',
        scripts.putClientTombstone,
        [keys.clientTombstone(clientIdHash)],
        [now, expiresAt],
      )
    },
    isClientDeleted: ({ clientIdHash, now }) => isMarked(keys.clientTombstone(clientIdHash), now),

    async putPendingAuthorization({ record, limit, now }) {
      const [outcome] = await put(
        'pending_authorization',
        scripts.putPendingAuthorization,
        [keys.pendingAuthorization(record.id), keys.openAuthorizations()],
        [now, limit, sha256(record.id), record.step, record.expiresAt, JSON.stringify(record)],
      )
      return outcome as 'stored' | 'full'
    },
    async findPendingAuthorization({ id, now }) {
      const kind = 'pending_authorization'
      const key = keys.pendingAuthorization(id)
      const text = await commands.read(client => client.hget(key, 'record'))
      if (text === null) return undefined
      if (text === undefined) return unreadable(kind)
      const record = parse<PendingAuthorization>(kind, recordSchemas.pendingAuthorization, () =>
        JSON.parse(text),
      )
      return record && record.expiresAt > now ? record : undefined
    },
    async stepPendingAuthorization(step) {
      const { id, fromStep, next, now } = step
      const reply = await run(
        'pending_authorization',
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

    async putGrant({ record, now }) {
      const until = commands.stepEndsAt()
      const endsAt = grantEndsAt(record)
      await indexGrant(record, endsAt, now, until)
      const fields = { ...grantToFields(record), indexedUntil: `${endsAt}` }
      await put(
        'grant',
        scripts.putGrant,
        [keys.grant(record.id)],
        [now, endsAt, ...Object.entries(fields).flat()],
        until,
      )
    },
    findGrant: ({ id, now }) => findGrant(id, now),
    async listGrants({ now, ...by }) {
      const until = commands.stepEndsAt()
      const key = keys.grantsOf(by)
      const ids =
        (await commands.read(client => client.zrangebyscore(key, `(${now}`, '+inf'), until)) ??
        unreadable('grant') ??
        []
      const grants: Grant[] = []
      for (let i = 0; i < ids.length; i += listBatchSize) {
        const batch = ids.slice(i, i + listBatchSize)
        for (const grant of await Promise.all(batch.map(id => findGrant(id, now, until)))) {
          if (grant && grant.revokedAt === undefined) grants.push(grant)
        }
      }
      return grants.sort((a, b) => b.createdAt - a.createdAt)
    },
    async redeemCode(step) {
      const { codeHash, refresh, accessEndsAt } = step
      const { outcome } = await stepGrant(
        'redeemCode',
        scripts.redeemCode,
        step,
        ['replayed'],
        indexedUntil => [
          codeHash,
          refresh?.hash ?? '',
          refresh?.idleEndsAt ?? '',
          accessEndsAt,
          indexedUntil,
          channel,
          step.id,
        ],
      )
      return outcome as RedeemOutcome
    },
    async countFailedRedemption(step) {
      const { id, now, codeHash, limit } = step
      const operation = operationKey('countFailedRedemption', step)
      await run(
        'grant',
        scripts.countFailedRedemption,
        [keys.grant(id), keys.grantOperation(id, operation)],
        [now, codeHash, limit],
      )
    },
    async rotateRefreshToken(step) {
      const { outcome, replay } = await stepGrant(
        'rotateRefreshToken',
        scripts.rotateRefreshToken,
        step,
        ['reused'],
        indexedUntil => [
          step.presentedHash,
          step.genuine ? 1 : 0,
          step.successorHash,
          step.replay,
          step.graceSeconds,
          step.idleEndsAt,
          step.accessEndsAt,
          indexedUntil,
          channel,
          step.id,
        ],
      )
      if (outcome === 'rotated') {
        // Heard: from now on the grace is as short as the caller wants it. Nobody waits for this; when it gets lost,
        // the grace of this rotation is longer, and the next one ends it.
        commands
          .read(client => client.hdel(keys.grant(step.id), `unheard:${step.successorHash}`))
          .catch(() => {})
      }
      return (outcome === 'grace' ? { outcome, replay } : { outcome }) as RotateOutcome
    },
    async revokeGrant(step) {
      const { outcome } = await stepGrant('revokeGrant', scripts.revokeGrant, step, ['revoked'], () => [
        step.reason,
        channel,
        step.id,
      ])
      return outcome as 'revoked' | 'already' | 'unknown'
    },
    async revokeGrants({ of, cursor, limit, ...step }) {
      const until = commands.stepEndsAt()
      const page =
        of === 'tenant'
          ? await listGrantPage(step.now, cursor, limit, until).then(({ grants, cursor }) => ({
              ids: [...new Set(grants.map(({ id }) => id))],
              cursor,
            }))
          : await listIdPage(keys.grantsOf(of), cursor, limit, until)
      const outcomes = await Promise.all(page.ids.map(id => store.revokeGrant({ ...step, id })))
      return { revoked: page.ids.filter((_, i) => outcomes[i] === 'revoked'), cursor: page.cursor }
    },
    listRevocations: ({ now }) => listRevocations(`(${now}`),
    watchRevocations(watcher) {
      assertOpen()
      return feed.watch(watcher)
    },

    findConnection: ({ now, ...key }) => findConnection(key, now),
    async listConnections({ userId, now }) {
      const key = keys.connections(userId)
      const values = (await commands.read(client => client.hvals(key))) ?? unreadable('connection') ?? []
      const order = ({ provider, account }: Connection) => JSON.stringify([provider, account])
      return values
        .flatMap(value => parseConnection(value, now) ?? [])
        .sort((a, b) => (order(a) < order(b) ? -1 : 1))
    },
    findConnectionsByAccount: ({ accountHash, now }) => findLinked(accountList(accountHash), now),
    findConnectionsByToken: ({ tokenHash, now }) => findLinked(tokenList(tokenHash), now),
    async putConnection({ record, now }) {
      const until = commands.stepEndsAt()
      await indexConnection(record, now, until)
      const reply = await putConfirmed(
        'connection',
        scripts.putConnection,
        [keys.connections(record.userId)],
        [now, connectionField(record), record.expiresAt, recordToText(record)],
        until,
      )
      return Number(reply[1])
    },
    async replaceConnection({ record, generation, now }) {
      const until = commands.stepEndsAt()
      await indexConnection(record, now, until)
      const reply = await runConfirmed(
        'connection',
        scripts.replaceConnection,
        [keys.connections(record.userId)],
        [now, connectionField(record), record.expiresAt, recordToText(record), generation],
        until,
      )
      return (reply?.[0] ?? 'stale') as 'replaced' | 'stale'
    },
    async deleteConnection({ now, ...key }) {
      const endsAt = now + connectionTombstoneSeconds
      await runConfirmed(
        'connection',
        scripts.deleteConnection,
        [keys.connections(key.userId)],
        [now, connectionField(key), endsAt],
      )
    },

    async listAllConnections({ cursor, limit, now }) {
      const until = commands.stepEndsAt()
      const page = await commands.read(
        client => scanKeys(client, keys.connectionsPattern(), cursor, limit),
        until,
      )
      const users = await Promise.all(
        (page?.found ?? []).map(key => commands.read(client => client.hvals(key), until)),
      )
      return {
        connections: users.flatMap(values =>
          (values ?? unreadable('connection') ?? []).flatMap(value => parseConnection(value, now) ?? []),
        ),
        cursor: page?.cursor,
      }
    },

    async claimLease({ kind, id, owner, endsAt, takesOver, now }) {
      const [outcome, detail] = await put(
        'lease',
        scripts.claimLease,
        [keys.lease(kind, id)],
        [now, owner, endsAt, takesOver ? 1 : 0, abandonedLeaseSeconds],
      )
      if (outcome === 'claimed') return { outcome, isTakenOver: detail === 1 }
      return { outcome, ...(outcome === 'held' && { endsAt: Number(detail) }) } as ClaimOutcome
    },
    async releaseLease({ kind, id, owner, now }) {
      await run('lease', scripts.releaseLease, [keys.lease(kind, id)], [now, owner])
    },

    async findCircuit({ id, now }) {
      const value = await commands.read(client => client.get(keys.circuit(id)))
      if (value === null) return undefined
      const found = value === undefined ? undefined : parseNumbered(value)
      if (!found) return unreadable('circuit')
      if (found.second <= now) return undefined
      return parse('circuit', recordSchemas.circuit, () => ({
        ...JSON.parse(found.record),
        generation: found.first,
      }))
    },
    async replaceCircuit({ record, generation, now }) {
      const [outcome] = await put(
        'circuit',
        scripts.replaceCircuit,
        [keys.circuit(record.id)],
        [now, record.expiresAt, recordToText(record), generation],
      )
      return outcome as 'replaced' | 'stale'
    },

    async putTask({ record, replaces, now }) {
      const { id, dueAt, expiresAt, writtenBy } = record
      const [outcome] = await put('task', scripts.putTask, taskKeys(record), [
        now,
        sha256(id),
        dueAt,
        expiresAt,
        writtenBy,
        taskToText(record),
        replaces ? 1 : 0,
      ])
      return outcome as 'stored' | 'exists'
    },
    async claimTasks({ owner, limit, until, now, ...queue }) {
      const reply = await run('task', scripts.claimTasks, taskKeys(queue), [now, owner, until, limit])
      return (reply ?? []).slice(1).flatMap(value => toTask(String(value), now) ?? [])
    },
    async replaceTask({ id, writtenBy, next, now, ...queue }) {
      const reply = await run('task', scripts.replaceTask, taskKeys(queue), [
        now,
        sha256(id),
        writtenBy,
        next?.writtenBy ?? '',
        next?.dueAt ?? '',
        next?.expiresAt ?? '',
        next ? taskToText(next) : '',
      ])
      return (reply?.[0] ?? 'stale') as 'replaced' | 'stale'
    },
    async listTasks({ kind, cursor, limit, now }) {
      const until = commands.stepEndsAt()
      const pattern = keys.tasksPattern(kind)
      const page = await commands.read(client => scanKeys(client, pattern, cursor, limit), until)
      const queues = await Promise.all(
        (page?.found ?? []).map(key => commands.read(client => client.hvals(key), until)),
      )
      const values = queues.flatMap(values => values ?? unreadable('task') ?? [])
      return { tasks: values.flatMap(value => toTask(value, now) ?? []), cursor: page?.cursor }
    },

    async listSigningKeys({ now }) {
      const key = keys.signingKeys()
      const fields = (await commands.read(client => client.hgetall(key))) ?? unreadable('signing_key') ?? {}
      const kids = Object.keys(fields).flatMap(field => /^order:(.*)$/s.exec(field)?.[1] ?? [])
      const found = kids.flatMap(kid => {
        const [sequence, retiresAt] = (fields[`order:${kid}`] ?? '').split(':').map(Number)
        const record = parse<SigningKey>('signing_key', recordSchemas.signingKey, () => ({
          ...JSON.parse(fields[`record:${kid}`] ?? ''),
          kid,
          sealed: fields[`sealed:${kid}`],
          retiresAt,
        }))
        return record && (record.retiresAt === 0 || record.retiresAt > now)
          ? [{ sequence: sequence!, record }]
          : []
      })
      // Keys that somebody reads are somebody's.
      if (found.length > 0) await commands.read(client => client.expire(key, signingKeysIdleSeconds))
      return found.sort((a, b) => a.sequence - b.sequence).map(({ record }) => record)
    },
    async putSigningKey({ record: { kid, retiresAt, sealed, ...record }, newestKid, now }) {
      const [outcome] = await putConfirmed(
        'signing_key',
        scripts.putSigningKey,
        [keys.signingKeys()],
        [now, kid, retiresAt, sealed, JSON.stringify(record), newestKid ?? '', signingKeysIdleSeconds],
      )
      return outcome as 'stored' | 'stale'
    },
    async retireSigningKey({ kid, retiresAt, now }) {
      const reply = await run(
        'signing_key',
        scripts.retireSigningKey,
        [keys.signingKeys()],
        // Only this adapter sends a step again, so it can name it.
        [now, kid, retiresAt, operationId(systemRandom)],
      )
      return (reply?.[0] ?? 'unknown') as 'retired' | 'already' | 'unknown'
    },
    async resealSigningKey({ kid, sealed, expectedSealed, now }) {
      const reply = await run(
        'signing_key',
        scripts.resealSigningKey,
        [keys.signingKeys()],
        [now, kid, sealed, expectedSealed],
      )
      return (reply?.[0] ?? 'stale') as 'resealed' | 'stale'
    },

    async claimSingleUse({ kind, idHash, expiresAt, operationId: id, now }) {
      const reply = await run(
        'single_use',
        scripts.claimSingleUse,
        [keys.singleUse(kind, idHash)],
        [now, id, expiresAt],
      )
      // An unreadable mark is still a mark.
      return (reply?.[0] ?? 'used') as 'claimed' | 'used'
    },
    isSingleUseClaimed: ({ kind, idHash, now }) =>
      isMarked(keys.singleUse(kind, idHash), now, value => Number(/^(\d+):/.exec(value)?.[1])),

    async putEndedSession({ idHash, expiresAt, now }) {
      const key = keys.endedSession(idHash)
      await put('ended_session', scripts.putClientTombstone, [key], [now, expiresAt])
    },
    isSessionEnded: ({ idHash, now }) => isMarked(keys.endedSession(idHash), now),
    async appendEvent({ stream, position, sealed, limit, expiresAt, now }) {
      const key = keys.streamEvents(stream)
      await put('session_event', scripts.appendEvent, [key], [now, position, expiresAt, sealed, limit])
    },
    async readEvents({ stream, after, now }) {
      const key = keys.streamEvents(stream)
      const kept = await commands.read(client => client.zrangebyscore(key, `(${after}`, '+inf'))
      return (kept ?? unreadable('session_event') ?? []).flatMap(text => {
        const found = parseNumbered(text) ?? unreadable('session_event')
        if (!found || found.second <= now) return []
        return { position: found.first, sealed: found.record }
      })
    },
    async putSubscription({ session, idHash, sealed, limit, expiresAt, now }) {
      const key = keys.subscriptions(session)
      const [outcome] = await put(
        'subscription',
        scripts.putSubscription,
        [key],
        [now, idHash, sealed, expiresAt, limit],
      )
      return outcome as 'stored' | 'full'
    },
    async deleteSubscription({ session, idHash, now }) {
      const key = keys.subscriptions(session)
      await run('subscription', scripts.putSubscription, [key], [now, idHash, '', 0, 0])
    },
    async listSubscriptions({ session, now }) {
      const key = keys.subscriptions(session)
      const kept = await commands.read(client => client.hvals(key))
      return (kept ?? unreadable('subscription') ?? []).flatMap(text => {
        const [, endsAt, sealed] = /^(\d+):(.+)$/s.exec(text) ?? []
        return sealed !== undefined && Number(endsAt) > now ? [sealed] : []
      })
    },

    async announceChange({ sealed }) {
      await commands.read(client => client.publish(channels.changes, sealed))
    },
    watchChanges(watcher) {
      assertOpen()
      return feed.watchChanges(watcher)
    },

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
      if (value === null) return undefined
      const found = value === undefined ? undefined : parseNumbered(value)
      if (!found) return unreadable('call_task')
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

  try {
    await checkRedis(connection, commands, onWarning, waitFor)
    if (confirmation) await checkWait(confirmation, commands, onWarning)
    await check()
    await feed.open()
  } catch (error) {
    await store.close()
    throw startupError(connection, error)
  }
  return store
}

/**
 * Until when a family is put on its lists: an idle life longer than needed now, so that not every rotation has to
 * write them, but never past the end that no rotation moves.
 */
function indexEndsAt(recordEndsAt: number, endsAt: number, now: number): number {
  const generous = recordEndsAt + (recordEndsAt - now)
  return endsAt === 0 ? generous : Math.max(recordEndsAt, Math.min(generous, endsAt))
}

function present(reply: RedisReply | undefined): RedisReply {
  if (!reply) throw new StoreUnavailableError('something else lies where the store keeps a record')
  return reply
}

function connectionField({ provider, account }: Pick<ConnectionKey, 'provider' | 'account'>): string {
  return sha256(JSON.stringify([provider, account]))
}
