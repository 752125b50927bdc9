import type { Clock } from '@sallyport/oauth'
import { boundUnread } from './bound-unread.ts'
import { jsonResponse } from './json-response.ts'
import { anybody, principalOf } from './principal.ts'
import type { Caller, ClientCaller } from './tools/call-context.ts'

/** How many requests one user may listen with through one client; the oldest makes room. */
const perCaller = 20

/** How many may listen in all. */
export const maxListening = 10_000

/** Of these, callers who are not signed in: they do not keep out those who are (R171). */
const maxAnybody = maxListening / 2

/** Longest delay that timers take, in milliseconds. */
const maxTimerMs = 2 ** 31 - 1

/** Requests that go on for as long as somebody listens. */
export interface Listening {
  /** Serves one. What it is given is aborted with the caller's token, and when the sign-in is revoked (R157). */
  serve(
    caller: Caller | ClientCaller | undefined,
    listen: (signal: AbortSignal) => Promise<Response>,
  ): Promise<Response>
  /** Ends what the tokens of a sign-in have opened. */
  endGrant(grantId: string): void
}

interface Open {
  grantId: string | undefined
  ended: AbortController
}

/** Creates the requests that listen at one endpoint. */
export function createListening(options: {
  clock: Clock
  /** How many requests of one caller there may be. Default 20. */
  perCaller?: number
  /** How many of callers who are not signed in. Default 5000. */
  maxAnybody?: number
}): Listening {
  const { clock } = options
  /** By principal, the oldest first. */
  const open = new Map<string, Set<Open>>()
  const limits = { caller: options.perCaller ?? perCaller, anybody: options.maxAnybody ?? maxAnybody }

  return {
    async serve(caller, listen) {
      const principal = principalOf(caller)
      const mine = open.get(principal) ?? new Set()
      if (principal === anybody && mine.size >= limits.anybody) return tooMany()
      for (const oldest of [...mine].slice(0, Math.max(0, mine.size + 1 - limits.caller))) {
        if (principal !== anybody) oldest.ended.abort()
      }
      const own: Open = { grantId: caller?.grantId, ended: new AbortController() }
      const over = () => {
        clearTimeout(timer)
        mine.delete(own)
        if (mine.size === 0) open.delete(principal)
      }
      const leftMs = caller && Math.min(Math.max(0, caller.expiresAt - clock()) * 1000, maxTimerMs)
      const timer = leftMs === undefined ? undefined : setTimeout(() => own.ended.abort(), leftMs).unref()
      own.ended.signal.addEventListener('abort', over, { once: true })
      open.set(principal, mine.add(own))
      try {
        return whenOver(await listen(own.ended.signal), over)
      } catch (error) {
        over()
        throw error
      }
    },
    endGrant(grantId) {
      for (const mine of [...open.values()]) {
        for (const each of [...mine]) if (each.grantId === grantId) each.ended.abort()
      }
    },
  }
}

/** The same answer; `over` is called when it has been read, or nobody reads it any more. */
function whenOver(response: Response, over: () => void): Response {
  if (response.body) return new Response(boundUnread(response.body, over), response)
  over()
  return response
}

const tooMany = (): Response =>
  jsonResponse(
    { jsonrpc: '2.0', id: null, error: { code: -32000, message: 'Too many are listening: try again.' } },
    429,
    { 'Retry-After': '30' },
  )
