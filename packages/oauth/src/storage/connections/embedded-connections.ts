import { z } from 'zod'
import type { EmbeddedSteps } from '../embedded-steps.ts'
import { isSameWrite } from '../is-same-write.ts'
import { type Connection, recordSchemas } from '../records.ts'
import { accountList, connectionLists, tokenList } from './connection-lists.ts'
import { type ConnectionKey, type ConnectionStore, connectionTombstoneSeconds } from './connection-store.ts'

const text = z.string().min(1)
const generationSchema = z.int().positive()
const accountLinkSchema = z.strictObject({
  userId: text,
  provider: text,
  account: text,
  expiresAt: z.int().nonnegative(),
})
type AccountLink = z.infer<typeof accountLinkSchema>

export function createEmbeddedConnections(steps: EmbeddedSteps): ConnectionStore {
  const { keeper, write, read, find, list, listPage } = steps
  const { findLinks, link, unlink } = createLinks(steps)

  const findConnection = (key: ConnectionKey, now: number) =>
    find('connection', recordSchemas.connection, connectionId(key), now)
  const putConnection = (record: Connection, before: Connection | undefined, now: number) => {
    keeper.put(
      'connection',
      connectionId(record),
      { value: JSON.stringify(record), expiresAt: record.expiresAt, userId: record.userId },
      now,
    )
    unlink(before, now, connectionLists(record))
    link(record, now)
  }
  const findLinked = (list: string, now: number): Connection[] =>
    findLinks(list, now)
      .flatMap(link => findConnection(link, now) ?? [])
      .filter(connection => connectionLists(connection).includes(list))

  return {
    findConnection: ({ now, ...key }) => read(() => findConnection(key, now)),
    listConnections: ({ userId, now }) =>
      read(() => list('connection', recordSchemas.connection, { userId }, now)),
    findConnectionsByAccount: ({ accountHash, now }) => read(() => findLinked(accountList(accountHash), now)),
    findConnectionsByToken: ({ tokenHash, now }) => read(() => findLinked(tokenList(tokenHash), now)),
    putConnection: ({ record, now }) =>
      write(() => {
        const before = findConnection(record, now)
        if (before && isSameWrite(before, record)) return before.generation
        // A generation is never used twice: a refresh that began before the user disconnected and connected again
        // must find its generation gone (R180).
        const last =
          before?.generation ?? find('connection_tombstone', generationSchema, connectionId(record), now) ?? 0
        putConnection({ ...record, generation: last + 1 }, before, now)
        return last + 1
      }),
    replaceConnection: ({ record, generation, now }) =>
      write(() => {
        const before = findConnection(record, now)
        if (!before) return 'stale'
        if (before.generation === generation) {
          putConnection({ ...record, generation: generation + 1 }, before, now)
          return 'replaced'
        }
        return before.generation === generation + 1 && isSameWrite(before, record) ? 'replaced' : 'stale'
      }),
    deleteConnection: ({ now, ...key }) =>
      write(() => {
        const before = findConnection(key, now)
        if (!before) return
        const expiresAt = now + connectionTombstoneSeconds
        keeper.put(
          'connection_tombstone',
          connectionId(key),
          { value: `${before.generation}`, expiresAt },
          now,
        )
        keeper.delete('connection', connectionId(key))
        unlink(before, now)
      }),
    listAllConnections: ({ cursor, limit, now }) =>
      read(() => {
        const page = listPage('connection', recordSchemas.connection, undefined, { cursor, limit }, now)
        return { connections: page.records, cursor: page.cursor }
      }),
  }
}

/** The lists a connection is found by, besides that of its user; each is one record. */
function createLinks({ keeper, find }: EmbeddedSteps) {
  /** What a list of connections names, without those whose end has passed. */
  const findLinks = (list: string, now: number): AccountLink[] =>
    (find('account', z.array(accountLinkSchema), list, now) ?? []).filter(({ expiresAt }) => expiresAt > now)
  const findOthers = (list: string, key: ConnectionKey, now: number) =>
    findLinks(list, now).filter(link => connectionId(link) !== connectionId(key))
  const putLinks = (list: string, links: AccountLink[], now: number) => {
    if (links.length === 0) return keeper.delete('account', list)
    const expiresAt = Math.max(...links.map(link => link.expiresAt))
    keeper.put('account', list, { value: JSON.stringify(links), expiresAt }, now)
  }

  return {
    findLinks,
    link(connection: Connection, now: number): void {
      const { userId, provider, account, expiresAt } = connection
      for (const list of connectionLists(connection)) {
        const others = findOthers(list, connection, now)
        putLinks(list, [...others, { userId, provider, account, expiresAt }], now)
      }
    },
    unlink(connection: Connection | undefined, now: number, but: readonly string[] = []): void {
      if (!connection) return
      for (const list of connectionLists(connection)) {
        if (!but.includes(list)) putLinks(list, findOthers(list, connection, now), now)
      }
    },
  }
}

function connectionId({ userId, provider, account }: ConnectionKey): string {
  return JSON.stringify([userId, provider, account])
}
