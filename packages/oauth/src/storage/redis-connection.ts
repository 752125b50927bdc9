import { Cluster, Command, Redis, type RedisOptions } from 'ioredis'
import { redisErrorCode } from './redis-error.ts'
import type { RedisTarget } from './redis-url.ts'

export interface RedisConnectionOptions {
  /** How long one command may take, in milliseconds. */
  commandTimeoutMs: number
  /** User and password of the sentinels themselves. */
  sentinelUsername?: string
  sentinelPassword?: string
  /** Certificates and the like, for `rediss://`. */
  tls?: object
}

/** A connection that comes back by itself, and one more for the revocation feed. */
export interface RedisConnection {
  readonly client: Redis | Cluster
  readonly isCluster: boolean
  /** The connection to the server that holds a key, when it is known. */
  nodeOf(key: string): Redis | undefined
  /** Asks anew which server holds which keys, where there are several. */
  refresh(): void
  /** A connection of its own to any server, not yet open, that does not come back by itself. */
  createSubscriber(): Redis
  /** What the last attempt to connect failed with, as one word; undefined while connected. */
  lastError(): string | undefined
  close(): void
}

const reconnectDelayMs = (attempt: number) => Math.min(attempt * 50, 1_000)

/** Connects in the background; whether Redis answers shows with the first command. */
export function connectRedis(target: RedisTarget, options: RedisConnectionOptions): RedisConnection {
  return target.kind === 'cluster' ? connectCluster(target, options) : connectServer(target, options)
}

/** What holds for every connection to a server. */
function serverOptions(target: RedisTarget, { commandTimeoutMs, tls }: RedisConnectionOptions) {
  return {
    // Waits are bounded also where Redis accepts and never answers: by default they have no end (R165).
    commandTimeout: commandTimeoutMs,
    connectTimeout: commandTimeoutMs,
    // A connection that stays silent is given up; the kernel would take a quarter of an hour.
    socketTimeout: commandTimeoutMs,
    // Nothing is kept for later and nothing is sent again behind our back: what was lost is sent again by the step
    // that still waits for it, with its operation id, or not at all (R164, R165).
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    // LOADING is an answer like another; asking for INFO would need a right that a user of ours may lack.
    enableReadyCheck: false,
    disableClientInfo: true,
    // A server that was demoted: connect again to find the new one. Never 2, which sends again (R164).
    reconnectOnError: (error: Error) => (error.message.includes('READONLY') ? 1 : false),
    ...(target.username !== undefined && { username: target.username }),
    ...(target.password !== undefined && { password: target.password }),
    ...(target.tls && { tls: tls ?? {} }),
    lazyConnect: true,
  } satisfies RedisOptions
}

function connectServer(target: RedisTarget, options: RedisConnectionOptions): RedisConnection {
  const client = new Redis({
    ...serverOptions(target, options),
    ...(target.kind === 'standalone'
      ? target.nodes[0]!
      : {
          sentinels: [...target.nodes],
          name: target.masterName!,
          sentinelCommandTimeout: options.commandTimeoutMs,
          sentinelRetryStrategy: reconnectDelayMs,
          ...(options.sentinelUsername !== undefined && { sentinelUsername: options.sentinelUsername }),
          ...(options.sentinelPassword !== undefined && { sentinelPassword: options.sentinelPassword }),
          ...(target.tls && { enableTLSForSentinelMode: true, sentinelTLS: options.tls ?? {} }),
          // Here INFO shows the role: a replica that sentinels still take for the master would answer reads from the past.
          enableReadyCheck: true,
          maxLoadingRetryTime: 500,
        }),
    db: target.db,
    enableOfflineQueue: false,
    retryStrategy: reconnectDelayMs,
  })
  const lastError = watchErrors(client)
  client.connect().catch(ignore)
  return {
    client,
    isCluster: false,
    nodeOf: () => client,
    refresh: ignore,
    createSubscriber: () => asSubscriber(client.duplicate(subscriberOptions)),
    lastError,
    close: () => client.disconnect(),
  }
}

function connectCluster(target: RedisTarget, options: RedisConnectionOptions): RedisConnection {
  const server = serverOptions(target, options)
  const client = new Cluster([...target.nodes], {
    enableOfflineQueue: false,
    enableReadyCheck: false,
    lazyConnect: true,
    clusterRetryStrategy: reconnectDelayMs,
    slotsRefreshInterval: 10_000,
    redisOptions: server,
    // The certificate names the host, not its address.
    ...(target.tls && { dnsLookup: (host, callback) => callback(null, host) }),
  })
  const lastError = watchErrors(client)
  client.connect().catch(ignore)
  return {
    client,
    isCluster: true,
    nodeOf(key) {
      const slot = new Command('get', [key]).getSlot()
      const name = slot === null || slot === undefined ? undefined : client.slots[slot]?.[0]
      const node = client.nodes('master').find(({ options: { host, port } }) => `${host}:${port}` === name)
      // A node was lost; without a command to it, nobody would ask who has taken its place.
      if (!node && client.status === 'ready') client.refreshSlotsCache()
      return node
    },
    refresh: () => client.refreshSlotsCache(),
    createSubscriber() {
      // Any node hears what is published on any other.
      const nodes = client
        .nodes('master')
        .flatMap(({ options: { host, port } }) => (host && port ? { host, port } : []))
      const node = nodes[Math.floor(Math.random() * nodes.length)] ?? target.nodes[0]!
      return asSubscriber(new Redis({ ...server, ...node, ...subscriberOptions }))
    },
    lastError,
    close: () => client.disconnect(),
  }
}

/** The feed opens a new one itself, so that it knows when it may have missed something. */
const subscriberOptions = {
  retryStrategy: () => null,
  sentinelRetryStrategy: () => null,
  enableOfflineQueue: false,
  lazyConnect: true,
}

function asSubscriber(subscriber: Redis): Redis {
  // Whoever uses it learns from its commands; without a listener ioredis prints it.
  return subscriber.on('error', ignore)
}

function watchErrors(client: Redis | Cluster): () => string | undefined {
  let last: string | undefined
  client.on('error', (error: Error & { lastNodeError?: Error }) => {
    last = redisErrorCode(error.lastNodeError ?? error)
  })
  client.on('ready', () => {
    last = undefined
  })
  return () => last
}

function ignore(): void {}
