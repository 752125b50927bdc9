import type { EventSink } from '../events.ts'
import { createRedisCallTasks } from './call-tasks/redis-call-tasks.ts'
import { createRedisChanges } from './changes/redis-changes.ts'
import { createRedisCircuits } from './circuits/redis-circuits.ts'
import { createRedisClients } from './clients/redis-clients.ts'
import { createRedisConnections } from './connections/redis-connections.ts'
import { createRedisGrantReader } from './grants/redis-grant-reader.ts'
import { createRedisGrants } from './grants/redis-grants.ts'
import { listRedisRevocations } from './grants/redis-revocations.ts'
import { createKeys } from './keys.ts'
import { createRedisLeases } from './leases/redis-leases.ts'
import { scripts } from './lua.generated.ts'
import { createRedisPendingAuthorizations } from './pending-authorizations/redis-pending-authorizations.ts'
import type { RedisWaitFor } from './redis-barrier.ts'
import { createRedisCommands } from './redis-commands.ts'
import { createConfirmation } from './redis-confirmation.ts'
import { connectRedis } from './redis-connection.ts'
import { createRedisCounter } from './redis-counter.ts'
import { createRedisFeed } from './redis-feed.ts'
import { checkRedis, checkWait, startupError } from './redis-startup.ts'
import { createRedisSteps } from './redis-steps.ts'
import { parseRedisUrl } from './redis-url.ts'
import { createRedisSessions } from './sessions/redis-sessions.ts'
import { createRedisSigningKeys } from './signing-keys/redis-signing-keys.ts'
import { createRedisSingleUse } from './single-use/redis-single-use.ts'
import { createRedisStatistics } from './statistics/redis-statistics.ts'
import type { Store } from './store.ts'
import { createRedisTasks } from './tasks/redis-tasks.ts'
import { createRedisUsers } from './users/redis-users.ts'

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
  const steps = createRedisSteps(commands, keys, onEvent)
  const feed = createRedisFeed(connection, {
    channels: { revocations: keys.revocationChannel(), changes: keys.changeChannel() },
    listRevocations: () => listRedisRevocations(steps, '-inf'),
    heartbeatMs,
  })
  const grantReader = createRedisGrantReader(steps)
  const connections = createRedisConnections(steps)
  const signingKeys = createRedisSigningKeys(steps)

  const check = async (): Promise<void> => {
    await steps.put('operation', scripts.checkWrite, [keys.check()], [0, keys.revocationChannel()])
  }

  const store: Store = {
    tenant,
    check,
    createWindowCounter: ({ name, windowSeconds }) =>
      createRedisCounter(connection, id => keys.counter(name, id), windowSeconds),
    // Redis ends records by itself, and the lists are cleaned by those who write them (R170).
    cleanupExpired: async () => {},
    async close() {
      feed.close()
      steps.close()
    },
    ...createRedisStatistics(steps, grantReader, connections, signingKeys),
    ...createRedisUsers(steps),
    ...createRedisClients(steps),
    ...createRedisPendingAuthorizations(steps),
    ...createRedisGrants(steps, grantReader, feed),
    ...connections,
    ...createRedisLeases(steps),
    ...createRedisCircuits(steps),
    ...createRedisTasks(steps),
    ...signingKeys,
    ...createRedisSingleUse(steps),
    ...createRedisSessions(steps),
    ...createRedisChanges(steps, feed),
    ...createRedisCallTasks(steps),
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
