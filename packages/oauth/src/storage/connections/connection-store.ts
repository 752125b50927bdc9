import type { Connection } from '../records.ts'

export interface ConnectionKey {
  userId: string
  provider: string
  account: string
}

export interface ConnectionStore {
  findConnection(step: ConnectionKey & { now: number }): Promise<Connection | undefined>
  listConnections(step: { userId: string; now: number }): Promise<Connection[]>
  /**
   * Connections to one account at a provider, of all users, dead ones too: whom a signal from the provider is about.
   * Those are found whose record carries this `accountHash`.
   */
  findConnectionsByAccount(step: { accountHash: string; now: number }): Promise<Connection[]>
  /** Connections that hold a refresh token: those are found whose record has this among its `tokenHashes`. */
  findConnectionsByToken(step: { tokenHash: string; now: number }): Promise<Connection[]>
  /** Writes a connection the user has just made, over whatever was there; returns its new generation. */
  putConnection(step: { record: Omit<Connection, 'generation'>; now: number }): Promise<number>
  /** Writes only when the stored generation is still `generation`; the record then carries `generation + 1`. */
  replaceConnection(step: {
    record: Omit<Connection, 'generation'>
    generation: number
    now: number
  }): Promise<'replaced' | 'stale'>
  deleteConnection(step: ConnectionKey & { now: number }): Promise<void>
  /**
   * Connections of all users, page by page: `cursor` is undefined for the first page, then what the page before
   * returned. A connection that is there during the whole walk is returned at least once, one that comes or goes
   * meanwhile perhaps. `limit` is about how many one page holds; a page may be empty and not the last.
   */
  listAllConnections(step: {
    cursor: string | undefined
    limit: number
    now: number
  }): Promise<ConnectionPage>
}

export interface ConnectionPage {
  connections: Connection[]
  /** Where the next page begins; undefined after the last. Opaque, and of use in the same walk only. */
  cursor: string | undefined
}

/** How long the generation of a deleted connection is kept: longer than any refresh is under way, in seconds. */
export const connectionTombstoneSeconds = 3_600
