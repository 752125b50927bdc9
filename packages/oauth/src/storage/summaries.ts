import { type ConnectionStatus, connectionStatus } from './connection-status.ts'
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
  account: string
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

/** What people are shown of a connection. */
export function summarizeConnection(connection: Connection, now: number): ConnectionSummary {
  const { provider, account, updatedAt, expiresAt } = connection
  return { provider, account, ...connectionStatus(connection, now), updatedAt, endsAt: expiresAt }
}
