import type { ProviderHost } from '@sallyport/mcp-server'
import { type Connection, connectionSealContext, connectionStatus } from '@sallyport/oauth'
import { base64url } from 'jose'
import { type ExternalGrant, externalGrantSchema } from './external-token.ts'

/** A connection as stored. A dead one, or one whose seal no longer opens, holds no tokens. */
export type HeldConnection = ActiveConnection | { state: 'dead'; connection: Connection }

export interface ActiveConnection {
  state: 'active'
  connection: Connection
  grant: ExternalGrant
  /** Sealed by an older secret of the ring: worth sealing again. */
  sealIsStale: boolean
}

/** What a write says about a connection; times in seconds since the epoch. */
export interface ConnectionUpdate {
  grant: ExternalGrant
  scopes: readonly string[]
  /** 0 when the provider does not say. */
  accessEndsAt: number
  /** Scopes that tools still miss. Default: none that is known. */
  missingScopes?: readonly string[]
}

export type Failure = NonNullable<Connection['failure']>
export type EndReason = NonNullable<Connection['endReason']>

/** One provider's connections: opens and seals, and leaves every decision to its callers. */
export interface ConnectionVault {
  find(userId: string): Promise<HeldConnection | undefined>
  /** Writes a connection the user has just made, over whatever was there. */
  put(userId: string, update: ConnectionUpdate): Promise<void>
  /** Writes unless somebody else wrote since `before` was read (R180). */
  replace(before: Connection, update: ConnectionUpdate): Promise<'replaced' | 'stale'>
  /** Seals the same tokens by the newest secret, unless somebody else wrote since. */
  sealAgain(held: ActiveConnection): Promise<'replaced' | 'stale'>
  /** Keeps how a refresh failed, for all processes, unless somebody else wrote since. */
  noteFailure(before: Connection, failure: Failure): Promise<'replaced' | 'stale'>
  /** Keeps which scopes tools miss, unless somebody else wrote since. */
  noteMissingScopes(before: Connection, missingScopes: readonly string[]): Promise<'replaced' | 'stale'>
  /** Ends a connection and drops its tokens, unless somebody else wrote since. */
  end(before: Connection, reason: EndReason): Promise<'replaced' | 'stale'>
}

/** How long a connection that cannot be renewed is remembered after its end, to say what ended, in seconds. */
const rememberEndedSeconds = 30 * 86_400

/** Several accounts per provider come later; until then each user has the one. */
const account = 'default'

/** A write whose outcome is unknown is sent again this often; `writtenBy` makes that one write (R164). */
const writeAttempts = 3

/** Creates the vault of one provider. `refreshIdleSeconds`: how long an unused refresh token lasts. */
export function createConnectionVault(
  host: ProviderHost,
  { provider, refreshIdleSeconds }: { provider: string; refreshIdleSeconds: number },
): ConnectionVault {
  const { store, sealer, tenant, clock, random, emit } = host

  const operationId = () => base64url.encode(random(16))
  const seal = (key: Parameters<typeof connectionSealContext>[1], grant: ExternalGrant | undefined) =>
    sealer.seal(JSON.stringify(grant ?? {}), connectionSealContext(tenant, key))

  function toRecord(userId: string, update: ConnectionUpdate): Omit<Connection, 'generation'> {
    const { grant, scopes, accessEndsAt, missingScopes } = update
    const now = clock()
    const key = { userId, provider, account }
    const tokenEnd =
      accessEndsAt === 0 ? now + host.externalTokenSeconds : accessEndsAt + rememberEndedSeconds
    const refreshEnd = (grant.refreshEndsAt ?? now + refreshIdleSeconds) + rememberEndedSeconds
    // Refreshing goes on without an end, unless the provider named one.
    const consentEndsAt = grant.refreshToken
      ? grant.refreshEndsAt && Math.max(grant.refreshEndsAt, accessEndsAt)
      : accessEndsAt || tokenEnd
    return {
      version: 1,
      ...key,
      writtenBy: operationId(),
      state: 'active',
      scopes: [...scopes],
      sealed: seal(key, grant),
      accessEndsAt,
      updatedAt: now,
      expiresAt: grant.refreshToken ? Math.max(tokenEnd, refreshEnd) : tokenEnd,
      ...(consentEndsAt !== undefined && { consentEndsAt }),
      ...(missingScopes && { missingScopes: [...missingScopes] }),
    }
  }

  async function replace(before: Connection, record: Omit<Connection, 'generation'>) {
    const { generation } = before
    for (let attempt = 1; ; attempt++) {
      try {
        const outcome = await store.replaceConnection({ record, generation, now: clock() })
        if (outcome === 'replaced') tellChange(before, { ...record, generation })
        return outcome
      } catch (error) {
        // The tokens in hand may be the only ones that still work (rotation): do not give up at once.
        if (attempt === writeAttempts) throw error
      }
    }
  }

  function tellChange(before: Connection, after: Connection) {
    const now = clock()
    const { state, lastErrorClass, nextAttemptAt } = connectionStatus(after, now)
    if (state === connectionStatus(before, now).state) return
    emit({
      type: 'connection_changed',
      userId: after.userId,
      provider,
      condition: state,
      ...(lastErrorClass && { errorClass: lastErrorClass }),
      ...(nextAttemptAt !== undefined && { nextAttemptAt }),
    })
  }

  return {
    async find(userId) {
      const connection = await store.findConnection({ userId, provider, account, now: clock() })
      // R179: whatever the store answers, it must be this user's.
      if (!connection || connection.userId !== userId || connection.provider !== provider) return undefined
      if (connection.state === 'dead') return { state: 'dead', connection }
      const opened = sealer.open(connection.sealed, connectionSealContext(tenant, connection))
      const grant = opened && parseGrant(opened.plaintext)
      if (!grant) return { state: 'dead', connection }
      return { state: 'active', connection, grant, sealIsStale: opened.stale }
    },
    async put(userId, update) {
      await store.putConnection({ record: toRecord(userId, update), now: clock() })
    },
    replace: (before, update) => replace(before, toRecord(before.userId, update)),
    sealAgain({ connection, grant }) {
      const { generation: _, ...record } = connection
      return replace(connection, { ...record, sealed: seal(record, grant), writtenBy: operationId() })
    },
    noteFailure(before, failure) {
      const { generation: _, ...record } = before
      return replace(before, { ...record, failure, writtenBy: operationId() })
    },
    noteMissingScopes(before, missingScopes) {
      const { generation: _, ...record } = before
      return replace(before, { ...record, missingScopes: [...missingScopes], writtenBy: operationId() })
    },
    end(before, endReason) {
      const { generation: _, ...record } = before
      return replace(before, {
        ...record,
        state: 'dead',
        sealed: seal(record, undefined),
        writtenBy: operationId(),
        endedAt: clock(),
        endReason,
      })
    },
  }
}

function parseGrant(plaintext: string): ExternalGrant | undefined {
  try {
    return externalGrantSchema.safeParse(JSON.parse(plaintext)).data
  } catch {
    return undefined
  }
}
