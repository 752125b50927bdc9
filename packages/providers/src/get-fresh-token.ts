import {
  type ConnectedAccount,
  ConnectionRequiredError,
  type ExternalToken,
  type ProviderHost,
  ProviderUnavailableError,
  ToolError,
} from '@sallyport/mcp-server'
import {
  anotherAccount,
  type Connection,
  type ConnectionKey,
  type ConnectionStatus,
  connectionStatus,
  StoreUnavailableError,
} from '@sallyport/oauth'
import { type Circuit, createCircuit } from './circuit.ts'
import {
  type AccountOfUser,
  type ActiveConnection,
  type ConnectionVault,
  type HeldConnection,
  keyOf,
} from './connection-vault.ts'
import type { DpopKey } from './dpop-proof.ts'
import { createExternalToken, type ExternalGrant, isAlive, usableRefreshToken } from './external-token.ts'
import type { ProviderDefinition } from './provider-definition.ts'
import { createRefresher, type RefreshWish } from './refresh-connection.ts'
import { coversScopes } from './scope.ts'
import type { TokenReply } from './token-request.ts'

/**
 * Fresh tokens of one provider's users. `account` says of which account; default: the one that is meant where nobody
 * says which.
 */
export interface TokenSource {
  /**
   * The user's access token, refreshed when it was stale.
   *
   * @throws {ConnectionRequiredError} when the user must connect, or grant a missing scope
   * @throws {ToolError} when the user has no such account
   * @throws {ProviderUnavailableError} when a token that has ended cannot be refreshed now
   */
  get(userId: string, scopes: readonly string[], account?: string): Promise<ExternalToken>
  /** The same after the API answered 401 to `rejected`: another token than that one, at the price of a refresh. */
  renew(
    userId: string,
    scopes: readonly string[],
    account: string | undefined,
    rejected: string,
  ): Promise<ExternalToken>
  /**
   * Refreshes a connection without a caller, when its token would not be fresh any more in `aheadSeconds`. Where the
   * provider is left alone, or another process is at it, nothing happens.
   *
   * @returns how the connection does then; undefined when there is none
   * @throws {StoreUnavailableError} when the store does not answer
   */
  keepFresh(userId: string, aheadSeconds: number, account?: string): Promise<ConnectionStatus | undefined>
  /** Finds a place for refreshed tokens whose write failed. @throws {StoreUnavailableError} */
  settle(signal?: AbortSignal): Promise<void>
  /** The same, where how long before depends on the connection. */
  refreshDue(
    of: AccountOfUser,
    aheadSeconds: (connection: Connection) => number,
  ): Promise<{ connection: Connection; status: ConnectionStatus } | undefined>
  /** Whether `get` is going to answer, now and after the present access token. Asks nobody but the store. */
  isConnected(userId: string, scopes: readonly string[], account?: string): Promise<boolean>
  /** How the connection does, for somebody who needs these scopes. Asks nobody but the store. */
  status(userId: string, scopes: readonly string[], account?: string): Promise<ConnectionStatus>
  /** The accounts the user has here, the default first. Asks nobody but the store. */
  accounts(userId: string): Promise<ConnectedAccount[]>
}

export interface TokenSourceParts {
  definition: ProviderDefinition
  vault: ConnectionVault
  /** Our client id there: with the provider, what a circuit is of. */
  clientId: string
  /** Presents a refresh token at the provider (RFC 6749 §6); never throws. */
  requestRefresh(refreshToken: string, dpopKey: DpopKey | undefined): Promise<TokenReply>
  /** Takes tokens that came for a connection which was deleted meanwhile. */
  discard?(key: ConnectionKey, grant: ExternalGrant, accessEndsAt: number): Promise<void>
  /** Told when a tool gets a token: plans its refresh. */
  onUse?(held: ActiveConnection): void
  /** Whether what is planned is being worked off. Default: no. */
  isWorking?(): boolean
  host: Pick<ProviderHost, 'store' | 'clock' | 'random' | 'emit' | 'sleep'>
}

interface Flight {
  result: Promise<HeldConnection | undefined>
  /** Nobody asked for it. */
  isBackground: boolean
}

/** How often a caller begins again because the refresh it joined was not for it. */
const maxRounds = 5

/** Creates the token source of one provider; callers of one user share one refresh, in all processes (R180). */
export function createTokenSource(parts: TokenSourceParts): TokenSource {
  const { definition, vault, host } = parts
  const { clock } = host
  const provider = definition.id
  const circuit: Circuit = createCircuit(host, { id: JSON.stringify([provider, parts.clientId]), provider })
  const refresher = createRefresher({ ...parts, circuit })
  const flights = new Map<string, Flight>()

  const lacking = (granted: readonly string[], needed: readonly string[]) =>
    needed.filter(scope => !coversScopes(granted, [scope], definition.scopeRules))

  async function getToken(userId: string, scopes: readonly string[], account?: string, rejected?: string) {
    let held = await usable(await vault.find(userId, account), scopes, account)
    if (refresher.needsRefresh(held, { rejected }) && !isCaredFor(held, rejected)) {
      // Checked again: the refresh may have ended the connection or brought fewer scopes (R179).
      // Of the account it began with, whichever becomes the default meanwhile.
      held = await usable(await shareRefresh(held.connection, { rejected }), scopes, account)
    } else if (held.sealIsStale) await passingBy(vault.sealAgain(held))
    const { connection, grant } = held
    parts.onUse?.(held)
    return createExternalToken({
      value: grant.accessToken,
      expiresAt: connection.accessEndsAt,
      scopes: connection.scopes,
    })
  }

  /**
   * Whether a token that still works is being refreshed already, or will be when its turn comes: then nobody has to wait
   * for the provider, however many are due and however slow it is.
   */
  function isCaredFor({ connection, grant }: ActiveConnection, rejected: string | undefined): boolean {
    const isRunning = flights.get(keyOf(connection))?.isBackground === true || parts.isWorking?.() === true
    const lives = isAlive({ endsAt: connection.accessEndsAt, now: clock() })
    return isRunning && lives && grant.accessToken !== rejected
  }

  async function usable(
    held: HeldConnection | undefined,
    scopes: readonly string[],
    account: string | undefined,
  ): Promise<ActiveConnection> {
    if (!held && account !== undefined) throw new ToolError(noSuchAccount(definition.label))
    if (!held) throw new ConnectionRequiredError(provider, 'not_connected', scopes)
    const { connection } = held
    // The link must mend this account, whichever is the default when it is followed.
    const required = (reason: 'dead' | 'missing_scope') =>
      new ConnectionRequiredError(provider, reason, scopes, connection.account)
    if (held.state === 'dead') throw required('dead')
    const missing = lacking(connection.scopes, scopes)
    if (missing.length === 0) return held
    const known = connection.missingScopes ?? []
    const all = [...new Set([...known, ...missing])]
    if (all.length > known.length) await passingBy(vault.noteMissingScopes(connection, all))
    throw required('missing_scope')
  }

  /** One refresh per account of a user at a time. No caller's abort signal reaches it: it belongs to all of them. */
  async function shareRefresh(of: AccountOfUser, wish: RefreshWish, isBackground = false) {
    for (let round = 1; ; round++) {
      const running = flights.get(keyOf(of))
      const held = await (running?.result ?? startFlight(of, wish, isBackground))
      // A flight begun for another reason may have found the rejected token fresh: then it takes one of our own.
      const isRejected =
        wish.rejected !== undefined && held?.state === 'active' && held.grant.accessToken === wish.rejected
      if (!running || !isRejected || round === maxRounds) return held
    }
  }

  function startFlight({ userId, account }: AccountOfUser, wish: RefreshWish, isBackground: boolean) {
    const key = keyOf({ userId, account })
    const result = refresher.refresh({ userId, account }, wish).finally(() => flights.delete(key))
    flights.set(key, { result, isBackground })
    return result
  }

  async function statusOf(held: HeldConnection): Promise<ConnectionStatus> {
    const { connection } = held
    const status = connectionStatus(connection, clock())
    if (held.state === 'dead') {
      // One whose seal does not open any more says nothing of its end.
      return connection.state === 'dead' ? status : { ...status, state: 'needs_consent' }
    }
    if (status.state !== 'active' && status.state !== 'expiring') return status
    const wait = refresher.needsRefresh(held, {}) ? await circuit.blockedSeconds() : 0
    return wait > 0 ? { ...status, state: 'degraded', nextAttemptAt: clock() + wait } : status
  }

  const refreshDue: TokenSource['refreshDue'] = async (of, aheadSeconds) => {
    const held = await shareRefresh(of, { aheadSeconds }, true).catch(async error => {
      if (error instanceof ProviderUnavailableError) return vault.find(of.userId, of.account)
      throw error
    })
    return held && { connection: held.connection, status: await statusOf(held) }
  }

  return {
    get: (userId, scopes, account) => getToken(userId, scopes, account),
    renew: getToken,
    settle: refresher.settle,
    async keepFresh(userId, aheadSeconds, account) {
      const found = account === undefined ? await vault.find(userId) : undefined
      const of = account ?? found?.connection.account
      if (of === undefined) return undefined
      return (await refreshDue({ userId, account: of }, () => aheadSeconds))?.status
    },
    refreshDue,
    async isConnected(userId, scopes, account) {
      const held =
        account === anotherAccount ? newestOf(await vault.list(userId)) : await vault.find(userId, account)
      if (held?.state !== 'active' || lacking(held.connection.scopes, scopes).length > 0) return false
      if (usableRefreshToken(held.grant, clock()) !== undefined) return true
      // Without a refresh token it ends with the access token; where consent would bring one, ask now, not then.
      return !held.grant.refreshTokenMissed && isAlive({ endsAt: held.connection.accessEndsAt, now: clock() })
    },
    async status(userId, scopes, account) {
      const held = await vault.find(userId, account)
      if (!held) return { ...noConnection, missingScopes: scopes }
      const status = await statusOf(held)
      const missingScopes = lacking(held.connection.scopes, scopes)
      const asksUser = missingScopes.length > 0 && status.state !== 'revoked'
      return { ...status, missingScopes, ...(asksUser && { state: 'needs_consent' as const }) }
    },
    async accounts(userId) {
      const accounts = await vault.list(userId)
      return Promise.all(
        accounts.map(async (held, at) => {
          const { state, scopes } = await statusOf(held)
          return {
            id: held.connection.account,
            label: held.state === 'active' ? held.grant.label : held.label,
            isDefault: at === 0,
            state,
            scopes,
          }
        }),
      )
    },
  }
}

const noSuchAccount = (label: string) =>
  `You have connected no ${label} account of this id. Leave the account out for the one used by default.`

/** The account that was connected last. */
const newestOf = (accounts: readonly HeldConnection[]): HeldConnection | undefined =>
  accounts.toSorted((a, b) => (b.connection.connectedAt ?? 0) - (a.connection.connectedAt ?? 0))[0]

const noConnection: ConnectionStatus = {
  state: 'needs_consent',
  scopes: [],
  missingScopes: [],
  lastSuccessAt: undefined,
  lastErrorClass: undefined,
  lastErrorAt: undefined,
  nextAttemptAt: undefined,
  consentEndsAt: undefined,
}

/** A read must not fail because a write beside it did. */
async function passingBy(write: Promise<unknown>): Promise<void> {
  try {
    await write
  } catch (error) {
    if (!(error instanceof StoreUnavailableError)) throw error
  }
}
