import { type ProviderHost, ProviderUnavailableError } from '@sallyport/mcp-server'
import type { Connection } from '@sallyport/oauth'
import type { Circuit } from './circuit.ts'
import type { AccountOfUser, ActiveConnection, EndReason, HeldConnection } from './connection-vault.ts'
import type { DpopKey } from './dpop-proof.ts'
import { isAlive, isFresh, usableRefreshToken } from './external-token.ts'
import { pauseSeconds } from './pause.ts'
import { claimRefresh, leaseSeconds, type RefreshLease } from './refresh-lease.ts'
import { createRefreshReplies, maxRounds, type ReplyParts } from './refresh-replies.ts'
import type { TokenReply } from './token-request.ts'
import type { UpstreamError } from './upstream-error.ts'

export interface RefreshParts extends ReplyParts {
  circuit: Circuit
  /** Presents a refresh token at the provider (RFC 6749 §6); never throws. */
  requestRefresh(refreshToken: string, dpopKey: DpopKey | undefined): Promise<TokenReply>
  host: Pick<ProviderHost, 'store' | 'clock' | 'random' | 'emit' | 'sleep'>
}

/** Why a token is refreshed that might do for others. */
export interface RefreshWish {
  /** An API refused this one. */
  rejected?: string | undefined
  /** It must still be fresh in so many seconds. Default 0. */
  aheadSeconds?: (connection: Connection) => number
}

export interface Refresher {
  needsRefresh(held: ActiveConnection, wish: RefreshWish): boolean
  /**
   * What the connection is once somebody has refreshed it, this process or another. A token that works is returned
   * as it is while that fails, or while another process is at it.
   *
   * @throws {ProviderUnavailableError} when the token has ended and cannot be refreshed now
   */
  refresh(of: AccountOfUser, wish: RefreshWish): Promise<HeldConnection | undefined>
  /**
   * Finds a place for replies whose write failed: in their connection, or, when that was deleted meanwhile, where tokens
   * wait to be revoked.
   *
   * @throws {StoreUnavailableError} what is left waits on
   */
  settle(signal?: AbortSignal): Promise<void>
}

/** How long a caller waits for another process, in milliseconds: until the lease of one that died has ended. */
const maxWaitMs = (leaseSeconds + 5) * 1000
const pollMs = [25, 50, 100, 250]

/** A refresh that is due and that nothing stands in the way of. */
interface Due {
  held: ActiveConnection
  refreshToken: string
  /** Whether the present token can be served instead. */
  canServe: boolean
}

type Answer = { answer: HeldConnection | undefined }

/** Creates what refreshes the connections of one provider, one process at a time for each (R180). */
export function createRefresher(parts: RefreshParts): Refresher {
  const { definition, vault, circuit, host } = parts
  const { clock, emit, sleep = realSleep } = host
  const provider = definition.id
  const replies = createRefreshReplies(parts)

  const unavailable = (retryAfterSeconds?: number, cause?: unknown) =>
    new ProviderUnavailableError(provider, {
      ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
      cause,
    })

  const needsRefresh: Refresher['needsRefresh'] = ({ connection, grant }, { rejected, aheadSeconds }) =>
    grant.accessToken === rejected ||
    !isFresh({
      endsAt: connection.accessEndsAt,
      lifeSeconds: connection.accessEndsAt - grant.receivedAt,
      now: clock() + (aheadSeconds?.(connection) ?? 0),
    })

  /**
   * Whether there is anything to do, and whether it may be done now.
   *
   * @param asksCircuit not needed where `admit` follows
   */
  async function consider(
    { userId, account }: AccountOfUser,
    wish: RefreshWish,
    asksCircuit: boolean,
  ): Promise<Due | Answer> {
    for (;;) {
      const held = await vault.find(userId, account)
      if (await replies.settle({ userId, account }, held)) continue
      if (held?.state !== 'active' || !needsRefresh(held, wish)) return { answer: held }
      const { connection, grant } = held
      const isRejected = grant.accessToken === wish.rejected
      const lives = isAlive({ endsAt: connection.accessEndsAt, now: clock() })
      const canServe = lives && !isRejected
      const refreshToken = usableRefreshToken(grant, clock())
      if (refreshToken === undefined) {
        return { answer: canServe ? held : await end(held, lives ? 'revoked' : 'expired') }
      }
      const ownWait = (connection.failure?.nextAttemptAt ?? 0) - clock()
      const wait = ownWait > 0 || !asksCircuit ? ownWait : await circuit.blockedSeconds()
      if (wait <= 0) return { held, refreshToken, canServe }
      if (canServe) return { answer: held }
      throw unavailable(wait)
    }
  }

  async function refresh(of: AccountOfUser, wish: RefreshWish): Promise<HeldConnection | undefined> {
    let rounds = 0
    let polls = 0
    let waitedMs = 0
    for (;;) {
      const due = await consider(of, wish, true)
      if ('answer' in due) return due.answer
      // A process that was never heard of again may be frozen with the only good reply in its hands, so it is given
      // time as long as the user does not feel it.
      const claim = await claimRefresh(host, due.held.connection, { takesOver: !due.canServe })
      if (claim.outcome === 'claimed') {
        const done = await refreshUnder(claim.lease, of, wish)
        if (done) return done.answer
        if (++rounds === maxRounds) throw unavailable()
      } else {
        if (due.canServe) return due.held
        if (waitedMs >= maxWaitMs) throw unavailable()
        const ms = pollMs[Math.min(polls++, pollMs.length - 1)]!
        await sleep(ms)
        waitedMs += ms
      }
    }
  }

  /** Undefined when it has to be looked at again. */
  async function refreshUnder(
    lease: RefreshLease,
    of: AccountOfUser,
    wish: RefreshWish,
  ): Promise<Answer | undefined> {
    let isLost = false
    try {
      // Read again: whoever had the lease before has done the work, as a rule.
      const due = await consider(of, wish, false)
      if ('answer' in due) return due
      const wait = await circuit.admit()
      if (wait > 0) {
        if (due.canServe) return { answer: due.held }
        throw unavailable(wait)
      }
      // Frozen meanwhile: another process may have used the refresh token, and using it twice can end the grant.
      if (!lease.canStillSend()) return undefined
      const { refreshToken } = due
      const reply = await parts.requestRefresh(refreshToken, due.held.grant.dpopKey)
      if (reply.outcome === 'refused') return await afterRefusal(due, reply.error, lease)
      isLost = true
      const stored = await replies.store(
        due.held,
        { refreshToken, grant: reply.grant, receivedAt: clock() },
        lease,
      )
      isLost = false
      await circuit.answered()
      return { answer: stored }
    } finally {
      if (!isLost) await lease.release()
    }
  }

  async function afterRefusal({ held, canServe }: Due, error: UpstreamError, lease: RefreshLease) {
    const { connection } = held
    const { errorClass, retryAfterSeconds } = error
    const { userId, account } = connection
    emit({ type: 'connection_refresh_failed', userId, provider, account, errorClass })
    if (errorClass === 'dead' || errorClass === 'consent') {
      await circuit.answered()
      const whenDead = lease.isTakenOver ? 'lost' : 'revoked'
      return { answer: await end(held, errorClass === 'dead' ? whenDead : 'consent') }
    }
    // Anything else passes, or is for the deployer to mend: a connection never ends by it (R182).
    await circuit.failed(error)
    const count = (connection.failure?.count ?? 0) + 1
    const wait = pauseSeconds({ count, errorClass, retryAfterSeconds })
    const now = clock()
    const failure = { errorClass, at: now, count, nextAttemptAt: now + wait }
    // Somebody else wrote: they may have had more luck.
    if ((await vault.noteFailure(connection, failure)) === 'stale') return undefined
    if (canServe) return { answer: await vault.find(userId, account) }
    throw unavailable(wait, error)
  }

  /** Ends a connection, unless somebody else renewed it meanwhile: then theirs is returned. */
  async function end(held: ActiveConnection, reason: EndReason): Promise<HeldConnection | undefined> {
    const { userId, account } = held.connection
    for (let round = 1; round <= maxRounds; round++) {
      const stored = await vault.find(userId, account)
      const isSame =
        stored?.state === 'active' &&
        stored.grant.accessToken === held.grant.accessToken &&
        stored.grant.refreshToken === held.grant.refreshToken
      if (!isSame) return stored
      if ((await vault.end(stored, reason)) === 'replaced') {
        emit({ type: 'connection_ended', userId, provider, account })
        return vault.find(userId, account)
      }
    }
    throw unavailable()
  }

  return { needsRefresh, refresh, settle: replies.settleAll }
}

function realSleep(ms: number): Promise<void> {
  return new Promise(resolve => void setTimeout(resolve, ms))
}
