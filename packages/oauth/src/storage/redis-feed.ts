import type { Redis } from 'ioredis'
import type { RevocationFeed, RevocationWatcher } from './record-keeper.ts'
import type { RedisConnection } from './redis-connection.ts'
import type { ChangeWatcher, Revocation } from './store.ts'

export interface RedisFeedOptions {
  channels: { revocations: string; changes: string }
  /** Every stored revocation, ended ones too. Rejects when they cannot be read. */
  listRevocations: () => Promise<Revocation[]>
  /** How often the feed shows that it is complete, in milliseconds. */
  heartbeatMs: number
}

export interface RedisFeed extends RevocationFeed {
  /** Opens the subscription; resolves when it stands, rejects with what the first attempt fails with. */
  open(): Promise<void>
  /** Follows changes. They have no other copy: where a subscription was lost, so may they be. */
  watchChanges(watcher: ChangeWatcher): () => void
  close(): void
}

const retryMs = 250

/**
 * Revocations of all processes on one Redis: own ones at once, others by a message on a connection of its own. The
 * stored revocations are the truth and messages only make it fast: they are read again with each heartbeat, so that
 * a message that was lost is made up for.
 */
export function createRedisFeed(
  connection: Pick<RedisConnection, 'createSubscriber'>,
  { channels, listRevocations, heartbeatMs }: RedisFeedOptions,
): RedisFeed {
  const watchers = new Set<RevocationWatcher>()
  const changeWatchers = new Set<ChangeWatcher>()
  let wasSubscribed = false
  /** What the watchers have heard of, and in which round it was last seen. */
  const known = new Map<string, { revocation: Revocation; round: number }>()
  let round = 0
  let subscriber: Redis | undefined
  let isSynced = false
  let isClosed = false
  let timer: NodeJS.Timeout | undefined
  let beating: Promise<void> | undefined

  const announce = (revocation: Revocation) => {
    const { grantId } = revocation
    const isNew = !known.has(grantId)
    known.set(grantId, { revocation, round })
    if (isNew) for (const watcher of watchers) watcher.onRevoked(revocation)
  }

  const subscribe = async () => {
    const opened = connection.createSubscriber()
    opened.on('message', (channel, message) => {
      if (channel === channels.changes) {
        for (const watcher of changeWatchers) watcher.onChange(message)
        return
      }
      const revocation = parseMessage(message)
      if (revocation) announce(revocation)
    })
    opened.on('end', () => {
      if (subscriber !== opened) return
      drop()
      schedule(0)
    })
    subscriber = opened
    await opened.connect()
    await opened.subscribe(channels.revocations, channels.changes)
    if (wasSubscribed) for (const watcher of changeWatchers) watcher.onGap()
    wasSubscribed = true
  }
  const drop = () => {
    const dropped = subscriber
    subscriber = undefined
    isSynced = false
    dropped?.disconnect()
  }

  const beat = async () => {
    if (subscriber) await subscriber.ping()
    else await subscribe()
    const started = ++round
    // After the subscription, so that no revocation falls between the two.
    for (const revocation of await listRevocations()) announce(revocation)
    if (isClosed) return
    // What is not stored any more has ended for everybody, unless it came while the list was read.
    for (const [id, seen] of known) if (seen.round < started) known.delete(id)
    // The subscription may have broken meanwhile.
    if (!subscriber) return
    isSynced = true
    for (const watcher of watchers) watcher.onSynced()
  }
  const run = (): Promise<void> => {
    clearTimeout(timer)
    beating ??= beat()
      .then(
        () => schedule(subscriber ? heartbeatMs : 0),
        (error: unknown) => {
          drop()
          schedule(retryMs)
          throw error
        },
      )
      .finally(() => {
        beating = undefined
      })
    return beating
  }
  const schedule = (delayMs: number) => {
    clearTimeout(timer)
    if (isClosed) return
    // Silence is how watchers hear of a failed beat.
    timer = setTimeout(() => run().catch(() => {}), delayMs)
    timer.unref()
  }

  return {
    open: run,
    announce(revocations) {
      for (const revocation of revocations) announce(revocation)
    },
    watch(watcher) {
      watchers.add(watcher)
      for (const { revocation } of known.values()) watcher.onRevoked(revocation)
      if (isSynced) watcher.onSynced()
      else run().catch(() => {})
      return () => void watchers.delete(watcher)
    },
    watchChanges(watcher) {
      changeWatchers.add(watcher)
      return () => void changeWatchers.delete(watcher)
    },
    close() {
      isClosed = true
      clearTimeout(timer)
      watchers.clear()
      changeWatchers.clear()
      known.clear()
      drop()
    },
  }
}

/** `<end of the last access token> <grant id>`; anything else is not ours. */
function parseMessage(message: string): Revocation | undefined {
  const [, accessEndsAt, grantId] = /^(\d{1,15}) (.+)$/s.exec(message) ?? []
  return grantId === undefined ? undefined : { grantId, accessEndsAt: Number(accessEndsAt) }
}
