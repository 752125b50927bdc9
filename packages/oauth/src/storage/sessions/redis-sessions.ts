import { scripts } from '../lua.generated.ts'
import type { RedisSteps } from '../redis-steps.ts'
import type { SessionStore } from './session-store.ts'

export function createRedisSessions(steps: RedisSteps): SessionStore {
  const { keys, commands, run, put, unreadable, parseNumbered, isMarked } = steps
  return {
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
        const found = parseNumbered('session_event', text)
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
  }
}
