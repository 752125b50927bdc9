import { type ConnectionStatus, connectionStatus } from './connection-status.ts'
import { rankConnections } from './default-connection.ts'
import type { Connection, Grant } from './records.ts'

/** What people are shown of records: nothing that opens anything. */

/** One session: what a client may do for a user. Times are seconds since the epoch. */
export interface GrantSummary {
  grantId: string
  clientId: string
  /** What the client called itself when the user agreed; undefined when it had no name. Unproven. */
  clientName: string | undefined
  resource: string
  scopes: readonly string[]
  createdAt: number
  /** When it last got tokens. */
  lastUsedAt: number
  /** When it ends unless it is used again. */
  endsAt: number
}

/** What a user has connected at a provider. Times are seconds since the epoch. */
export interface ConnectionSummary extends ConnectionStatus {
  provider: string
  /** Which of the user's accounts there: a short hash, or `default` for one of an earlier version. */
  account: string
  /** Whether tools that do not say which account they mean use it. */
  isDefault: boolean
  /** When its tokens last came from the provider. */
  updatedAt: number
  /** When it is forgotten unless it is used again. */
  endsAt: number
}

/** What people are shown of a session. */
export function summarizeGrant(grant: Grant): GrantSummary {
  const { id, clientId, clientName, resource, scopes, createdAt, code, refresh, accessEndsAt } = grant
  return {
    grantId: id,
    clientId,
    clientName,
    resource,
    scopes,
    createdAt,
    lastUsedAt: refresh?.rotatedAt ?? code.redeemedAt ?? createdAt,
    endsAt: code.redeemedAt === undefined ? code.expiresAt : Math.max(accessEndsAt, refresh?.idleEndsAt ?? 0),
  }
}

/** What people are shown of one user's connections: provider by provider, the default account of each first. */
export function summarizeConnections(connections: readonly Connection[], now: number): ConnectionSummary[] {
  const providers = [...new Set(connections.map(({ provider }) => provider))]
  return providers.flatMap(provider =>
    rankConnections(connections.filter(each => each.provider === provider)).map((connection, at) => {
      const { account, updatedAt, expiresAt } = connection
      const status = connectionStatus(connection, now)
      return { provider, account, isDefault: at === 0, ...status, updatedAt, endsAt: expiresAt }
    }),
  )
}
