import type { ProviderHost } from '@sallyport/mcp-server'
import type { Connection } from '@sallyport/oauth'
import { connectionTask, workOff } from './work-queue.ts'

/** Notices that only the user can renew a connection, and until when. */
export interface ExpiryNotices {
  /** Plans the notices of a connection. `replaces`: over those planned before, because it was made anew. */
  plan(connection: Connection, options: { replaces: boolean }): Promise<void>
  /** Gives the notices that are due, each once among all processes. */
  run(signal?: AbortSignal): Promise<void>
}

const daySeconds = 86_400

/** How many days before the end a notice is given. */
const noticeDays = [7, 3, 1] as const

const parallel = 20

/** Creates the notices of one provider's connections. */
export function createExpiryNotices(
  host: Pick<ProviderHost, 'store' | 'clock' | 'random' | 'emit'>,
  provider: string,
): ExpiryNotices {
  const { store, clock, emit } = host
  return {
    async plan(connection, { replaces }) {
      const { consentEndsAt } = connection
      const now = clock()
      const dueAt = nextNoticeAt(consentEndsAt, now)
      if (consentEndsAt === undefined || dueAt === undefined) return
      const record = connectionTask(host, { kind: 'expiry_notice', provider }, connection, {
        dueAt,
        expiresAt: consentEndsAt,
      })
      await store.putTask({ record, replaces, now })
    },
    run: signal =>
      workOff(host, { kind: 'expiry_notice', provider }, { parallel, signal }, async task => {
        const { userId, account } = task
        const now = clock()
        const connection = await store.findConnection({ userId, provider, account, now })
        const endsAt = connection?.state === 'active' ? connection.consentEndsAt : undefined
        if (endsAt === undefined || endsAt <= now) return {}
        const dueAt = nextNoticeAt(endsAt, now)
        // Renewed meanwhile: its time has not come.
        const isDue = now >= endsAt - noticeDays[0] * daySeconds
        return {
          ...(dueAt !== undefined && { next: { dueAt } }),
          ...(isDue && {
            tell: () =>
              emit({
                type: 'connection_expiring',
                userId,
                provider,
                account,
                daysLeft: Math.ceil((endsAt - now) / daySeconds),
                endsAt,
              }),
          }),
        }
      }),
  }
}

function nextNoticeAt(endsAt: number | undefined, now: number): number | undefined {
  if (endsAt === undefined) return undefined
  return noticeDays.map(days => endsAt - days * daySeconds).find(at => at > now)
}
