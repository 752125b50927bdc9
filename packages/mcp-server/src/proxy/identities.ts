import { systemClock } from '@sallyport/oauth'
import { LRUCache } from 'lru-cache'
import type { Asking } from '../composition/offer-source.ts'
import type { ExternalToken } from '../provider.ts'
import type { AnyCallContext, Caller, ClientCaller } from '../tools/call-context.ts'
import { createOwnToken } from './client-credentials.ts'
import type { RemoteIdentity } from './connect-remote.ts'
import type { ProxyCredentials, ProxySettings } from './proxy-options.ts'
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
 */
export function createIdentities(
  settings: ProxySettings,
  listener: { onChanged(): void; onLost(): void },
): Identities {
  const { credentials } = settings
  const now = () => performance.now()
  let shared: RemoteSession | undefined
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
        { keepMs: keepOwnMs, now },
      ),
      openedWith,
      headers: {},
    }
    if (openedWith !== undefined) tokens.set(slot.session, openedWith)
    slots.set(key, slot)
    return slot
  }
  const sharedSession = () => {
    shared ??= createRemoteSession(settings, sharedIdentity(credentials), {
      keepMs: keepSharedMs,
      now,
      ...listener,
    })
    return shared
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

  return {
    isShared: !isOfProvider(credentials) && typeof credentials !== 'function',
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
    async forList({ caller, services }, refused) {
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
    },
    shared: sharedSession,
    async close() {
      const ending = [...slots.values()].map(({ session }) => session.retire())
      slots.clear()
      const last = shared
      shared = undefined
      await Promise.all([...ending, last?.retire()])
    },
  }
}

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
