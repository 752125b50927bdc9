import { systemClock } from '@sallyport/oauth'
import { LRUCache } from 'lru-cache'
import type { Asking, SourceHearing } from '../composition/offer-source.ts'
import type { ExternalToken } from '../provider.ts'
import type { AnyCallContext, Caller, ClientCaller } from '../tools/call-context.ts'
import { createOwnToken } from './client-credentials.ts'
import type { RemoteIdentity } from './connect-remote.ts'
import { inSession } from './forward.ts'
import type { ProxyCredentials, ProxySettings } from './proxy-options.ts'
import { createRemoteHearers, type RemoteHearer } from './remote-hearers.ts'
import { createRemoteSession, type RemoteSession } from './remote-session.ts'

/** Remote sessions by whom the remote server sees: one for all callers, or one for each. */
export interface Identities {
  /** Whether it is one for all. */
  readonly isShared: boolean
  /**
   * The session for a call.
   *
   * @param refused one whose token the remote server did not take: another token is found, which may be of another
   * account that the user has connected meanwhile. The same one again when there is no other
   * @throws {ConnectionRequiredError} when the caller must connect an account first
   */
  forCall(context: AnyCallContext, refused?: RemoteSession): Promise<RemoteSession>
  /**
   * The session for a list; undefined when there is none for this caller. Throws as `forCall` does.
   */
  forList(asking: Asking, refused?: RemoteSession): Promise<RemoteSession | undefined>
  /** The one for all, once it is there. */
  shared(): RemoteSession
  /** Tells somebody of changes in the session that is theirs. */
  hear(hearer: RemoteHearer): SourceHearing
  close(): Promise<void>
}

/** How many callers have sessions at a time, and for how long one of them keeps what it does not use. */
const maxSessions = 200
const idleMs = 300_000
/** How long what was read of a remote server's lists is taken for true, in milliseconds. */
const keepSharedMs = 600_000
const keepOwnMs = 60_000

/** One caller's session, and what it sends. */
interface Slot {
  readonly session: RemoteSession
  /** The token it was opened with, which it sends; undefined where headers say who calls. */
  readonly openedWith: string | undefined
  headers: Readonly<Record<string, string>>
}

/**
 * Creates the sessions of a proxy; none of them is connected yet. A caller is the user, or the client that calls for
 * itself: what one of them opens no other ever uses (R160).
 *
 * @param listener told what the one for all sees
 */
export function createIdentities(
  settings: ProxySettings,
  listener: { onChanged(): void; onLost(): void },
  settleMs?: number,
): Identities {
  const { credentials } = settings
  const isShared = !isOfProvider(credentials) && typeof credentials !== 'function'
  const now = () => performance.now()
  let shared: RemoteSession | undefined
  const hearers = createRemoteHearers({
    keyOf: caller => (isShared ? everybody : keyOf(caller)),
    isShared,
    sync: (key, asking) => sync(key, asking),
    ...(settleMs !== undefined && { settleMs }),
  })
  const slots = new LRUCache<string, Slot>({
    max: maxSessions,
    ttl: idleMs,
    updateAgeOnGet: true,
    ttlAutopurge: true,
    dispose: ({ session }) => void session.retire(),
  })
  const tokens = new WeakMap<RemoteSession, string>()
  const slotOf = (caller: Caller | ClientCaller | undefined, openedWith?: string): Slot => {
    const key = keyOf(caller)
    const known = slots.get(key)
    // Another token may be of another account of the user: it gets a session, and lists, of its own (R179).
    if (known && known.openedWith === openedWith) return known
    const slot: Slot = {
      session: createRemoteSession(
        settings,
        {
          headers: () => slot.headers,
          ...(isOfProvider(credentials) && { auth: { token: async () => openedWith } }),
        },
        { keepMs: keepOwnMs, now, listener: hearers.listenerOf(key) },
      ),
      openedWith,
      headers: {},
    }
    if (openedWith !== undefined) tokens.set(slot.session, openedWith)
    slots.set(key, slot)
    // Whoever hears of changes hears of those of the session that is used from now on.
    if (known) hearers.refresh(key)
    return slot
  }
  const sharedSession = () => {
    const told = hearers.listenerOf(everybody)
    shared ??= createRemoteSession(settings, sharedIdentity(credentials), {
      keepMs: keepSharedMs,
      now,
      // Its lists are everybody's, and so is what is told of them.
      listener: { ...told, ...listener, listens: () => true },
    })
    return shared
  }
  /** Has the session of some callers follow what they follow; opens it when there is something to follow. */
  const sync = async (key: string, asking: Asking | undefined): Promise<void> => {
    const isNeeded = asking !== undefined && hearers.listenerOf(key).followed().size > 0
    // Looking at it keeps it: it is not idle as long as somebody may hear of changes.
    const own = asking ? slots.get(key) : slots.peek(key)
    const open = isShared ? shared : own?.session
    if (!isNeeded) return open?.follow()
    await inSession(
      refused => forList(asking, refused),
      async session => session?.follow(),
    )
  }
  const withHeaders = async (caller: Caller | ClientCaller | undefined, headersFor: HeadersOf) => {
    // Asked before the slot is there: what fails leaves none behind.
    const headers = await headersFor(caller)
    const slot = slotOf(caller)
    slot.headers = headers
    return slot.session
  }
  const withToken = async (
    caller: Caller | ClientCaller | undefined,
    tokenFor: (rejected?: string) => Promise<ExternalToken>,
    refused: RemoteSession | undefined,
  ): Promise<RemoteSession> => {
    let value: string
    try {
      ;({ value } = await tokenFor(refused && tokens.get(refused)))
    } catch (error) {
      // Who has no token, as after disconnecting the account, keeps no session that was opened with one.
      slots.delete(keyOf(caller))
      throw error
    }
    return slotOf(caller, value).session
  }

  const forList: Identities['forList'] = async ({ caller, services }, refused) => {
    if (typeof credentials === 'function') return withHeaders(caller, credentials)
    if (!isOfProvider(credentials)) return sharedSession()
    const { provider, scopes = [] } = credentials
    const connected = services.providers.get(provider)?.connected
    if (!connected || caller?.principal !== 'user') return undefined
    const { userId } = caller
    return withToken(
      caller,
      rejected =>
        rejected === undefined
          ? connected.token(userId, scopes)
          : connected.token(userId, scopes, undefined, rejected),
      refused,
    )
  }

  return {
    isShared,
    async forCall({ caller, token }, refused) {
      if (typeof credentials === 'function') return withHeaders(caller, credentials)
      if (!isOfProvider(credentials)) return sharedSession()
      const { provider } = credentials
      return withToken(
        caller,
        rejected => (rejected === undefined ? token(provider) : token(provider, { rejected })),
        refused,
      )
    },
    forList,
    hear: hearers.hear,
    shared: sharedSession,
    async close() {
      hearers.close()
      const ending = [...slots.values()].map(({ session }) => session.retire())
      slots.clear()
      const last = shared
      shared = undefined
      await Promise.all([...ending, last?.retire()])
    },
  }
}

/** Names the session of all. */
const everybody = 'everybody'

type HeadersOf = Extract<ProxyCredentials, (...caller: never[]) => unknown>

const isOfProvider = (
  credentials: ProxyCredentials | undefined,
): credentials is Extract<ProxyCredentials, { provider: string }> =>
  typeof credentials === 'object' && 'provider' in credentials

/** Users are never taken for clients, nor anybody for nobody. */
const keyOf = (caller: Caller | ClientCaller | undefined): string =>
  caller === undefined
    ? 'nobody'
    : caller.principal === 'user'
      ? `user:${caller.userId}`
      : `client:${caller.issuer} ${caller.clientId}`

function sharedIdentity(credentials: ProxyCredentials | undefined): RemoteIdentity {
  const none = { headers: () => ({}) }
  if (credentials === undefined || typeof credentials === 'function') return none
  if ('bearer' in credentials) return { ...none, auth: { token: async () => credentials.bearer } }
  if ('headers' in credentials) return { headers: () => credentials.headers }
  if (!('tokenUrl' in credentials)) return none
  const own = createOwnToken(credentials, systemClock)
  let sent: string | undefined
  return {
    ...none,
    auth: {
      async token() {
        sent = await own.get()
        return sent
      },
      async onUnauthorized() {
        await own.get(sent)
      },
    },
  }
}
