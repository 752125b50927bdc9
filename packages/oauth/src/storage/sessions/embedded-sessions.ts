import { z } from 'zod'
import { sha256 } from '../../protocol/hash.ts'
import type { EmbeddedSteps } from '../embedded-steps.ts'
import type { SessionStore } from './session-store.ts'

const streamEventSchema = z.strictObject({ position: z.int().positive(), sealed: z.string().min(1) })

export function createEmbeddedSessions({ keeper, write, read, list }: EmbeddedSteps): SessionStore {
  return {
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
  }
}
