import { ProtocolError, ProtocolErrorCode } from '@modelcontextprotocol/server'
import type { SessionStore } from '@sallyport/oauth'
import { createListeners, type Subscriptions } from '../calls/subscriptions.ts'
import type { EventKeeping } from './event-log.ts'
import { digestOf } from './session-ticket.ts'

/** How many resources one session follows at most. */
const maxSubscriptions = 1_000

/** How long the address of one may be, in characters: each is kept for as long as the session. */
const maxUriLength = 2_048

/** Where subscriptions of sessions are kept, and how. */
export interface SubscriptionKeeping extends Omit<EventKeeping, 'store'> {
  store: Pick<SessionStore, 'putSubscription' | 'deleteSubscription' | 'listSubscriptions'>
  /** Tells the other processes that a session follows other resources than before. */
  tellOthers: (key: string) => void
}

/** Subscriptions of a session, which any process can take up. */
export interface KeptSubscriptions extends Subscriptions {
  /** Reads them again. */
  reload(): Promise<void>
}

/**
 * Creates the subscriptions of one session of one principal: `key` names both, and is part of what they are sealed for.
 */
export function createKeptSubscriptions(
  { key, expiresAt }: { key: string; expiresAt: number },
  keeping: SubscriptionKeeping,
): KeptSubscriptions {
  const { store, sealer, tenant, clock, onError, tellOthers } = keeping
  const place = { tenant, kind: 'session-subscription', id: key }
  let uris = new Set<string>()
  const listeners = createListeners()
  let last: Promise<unknown> = Promise.resolve()
  /** One after the other: what was read must not take back what was added meanwhile. */
  const inTurn = <T>(step: () => Promise<T>): Promise<T> => {
    const turn = last.then(step)
    last = turn.catch(() => {})
    return turn
  }
  /** What the store fails with is for us, not for the client. */
  const kept = <T>(step: () => Promise<T>): Promise<T> =>
    inTurn(step).catch((error: Error) => {
      if (error instanceof ProtocolError) throw error
      onError(error)
      throw new ProtocolError(
        ProtocolErrorCode.InternalError,
        'The subscription cannot be kept now: try again.',
      )
    })

  return {
    has: uri => uris.has(uri),
    [Symbol.iterator]: () => uris[Symbol.iterator](),
    add: uri =>
      kept(async () => {
        if (uris.has(uri)) return
        if (uri.length > maxUriLength) {
          throw new ProtocolError(ProtocolErrorCode.InvalidParams, 'The URI is too long to be followed.')
        }
        const outcome = await store.putSubscription({
          session: key,
          idHash: digestOf(uri),
          sealed: sealer.seal(uri, place),
          limit: maxSubscriptions,
          expiresAt,
          now: clock(),
        })
        if (outcome === 'full') {
          throw new ProtocolError(ProtocolErrorCode.InvalidParams, 'Too many subscriptions.')
        }
        uris.add(uri)
        listeners.tell()
        tellOthers(key)
      }),
    delete: uri =>
      kept(async () => {
        await store.deleteSubscription({ session: key, idHash: digestOf(uri), now: clock() })
        uris.delete(uri)
        listeners.tell()
        tellOthers(key)
      }),
    reload: () =>
      inTurn(async () => {
        const found = await store.listSubscriptions({ session: key, now: clock() })
        uris = new Set(found.flatMap(sealed => sealer.open(sealed, place)?.plaintext ?? []))
        listeners.tell()
      }),
    onChange: listeners.add,
  }
}
