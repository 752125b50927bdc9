import type { ProviderHost } from '@sallyport/mcp-server'
import type { Connection } from '@sallyport/oauth'
import { marginSeconds } from './external-token.ts'
import type { TokenSource } from './get-fresh-token.ts'
import { connectionTask, workOff } from './work-queue.ts'

/** Refreshes of connections that tools used lately, before anybody has to wait for one. */
export interface DueRefreshes {
  /** Plans the next refresh of a connection that a tool uses. */
  plan(connection: Connection): Promise<void>
  /** Refreshes what is due. */
  run(signal?: AbortSignal): Promise<void>
  /** Whether this process is at it: whatever is in use and due gets its turn. */
  isRunning(): boolean
}

/** How long after its last use a connection is kept fresh, in seconds. */
const lateUseSeconds = 86_400

/** Least time between two looks at a connection, in seconds. */
const againSeconds = 15

/** How many connections of a provider one process refreshes at once. */
const parallel = 8

/** Most time before a token is stale that its refresh may begin, in seconds. */
const maxLeadSeconds = 600

/** Creates the due set of one provider. */
export function createDueRefreshes(
  host: Pick<ProviderHost, 'store' | 'clock' | 'random'>,
  provider: string,
  refresh: TokenSource['refreshDue'],
): DueRefreshes {
  const { store, clock, random } = host
  let runs = 0

  const work = (signal: AbortSignal | undefined) =>
    workOff(host, { kind: 'refresh', provider }, { parallel, signal }, async task => {
      const { userId, account } = task
      const due = await refresh({ userId, account }, leadSeconds)
      if (due?.connection.state !== 'active' || due.connection.accessEndsAt === 0) return {}
      const soonest = Math.max(clock() + againSeconds, due.status.nextAttemptAt ?? 0)
      return { next: { dueAt: Math.max(soonest, refreshAt(due.connection, random(1)[0]! / 256)) } }
    })

  return {
    isRunning: () => runs > 0,
    async plan(connection) {
      if (connection.accessEndsAt === 0) return
      const now = clock()
      const record = connectionTask(host, { kind: 'refresh', provider }, connection, {
        dueAt: refreshAt(connection, random(1)[0]! / 256),
        expiresAt: now + lateUseSeconds,
      })
      await store.putTask({ record, replaces: true, now })
    },
    async run(signal) {
      runs++
      try {
        await work(signal)
      } finally {
        runs--
      }
    },
  }
}

type Timed = Pick<Connection, 'accessEndsAt' | 'updatedAt'>

function lifeSeconds({ accessEndsAt, updatedAt }: Timed): number {
  return Math.max(0, accessEndsAt - updatedAt)
}

/** How long before a token is stale its refresh begins at the earliest. */
function leadSeconds(connection: Timed): number {
  return Math.min(maxLeadSeconds, Math.floor(lifeSeconds(connection) / 5))
}

/**
 * When a token is refreshed without a caller: early enough that no caller meets a stale one, and not for all tokens of
 * one hour in the same second. `jitter` is between 0 and 1.
 */
function refreshAt(connection: Timed, jitter: number): number {
  const lead = leadSeconds(connection)
  const staleAt = connection.accessEndsAt - marginSeconds(lifeSeconds(connection))
  return Math.max(0, Math.ceil(staleAt - lead + (jitter * lead) / 2))
}
