import type { ProviderHost } from '@sallyport/mcp-server'
import {
  type Connection,
  type ConnectionKey,
  connectionSealContext,
  connectionStatus,
  hashIdentity,
  rankConnections,
} from '@sallyport/oauth'
import { base64url } from 'jose'
import { z } from 'zod'
import { type ExternalGrant, parseExternalGrant } from './external-token.ts'

/** A connection as stored. A dead one, or one whose seal no longer opens, holds no tokens. */
export type HeldConnection = ActiveConnection | DeadConnection

/** Which of a user's connections. */
export type AccountOfUser = Pick<ConnectionKey, 'userId' | 'account'>

/** Names a connection among those of a provider. */
export function keyOf({ userId, account }: AccountOfUser): string {
  return JSON.stringify([userId, account])
}

export interface DeadConnection {
  state: 'dead'
  connection: Connection
  /** What the account is called, for its owner. */
  label?: string
}

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
  /** Default account: the one that is meant where nobody says which. */
  find(userId: string, account?: string): Promise<HeldConnection | undefined>
  /** The connections of all accounts the user has here, that of the default account first. */
  list(userId: string): Promise<HeldConnection[]>
  /**
   * Writes a connection the user has just made: over `before`, or as that of one more account, which is told apart by
   * the issuer and subject of the grant.
   *
   * @returns the id of the account
   */
  put(userId: string, update: ConnectionUpdate, before: Connection | undefined): Promise<string>
  /** Writes unless somebody else wrote since `before` was read (R180). */
  replace(before: Connection, update: ConnectionUpdate): Promise<'replaced' | 'stale'>
  /** What a connection of this user to the account of a grant is known by, whether there is one or not. */
  keyOf(userId: string, grant: ExternalGrant): ConnectionKey
  /** Whether anybody has a connection to the account of a grant. */
  isConnected(grant: ExternalGrant): Promise<boolean>
  /** Seals the same tokens by the newest secret, unless somebody else wrote since. */
  sealAgain(held: ActiveConnection): Promise<'replaced' | 'stale'>
  /** Keeps how a refresh failed, for all processes, unless somebody else wrote since. */
  noteFailure(before: Connection, failure: Failure): Promise<'replaced' | 'stale'>
  /** Keeps which scopes tools miss, unless somebody else wrote since. */
  noteMissingScopes(before: Connection, missingScopes: readonly string[]): Promise<'replaced' | 'stale'>
  /** Ends a connection and drops its tokens, unless somebody else wrote since. */
  end(before: ActiveConnection, reason: EndReason): Promise<'replaced' | 'stale'>
}

/** How long a connection that cannot be renewed is remembered after its end, to say what ended, in seconds. */
const rememberEndedSeconds = 30 * 86_400

/** A write whose outcome is unknown is sent again this often; `writtenBy` makes that one write (R164). */
const writeAttempts = 3

/**
 * Creates the vault of one provider. `refreshIdleSeconds`: how long an unused refresh token lasts; `tokenNames`: hashes of
 * what the provider may call one, by which a connection is then found.
 */
export function createConnectionVault(
  host: ProviderHost,
  {
    provider,
    refreshIdleSeconds,
    tokenNames,
  }: {
    provider: string
    refreshIdleSeconds: number
    tokenNames?(issuer: string, refreshToken: string): Promise<string[]>
  },
): ConnectionVault {
  const { store, sealer, tenant, clock, random, emit } = host

  /**
   * The id of an account: the same whenever this user connects it, and of no use to find out about another user's. Tools
   * and events name it beside the user, so it is keyed: else whoever reads them could test whose account it is.
   */
  const accountIdOf = (userId: string, { issuer, subject }: ExternalGrant): string =>
    host.keyedHash(JSON.stringify(['account', userId, issuer, subject])).slice(0, 16)

  const operationId = () => base64url.encode(random(16))
  const seal = (
    key: Parameters<typeof connectionSealContext>[1],
    content: ExternalGrant | { label?: string },
  ) => sealer.seal(JSON.stringify(content), connectionSealContext(tenant, key))

  async function toRecord(
    key: ConnectionKey,
    update: ConnectionUpdate,
    before: Connection | undefined,
    connectedAt = before?.connectedAt,
  ): Promise<Omit<Connection, 'generation'>> {
    const { grant, scopes, accessEndsAt, missingScopes } = update
    const now = clock()
    const tokenEnd =
      accessEndsAt === 0 ? now + host.externalTokenSeconds : accessEndsAt + rememberEndedSeconds
    const refreshEnd = (grant.refreshEndsAt ?? now + refreshIdleSeconds) + rememberEndedSeconds
    // Refreshing goes on without an end, unless the provider named one.
    const consentEndsAt = grant.refreshToken
      ? grant.refreshEndsAt && Math.max(grant.refreshEndsAt, accessEndsAt)
      : accessEndsAt || tokenEnd
    return {
      version: 1,
      userId: key.userId,
      provider,
      account: key.account,
      accountHash: hashIdentity([grant.issuer, grant.subject]),
      ...(tokenNames &&
        grant.refreshToken && { tokenHashes: await tokenNames(grant.issuer, grant.refreshToken) }),
      ...(connectedAt !== undefined && { connectedAt }),
      ...(before?.preferredAt !== undefined && { preferredAt: before.preferredAt }),
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
      account: after.account,
      condition: state,
      ...(lastErrorClass && { errorClass: lastErrorClass }),
      ...(nextAttemptAt !== undefined && { nextAttemptAt }),
    })
  }

  /** R179: whatever the store answers, it must be this user's. */
  const isOf = (userId: string) => (each: Connection) => each.userId === userId && each.provider === provider

  async function listRecords(userId: string): Promise<Connection[]> {
    const all = await store.listConnections({ userId, now: clock() })
    return rankConnections(all.filter(isOf(userId)))
  }

  /** Now, or later than the user's other accounts: which was connected first must be clear within one second too. */
  async function nextPlace(userId: string): Promise<number> {
    const others = await listRecords(userId)
    return Math.max(clock(), ...others.map(({ connectedAt = 0 }) => connectedAt + 1))
  }

  function open(connection: Connection): HeldConnection {
    const opened = sealer.open(connection.sealed, connectionSealContext(tenant, connection))
    if (connection.state === 'active') {
      const grant = opened && parseExternalGrant(opened.plaintext)
      if (grant) return { state: 'active', connection, grant, sealIsStale: opened.stale }
    }
    const remembered = opened && parseEnded(opened.plaintext)
    return {
      state: 'dead',
      connection,
      ...(remembered?.label !== undefined && { label: remembered.label }),
    }
  }

  return {
    async find(userId, account) {
      const [connection] =
        account === undefined
          ? await listRecords(userId)
          : [await store.findConnection({ userId, provider, account, now: clock() })]
      return connection && isOf(userId)(connection) && connection.account === (account ?? connection.account)
        ? open(connection)
        : undefined
    },
    list: async userId => (await listRecords(userId)).map(open),
    async put(userId, update, before) {
      const account = before?.account ?? accountIdOf(userId, update.grant)
      const connectedAt = before ? before.connectedAt : await nextPlace(userId)
      const record = await toRecord({ userId, provider, account }, update, before, connectedAt)
      await store.putConnection({ record, now: clock() })
      return account
    },
    keyOf: (userId, grant) => ({ userId, provider, account: accountIdOf(userId, grant) }),
    async isConnected({ issuer, subject }) {
      const accountHash = hashIdentity([issuer, subject])
      const found = await store.findConnectionsByAccount({ accountHash, now: clock() })
      return found.some(each => each.provider === provider && each.state === 'active')
    },
    replace: async (before, update) => replace(before, await toRecord(before, update, before)),
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
    end({ connection: before, grant }, endReason) {
      const { generation: _, tokenHashes: __, ...record } = before
      return replace(before, {
        ...record,
        state: 'dead',
        accountHash: hashIdentity([grant.issuer, grant.subject]),
        sealed: seal(record, grant.label === undefined ? {} : { label: grant.label }),
        writtenBy: operationId(),
        endedAt: clock(),
        endReason,
      })
    },
  }
}

/** What is kept of a connection without tokens. */
const endedSchema = z.object({ label: z.string().optional() })

function parseEnded(plaintext: string): z.infer<typeof endedSchema> | undefined {
  try {
    return endedSchema.safeParse(JSON.parse(plaintext)).data
  } catch {
    return undefined
  }
}
