import { ConnectionRequiredError, type ExternalToken, ProviderUnavailableError } from '@sallyport/mcp-server'
import { type Clock, type EventSink, StoreUnavailableError } from '@sallyport/oauth'
import type {
  ActiveConnection,
  ConnectionUpdate,
  ConnectionVault,
  HeldConnection,
} from './connection-vault.ts'
import {
  accessEndsAt,
  createExternalToken,
  isAlive,
  isFresh,
  keptRefreshToken,
  refreshTokenOf,
  usableRefreshToken,
} from './external-token.ts'
import { createPauses } from './pause.ts'
import type { ProviderDefinition } from './provider-definition.ts'
import { coversScopes, parseScope } from './scope.ts'
import type { TokenGrant, TokenReply } from './token-request.ts'
import type { ErrorClass, UpstreamError } from './upstream-error.ts'

/** Fresh tokens of one provider's users. */
export interface TokenSource {
  /**
   * The user's access token, refreshed when it was stale.
   *
   * @throws {ConnectionRequiredError} when the user must connect, or grant a missing scope
   * @throws {ProviderUnavailableError} when a token that has ended cannot be refreshed now
   */
  get(userId: string, scopes: readonly string[]): Promise<ExternalToken>
  /** The same after the API answered 401 to `rejected`: another token than that one, at the price of a refresh. */
  renew(userId: string, scopes: readonly string[], rejected: string): Promise<ExternalToken>
  /** Whether `get` is going to answer, now and after the present access token. Asks nobody but the store. */
  isConnected(userId: string, scopes: readonly string[]): Promise<boolean>
}

export interface TokenSourceParts {
  definition: ProviderDefinition
  vault: ConnectionVault
  /** Presents a refresh token at the provider (RFC 6749 §6); never throws. */
  requestRefresh(refreshToken: string): Promise<TokenReply>
  clock: Clock
  emit: EventSink
}

/** How often a step is tried again because another process wrote in between. */
const maxRounds = 5

/** How many replies may wait for the store to come back. */
const maxUnwritten = 1000

/** A refresh whose reply could not be stored yet. */
interface UnwrittenReply {
  refreshToken: string
  grant: TokenGrant
  receivedAt: number
}

/** Creates the token source of one provider; parallel callers of one user share one refresh (R180). */
export function createTokenSource(parts: TokenSourceParts): TokenSource {
  const { definition, vault, clock, emit } = parts
  const provider = definition.id
  const pauses = createPauses(clock)
  const flights = new Map<string, Promise<HeldConnection | undefined>>()
  const unwritten = new Map<string, UnwrittenReply>()

  const unavailable = (retryAfterSeconds: number | undefined, cause?: unknown) =>
    new ProviderUnavailableError(provider, {
      ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
      cause,
    })

  const needsRefresh = ({ connection, grant }: ActiveConnection, rejected: string | undefined) =>
    grant.accessToken === rejected ||
    !isFresh({
      endsAt: connection.accessEndsAt,
      lifeSeconds: connection.accessEndsAt - grant.receivedAt,
      now: clock(),
    })

  function assertUsable(
    held: HeldConnection | undefined,
    scopes: readonly string[],
  ): asserts held is ActiveConnection {
    if (!held) throw new ConnectionRequiredError(provider, 'not_connected', scopes)
    if (held.state === 'dead') throw new ConnectionRequiredError(provider, 'dead', scopes)
    if (!coversScopes(held.connection.scopes, scopes, definition.scopeRules)) {
      throw new ConnectionRequiredError(provider, 'missing_scope', scopes)
    }
  }

  async function getToken(userId: string, scopes: readonly string[], rejected?: string) {
    let held = await vault.find(userId)
    assertUsable(held, scopes)
    if (needsRefresh(held, rejected)) {
      held = await shareRefresh(userId, rejected)
      // Checked again: the refresh may have ended the connection or brought fewer scopes (R179).
      assertUsable(held, scopes)
    } else if (held.sealIsStale) await sealAgain(held)
    const { connection, grant } = held
    return createExternalToken({
      value: grant.accessToken,
      expiresAt: connection.accessEndsAt,
      scopes: connection.scopes,
    })
  }

  /** One refresh per user at a time. No caller's abort signal reaches it: it belongs to all of them. */
  async function shareRefresh(userId: string, rejected: string | undefined) {
    for (let round = 1; ; round++) {
      const running = flights.get(userId)
      const flight = running ?? startFlight(userId, rejected)
      const held = await flight
      // A flight begun for another reason may have found the rejected token fresh: then it takes one of our own.
      const isRejected =
        rejected !== undefined && held?.state === 'active' && held.grant.accessToken === rejected
      if (!running || !isRejected || round === maxRounds) return held
    }
  }

  function startFlight(userId: string, rejected: string | undefined) {
    const flight = refresh(userId, rejected).finally(() => flights.delete(userId))
    flights.set(userId, flight)
    return flight
  }

  async function refresh(userId: string, rejected: string | undefined): Promise<HeldConnection | undefined> {
    // Read again: a flight that ended after our caller's read has done the work already.
    const held = await vault.find(userId)
    if (held?.state !== 'active' || !needsRefresh(held, rejected)) return held
    const refreshToken = usableRefreshToken(held.grant, clock())
    const canServe =
      held.grant.accessToken !== rejected && isAlive({ endsAt: held.connection.accessEndsAt, now: clock() })
    if (refreshToken === undefined) return canServe ? held : end(held)

    const early = unwritten.get(userId)
    if (early?.refreshToken === refreshToken) {
      await storeReply(held, early)
      return refresh(userId, rejected)
    }
    const pauseSeconds = pauses.remaining(userId)
    if (pauseSeconds > 0) {
      if (canServe) return held
      throw unavailable(pauseSeconds)
    }
    const reply = await parts.requestRefresh(refreshToken)
    if (reply.outcome === 'granted') {
      pauses.succeeded(userId)
      return storeReply(held, { refreshToken, grant: reply.grant, receivedAt: clock() })
    }
    return afterRefusal(held, reply.error, canServe)
  }

  async function afterRefusal(held: ActiveConnection, error: UpstreamError, canServe: boolean) {
    const { userId } = held.connection
    emit({ type: 'connection_refresh_failed', userId, provider, errorClass: error.errorClass })
    if (endsConnection(error.errorClass)) return end(held)
    // Anything else passes, or is for the deployer to mend: a connection never ends by it (R182).
    pauses.failed(userId, error.retryAfterSeconds)
    if (canServe) return held
    throw unavailable(pauses.remaining(userId), error)
  }

  /** R181: the new tokens are stored before anybody gets them. */
  async function storeReply(
    held: ActiveConnection,
    reply: UnwrittenReply,
  ): Promise<HeldConnection | undefined> {
    const { userId } = held.connection
    let before = held
    for (let round = 1; round <= maxRounds; round++) {
      const update = toUpdate(before, reply)
      let outcome: 'replaced' | 'stale'
      try {
        outcome = await vault.replace(before.connection, update)
      } catch (error) {
        // The provider may have retired the old refresh token: the reply waits here for the next call.
        if (error instanceof StoreUnavailableError && unwritten.size < maxUnwritten)
          unwritten.set(userId, reply)
        throw error
      }
      unwritten.delete(userId)
      if (outcome === 'replaced') {
        const generation = before.connection.generation + 1
        emit({ type: 'connection_refreshed', userId, provider, generation })
      }
      const stored = await vault.find(userId)
      if (outcome === 'replaced' || stored?.state !== 'active') return stored
      // Another refresh token: the user connected again meanwhile, and that link wins (R180). The same one: only
      // the seal or the access token changed, and a rotated refresh token must not be lost over that.
      if (stored.grant.refreshToken !== reply.refreshToken) return stored
      before = stored
    }
    throw unavailable(undefined)
  }

  function toUpdate({ connection, grant }: ActiveConnection, reply: UnwrittenReply): ConnectionUpdate {
    const { grant: granted, receivedAt } = reply
    const { accessToken, scope } = granted
    // RFC 6749 §6: no new refresh token means that the old one goes on, up to the end it had.
    const refresh = refreshTokenOf(granted, receivedAt) ?? keptRefreshToken(grant)
    return {
      grant: { accessToken, receivedAt, ...refresh, issuer: grant.issuer, subject: grant.subject },
      scopes: scope === undefined ? connection.scopes : parseScope(scope, definition.scopeRules),
      accessEndsAt: accessEndsAt(granted.expiresInSeconds, definition.accessTokenSeconds, receivedAt),
    }
  }

  /** Ends a connection, unless somebody else renewed it meanwhile: then theirs is returned. */
  async function end(held: ActiveConnection): Promise<HeldConnection | undefined> {
    const { userId } = held.connection
    for (let round = 1; round <= maxRounds; round++) {
      const stored = await vault.find(userId)
      const isSame =
        stored?.state === 'active' &&
        stored.grant.accessToken === held.grant.accessToken &&
        stored.grant.refreshToken === held.grant.refreshToken
      if (!isSame) return stored
      if ((await vault.end(stored.connection)) === 'replaced') {
        emit({ type: 'connection_ended', userId, provider })
        return { state: 'dead', connection: stored.connection }
      }
    }
    throw unavailable(undefined)
  }

  /** After a change of `SALLYPORT_SECRET`; a read must not fail because this write did. */
  async function sealAgain(held: ActiveConnection) {
    try {
      await vault.sealAgain(held)
    } catch (error) {
      if (!(error instanceof StoreUnavailableError)) throw error
    }
  }

  return {
    get: (userId, scopes) => getToken(userId, scopes),
    renew: getToken,
    async isConnected(userId, scopes) {
      const held = await vault.find(userId)
      if (held?.state !== 'active') return false
      if (!coversScopes(held.connection.scopes, scopes, definition.scopeRules)) return false
      if (usableRefreshToken(held.grant, clock()) !== undefined) return true
      // Without a refresh token it ends with the access token; where consent would bring one, ask now, not then.
      return !held.grant.refreshTokenMissed && isAlive({ endsAt: held.connection.accessEndsAt, now: clock() })
    },
  }
}

/** Only these end a connection; everything else is tried again. */
function endsConnection(errorClass: ErrorClass): boolean {
  return errorClass === 'dead' || errorClass === 'consent'
}
