import type { Redis } from 'ioredis'
import { ConfigurationError, StoreUnavailableError } from '../errors.ts'
import type { RedisWaitFor } from './redis-barrier.ts'
import type { RedisCommands } from './redis-commands.ts'
import type { Confirmation } from './redis-confirmation.ts'
import type { RedisConnection } from './redis-connection.ts'
import { redisErrorCode, redisUnavailable } from './redis-error.ts'

const oldestVersion = [6, 2] as const
/** The first with WAITAOF. */
const oldestToWaitForDisks = [7, 2] as const

/** What one server says about itself; undefined when it may not be asked. */
type Info = ReadonlyMap<string, string> | undefined

/**
 * Looks at what the servers must be like to keep our records: version, eviction, persistence. What works badly is a
 * warning, one sentence each; what cannot work is refused. Asks with INFO, with CONFIG only where INFO does not tell,
 * and does without either (R173).
 *
 * @throws {ConfigurationError} when Redis is too old, refuses the credentials, or is a cluster and the URL says otherwise
 * @throws {StoreUnavailableError} when Redis does not answer
 */
export async function checkRedis(
  connection: RedisConnection,
  commands: RedisCommands,
  onWarning: (sentence: string) => void,
  waitFor: RedisWaitFor | 'none' = 'none',
): Promise<void> {
  await assertDatabase(connection, commands)
  const servers = await readServers(connection, commands)
  const warnings = new Set<string>()
  for (const { info, save } of servers) {
    assertVersion(info)
    if (waitFor === 'disk' || waitFor === 'replica-disk') assertWaitsForDisks(info, waitFor)
    if (!connection.isCluster && info?.get('cluster_enabled') === '1') {
      throw new ConfigurationError(
        'SESSION_REDIS_URL names one node of a cluster: list its nodes, separated by commas, or use redis+cluster://.',
      )
    }
    warnings.add(evictionWarning(info) ?? '').add(persistenceWarning(info, save) ?? '')
  }
  for (const sentence of warnings) if (sentence !== '') onWarning(sentence)
}

/**
 * Tries on each server whether it confirms writes: that a right is missing shows nowhere else. A replica that is not
 * there may be on its way, so that is a warning.
 *
 * @throws {ConfigurationError} when it never will
 */
export async function checkWait(
  { connection, barrier }: Confirmation,
  commands: RedisCommands,
  onWarning: (sentence: string) => void,
): Promise<void> {
  const confirmed = await onEachServer(connection, commands, node => barrier.probe(node)).catch(
    (error: unknown) => {
      // INFO, which would have told, is forbidden.
      if (!(error instanceof StoreUnavailableError && error.cause === 'ERR')) throw error
      throw new ConfigurationError(
        'SESSION_REDIS_WAIT_FOR waits for disks, and this Redis refuses to: that needs version 7.2 and appendonly.',
      )
    },
  )
  if (confirmed.every(Boolean)) return
  onWarning(
    'SESSION_REDIS_WAIT_FOR waits for a replica, or a disk, that does not answer now: until it does, sign-ins and refreshes take a second longer and may be lost when Redis fails over.',
  )
}

/** The client would go on in database 0, beside what another server keeps there. */
async function assertDatabase({ client }: RedisConnection, commands: RedisCommands): Promise<void> {
  if (!('select' in client) || !(client.options as { db?: number }).db) return
  const { db = 0 } = client.options as { db?: number }
  await commands
    .read(() => client.select(db))
    .catch((error: unknown) => {
      if (!(error instanceof StoreUnavailableError && error.cause === 'ERR')) throw error
      throw new ConfigurationError(
        `SESSION_REDIS_URL names database ${db}, which this Redis does not have: use a lower number, or none.`,
      )
    })
}

const readServers = (connection: RedisConnection, commands: RedisCommands) =>
  onEachServer(connection, commands, readServer)

async function onEachServer<T>(
  { client }: RedisConnection,
  commands: RedisCommands,
  ask: (node: Redis) => Promise<T>,
): Promise<T[]> {
  const answers = await commands.read(async () => {
    // Until then a cluster does not know its nodes.
    if (client.status !== 'ready') throw new Error('not connected yet')
    const nodes = 'nodes' in client ? client.nodes('master') : [client]
    return await Promise.all(nodes.map(ask))
  })
  return answers ?? []
}

/** Says what the deployer can do about a store that does not answer at start, where that is known. */
export function startupError(connection: RedisConnection, error: unknown): unknown {
  if (error instanceof ConfigurationError) return error
  if (!(error instanceof StoreUnavailableError)) {
    return startupError(connection, redisUnavailable(redisErrorCode(error)))
  }
  if (error.cause === 'WRONGPASS' || error.cause === 'NOAUTH') {
    return new ConfigurationError(
      'Redis refuses the user or the password in SESSION_REDIS_URL: correct them.',
    )
  }
  if (error.cause === 'NOPERM') {
    return new ConfigurationError(
      'The Redis user in SESSION_REDIS_URL lacks a right the store needs: give it those that STORAGE.md lists.',
    )
  }
  if (error.cause === 'ERR') {
    return new ConfigurationError(
      connection.isCluster
        ? 'SESSION_REDIS_URL lists hosts that are no cluster: name one Redis, or use redis+sentinel://.'
        : 'Redis refuses a command the store needs: allow those that STORAGE.md lists.',
    )
  }
  if (error.cause === 'READONLY') {
    return new ConfigurationError(
      'SESSION_REDIS_URL names a replica, which takes no writes: name its master, or the sentinels with redis+sentinel://.',
    )
  }
  if (error.cause === 'OOM') {
    return new ConfigurationError(
      'Redis has no memory left for records: raise its maxmemory, or empty it of others.',
    )
  }
  return error
}

async function readServer(node: Redis): Promise<{ info: Info; save: string | undefined }> {
  const info = await node.info().then(parseInfo, ifRefused)
  // What CONFIG would say stands in the log of refusals when it is forbidden, so it is the last resort.
  const save =
    info?.get('aof_enabled') === '0'
      ? await node.config('GET', 'save').then(reply => String((reply as unknown[])[1] ?? ''), ifRefused)
      : undefined
  return { info, save }
}

/** Rights that a careful deployer does not give (R173), and commands that a provider has taken away. */
function ifRefused(error: unknown): undefined {
  const code = redisErrorCode(error)
  if (code !== 'NOPERM' && code !== 'ERR') throw error
}

function parseInfo(text: string): Info {
  return new Map(
    text.split('\r\n').map(line => {
      const colon = line.indexOf(':')
      return [line.slice(0, colon), line.slice(colon + 1)] as const
    }),
  )
}

function assertVersion(info: Info): void {
  const version = info?.get('redis_version')
  if (version === undefined || !isOlder(version, oldestVersion)) return
  throw new ConfigurationError(`Redis ${version} is too old for the store: use 6.2 or newer.`)
}

function assertWaitsForDisks(info: Info, waitFor: RedisWaitFor): void {
  const version = info?.get('redis_version')
  if (version !== undefined && isOlder(version, oldestToWaitForDisks)) {
    throw new ConfigurationError(
      `SESSION_REDIS_WAIT_FOR is ${waitFor}, and Redis ${version} cannot wait for disks: use 7.2 or newer, or wait for replica.`,
    )
  }
  if (info?.get('aof_enabled') === '0') {
    throw new ConfigurationError(
      `SESSION_REDIS_WAIT_FOR is ${waitFor}, and Redis keeps no append-only file: turn appendonly on, or wait for replica.`,
    )
  }
}

function isOlder(version: string, [oldestMajor, oldestMinor]: readonly [number, number]): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major < oldestMajor || (major === oldestMajor && minor < oldestMinor)
}

function evictionWarning(info: Info): string | undefined {
  const policy = info?.get('maxmemory_policy')
  if (policy === undefined) {
    return 'Redis does not say whether it evicts records: make sure that maxmemory-policy is noeviction, or let its user run INFO.'
  }
  if (policy === 'noeviction') return undefined
  return `Redis may evict records (maxmemory-policy ${policy}), and with them revocations and sign-ins: set maxmemory-policy noeviction.`
}

function persistenceWarning(info: Info, save: string | undefined): string | undefined {
  const aof = info?.get('aof_enabled')
  if (aof === '1') return undefined
  if (aof === undefined) {
    return 'Redis does not say whether it keeps its records on disk: make sure that appendonly is on, or let its user run INFO.'
  }
  if (save === undefined) {
    return 'Redis keeps no append-only file, and does not say whether it saves snapshots: turn appendonly on.'
  }
  if (save === '') {
    return 'Redis keeps nothing on disk: after a restart everybody has to sign in again, and revoked access tokens are accepted until they end; turn appendonly on.'
  }
  return 'Redis saves snapshots only: after a crash, codes and refresh tokens used since the last one can be used again; turn appendonly on.'
}
