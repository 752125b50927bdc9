import {
  type AuthInfo,
  type ClientCapabilities,
  isInitializeRequest,
  type McpServer,
  type ServerContext,
} from '@modelcontextprotocol/server'
import type { Clock, EventSink, RandomBytes, Sealer, SessionStore } from '@sallyport/oauth'
import type { Hearer } from '../calls/changes.ts'
import type { SharedChanges } from '../calls/shared-changes.ts'
import type { Subscriptions } from '../calls/subscriptions.ts'
import type { ClientExchange, Waiting } from '../elicit/exchange.ts'
import { jsonResponse } from '../json-response.ts'
import { anybody, principalOf } from '../principal.ts'
import type { Caller, ClientCaller } from '../tools/call-context.ts'
import { anonymousStore } from './anonymous-store.ts'
import { type LiveSession, openLiveSession } from './live-session.ts'
import { createSessionTickets, digestOf, type SessionTicket } from './session-ticket.ts'

/** Which clients of the 2025 revisions get a session, and how many are held in memory. */
export interface SessionOptions {
  /**
   * `needed`: clients that say they can be asked something (elicitation, sampling, roots). `always`: all that open with
   * `initialize`. `never`: none, then no tool can ask a client of the 2025 revisions anything. Default `needed`.
   */
  when?: 'needed' | 'always' | 'never'
  /** Held per user and client; the one used least lately makes room. Default 20. */
  perCaller?: number
  /**
   * Held in all, half of them at most for callers who are not signed in where they could be; when they are all busy, new
   * clients are served without a session. Default 1000.
   */
  total?: number
  /** After how long without a request the memory of a session is freed, in seconds. Default 1800. */
  idleSeconds?: number
}

/** What a request within a session is answered with, or what is known of its client where the session cannot answer. */
export type SessionAnswer = Response | { capabilities: ClientCapabilities } | undefined

/** The sessions of 2025-era clients. */
export interface Sessions {
  /** Undefined: the request is in no session and opens none. */
  handle(
    request: Request,
    body: unknown,
    caller: Caller | ClientCaller | undefined,
    authInfo: AuthInfo | undefined,
  ): Promise<SessionAnswer>
  /** Ends streams and calls of a sign-in that was revoked (R157). */
  endGrant(grantId: string): void
  /** Ends all streams and calls; their clients can go on in another process. */
  close(): Promise<void>
}

/** How long another process may not notice that a session was ended, in seconds. */
const recheckSeconds = 60

/** How often idle sessions are looked for, in milliseconds. */
const sweepMs = 60_000

interface HeldSession {
  live: Promise<LiveSession>
  isBusy: () => boolean
  principal: string
  /** Whoever used it last: the same principal, perhaps with a newer token. */
  caller: Caller | ClientCaller | undefined
  /** Whose tokens have opened something here, one of which may be a stream that is still open. */
  grants: Set<string>
  /** Makes up for changes that could not be told because the token had ended. */
  catchUp: () => void
  usedAt: number
  checkedAt: number
}

/**
 * Creates the sessions of a server. A session id says what its session is; what is held here, per session and
 * principal, can be made again from it at any time, in any process.
 *
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#session-management
 */
export function createSessions(
  options: SessionOptions &
    Waiting & {
      /** @param hearer who hears of changes: whoever used the session last */
      createServer: (
        exchangeOf: (context: ServerContext) => ClientExchange,
        subscriptions: Subscriptions,
        hearer: Hearer,
      ) => McpServer
      changes: Pick<SharedChanges, 'tellSession' | 'onSession' | 'onGap'>
      store: SessionStore
      /** Whether callers can sign in: those who have are not kept out by those who have not. Default true. */
      hasSignIn?: boolean
      tenant: string
      sealer: Sealer
      clock: Clock
      random: RandomBytes
      emit: EventSink
      onError: (error: Error) => void
    },
): Sessions {
  const { when = 'needed', perCaller = 20, total = 1_000, idleSeconds = 1_800 } = options
  const { store, hasSignIn = true, changes, clock, emit, onError } = options
  const anybodys = anonymousStore(store, {
    clock,
    onLimit: () => onError(new Error('more than is kept for callers who are not signed in')),
  })
  const storeOf = (principal: string) => (principal === anybody ? anybodys : store)
  const tickets = createSessionTickets(options)
  const replica = Buffer.from(options.random(6)).toString('base64url')
  const keeping = { ...options, replica, tellOthers: changes.tellSession }
  const anybodysTotal = hasSignIn ? total / 2 : total
  /** By key, the one used least lately first. */
  const held = new Map<string, HeldSession>()

  const sweep = setInterval(() => {
    const before = clock() - idleSeconds
    for (const [key, session] of held) if (session.usedAt <= before && !session.isBusy()) free(key)
  }, sweepMs)
  sweep.unref()

  /** What a client told another process to follow. What cannot be read now is read after the next gap. */
  const reload = (session: HeldSession | undefined) => {
    session?.live.then(live => live.reloadSubscriptions()).catch(onError)
  }
  const stopHearing = [
    changes.onSession(key => reload(held.get(key))),
    changes.onGap(() => {
      for (const session of held.values()) reload(session)
    }),
  ]

  const free = (key: string) => {
    const session = held.get(key)
    held.delete(key)
    session?.live.then(live => live.close()).catch(onError)
  }
  /** Makes room for one more; false when all that could go are busy. */
  const makeRoom = (principal: string): boolean => {
    const mine = [...held].filter(([, session]) => session.principal === principal)
    // R22 of sessions: nobody fills the memory, and those who are not signed in do not push out those who are.
    if (mine.length >= (principal === anybody ? anybodysTotal : perCaller)) return freeOneOf(mine)
    if (held.size < total) return true
    const isAnybodys = ([, session]: [string, HeldSession]) => session.principal === anybody
    return freeOneOf([...held].filter(isAnybodys)) || (principal !== anybody && freeOneOf([...held]))
  }
  const freeOneOf = (sessions: [string, HeldSession][]): boolean => {
    const idle = sessions.find(([, session]) => !session.isBusy())
    if (idle) free(idle[0])
    return idle !== undefined
  }

  const hold = async (
    session: { id: string; key: string; ticket: SessionTicket; isNew: boolean },
    principal: string,
  ): Promise<HeldSession> => {
    let live: LiveSession | undefined
    let opened: HeldSession | undefined
    let catchUp = () => {}
    const now = clock()
    const createServer = (
      exchangeOf: (context: ServerContext) => ClientExchange,
      subscriptions: Subscriptions,
    ) =>
      options.createServer(exchangeOf, subscriptions, {
        // Asked already while the session opens.
        caller: () => opened?.caller,
        onRenewed(step) {
          catchUp = step
        },
      })
    const holding: HeldSession = {
      live: openLiveSession(session, {
        ...options,
        createServer,
        keeping: { ...keeping, store: storeOf(principal) },
      }),
      isBusy: () => live?.isBusy ?? true,
      principal,
      caller: undefined,
      grants: new Set(),
      catchUp: () => catchUp(),
      usedAt: now,
      checkedAt: now,
    }
    opened = holding
    held.set(session.key, holding)
    try {
      live = await holding.live
      return holding
    } catch (error) {
      held.delete(session.key)
      throw error
    }
  }

  const open = async (
    request: Request,
    body: unknown,
    caller: Caller | ClientCaller | undefined,
    authInfo: AuthInfo | undefined,
  ): Promise<SessionAnswer> => {
    if (!isInitializeRequest(body)) return undefined
    const { params } = body
    const { elicitation, sampling, roots } = params.capabilities
    if (when !== 'always' && !elicitation && !sampling && !roots) return undefined
    const principal = principalOf(caller)
    if (!makeRoom(principal)) return undefined
    const id = tickets.seal(principal, params)
    const ticket = tickets.open(id)
    if (!ticket) return undefined
    const session = await hold({ id, key: keyOf(ticket, principal), ticket, isNew: true }, principal)
    emit({ type: 'session_opened', ...userOf(caller) })
    return use(session, request, body, caller, authInfo)
  }

  const use = async (
    session: HeldSession,
    request: Request,
    body: unknown,
    caller: Caller | ClientCaller | undefined,
    authInfo: AuthInfo | undefined,
  ): Promise<Response> => {
    session.usedAt = clock()
    session.caller = caller
    if (caller?.grantId !== undefined) session.grants.add(caller.grantId)
    const live = await session.live
    session.catchUp()
    return live.handle(request, {
      ...(body !== undefined && { parsedBody: body }),
      ...(authInfo && { authInfo }),
    })
  }

  const end = async (key: string, ticket: SessionTicket, caller: Caller | ClientCaller | undefined) => {
    const keeping = storeOf(principalOf(caller))
    await keeping.putEndedSession({ idHash: key, expiresAt: ticket.expiresAt, now: clock() })
    free(key)
    emit({ type: 'session_ended', ...userOf(caller) })
    return new Response(null, { status: 200 })
  }

  return {
    async handle(request, body, caller, authInfo) {
      if (when === 'never') return undefined
      const isPost = request.method === 'POST'
      const takesStream = request.headers.get('accept')?.includes('text/event-stream') === true
      const id = request.headers.get('mcp-session-id')
      if (id === null) return isPost && takesStream ? open(request, body, caller, authInfo) : undefined
      const ticket = tickets.open(id)
      const principal = principalOf(caller)
      if (!ticket) return notFound()
      // What was opened before its client signed in goes on afterwards: each caller meets a server object of their own.
      if (ticket.principal !== digestOf(principal) && ticket.principal !== digestOf(anybody)) {
        emit({ type: 'session_refused', ...userOf(caller) })
        return notFound()
      }
      const key = keyOf(ticket, principal)
      const now = clock()
      let session = held.get(key)
      if (!session || session.checkedAt + recheckSeconds <= now) {
        if (await store.isSessionEnded({ idHash: key, now })) {
          free(key)
          return notFound()
        }
        session = held.get(key)
        if (session) session.checkedAt = now
      }
      if (request.method === 'DELETE') return end(key, ticket, caller)
      if (isPost && !takesStream) return { capabilities: ticket.capabilities as ClientCapabilities }
      if (session) {
        held.delete(key)
        held.set(key, session)
      } else if (makeRoom(principal)) {
        session = await hold({ id, key, ticket, isNew: false }, principal)
      } else return tooMany()
      return use(session, request, body, caller, authInfo)
    },
    endGrant(grantId) {
      for (const [key, session] of held) if (session.grants.has(grantId)) free(key)
    },
    async close() {
      clearInterval(sweep)
      for (const stop of stopHearing) stop()
      const closing = [...held.values()].map(async session => (await session.live).close())
      held.clear()
      await Promise.allSettled(closing)
    },
  }
}

/** Names a session of one principal, in memory and in the store. */
const keyOf = ({ id }: SessionTicket, principal: string) => digestOf(JSON.stringify([id, principal]))

const userOf = (caller: Caller | ClientCaller | undefined) =>
  caller?.userId === undefined ? {} : { userId: caller.userId }

/** The answer to unknown sessions, and to those of somebody else: nobody learns which. */
const notFound = (): Response =>
  jsonResponse({ jsonrpc: '2.0', id: null, error: { code: -32001, message: 'Session not found' } }, 404)

const tooMany = (): Response =>
  jsonResponse(
    { jsonrpc: '2.0', id: null, error: { code: -32000, message: 'Too many sessions are busy: try again.' } },
    429,
    { 'Retry-After': '5' },
  )
