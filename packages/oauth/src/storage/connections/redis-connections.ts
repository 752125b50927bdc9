import { z } from 'zod'
import { sha256 } from '../../protocol/hash.ts'
import { scripts } from '../lua.generated.ts'
import { type Connection, recordSchemas } from '../records.ts'
import { recordToText } from '../redis-records.ts'
import type { RedisSteps } from '../redis-steps.ts'
import { accountList, connectionLists, tokenList } from './connection-lists.ts'
import { type ConnectionKey, type ConnectionStore, connectionTombstoneSeconds } from './connection-store.ts'

/** How a list names a connection. */
const connectionNameSchema = z.tuple([z.string(), z.string(), z.string()])

export function createRedisConnections(steps: RedisSteps): ConnectionStore {
  const { keys, commands, runConfirmed, put, putConfirmed, unreadable, parse, parseNumbered, readHashes } =
    steps

  const parseConnection = (value: string | null | undefined, now: number): Connection | undefined => {
    const found = parseNumbered('connection', value)
    // Deleted, or ended.
    if (!found || found.record === '' || found.second <= now) return undefined
    return parse('connection', recordSchemas.connection, () => ({
      ...JSON.parse(found.record),
      generation: found.first,
    }))
  }

  const findConnection = async (key: ConnectionKey, now: number, until = commands.stepEndsAt()) => {
    const name = keys.connections(key.userId)
    const value = await commands.read(client => client.hget(name, connectionField(key)), until)
    return parseConnection(value, now)
  }

  /** The lists a connection is found by. They lie in other slots, and are written before the connection. */
  const indexConnection = async (record: Omit<Connection, 'generation'>, now: number, until: number) => {
    const { userId, provider, account, expiresAt } = record
    const name = JSON.stringify([userId, provider, account])
    await Promise.all(
      connectionLists(record).map(list =>
        put('account', scripts.indexRecord, [keys.connectionsOf(list)], [now, name, expiresAt], until),
      ),
    )
  }
  const findLinked = async (list: string, now: number): Promise<Connection[]> => {
    const until = commands.stepEndsAt()
    const key = keys.connectionsOf(list)
    const names =
      (await commands.read(client => client.zrangebyscore(key, `(${now}`, '+inf'), until)) ??
      unreadable('account') ??
      []
    const found = await Promise.all(
      names.map(async name => {
        const link = parse('account', connectionNameSchema, () => JSON.parse(name))
        if (!link) return undefined
        const [userId, provider, account] = link
        return findConnection({ userId, provider, account }, now, until)
      }),
    )
    // A list outlives what it names.
    return found.flatMap(each => (each && connectionLists(each).includes(list) ? each : []))
  }

  return {
    findConnection: ({ now, ...key }) => findConnection(key, now),
    async listConnections({ userId, now }) {
      const key = keys.connections(userId)
      const values = (await commands.read(client => client.hvals(key))) ?? unreadable('connection') ?? []
      const order = ({ provider, account }: Connection) => JSON.stringify([provider, account])
      return values
        .flatMap(value => parseConnection(value, now) ?? [])
        .sort((a, b) => (order(a) < order(b) ? -1 : 1))
    },
    findConnectionsByAccount: ({ accountHash, now }) => findLinked(accountList(accountHash), now),
    findConnectionsByToken: ({ tokenHash, now }) => findLinked(tokenList(tokenHash), now),
    async putConnection({ record, now }) {
      const until = commands.stepEndsAt()
      await indexConnection(record, now, until)
      const reply = await putConfirmed(
        'connection',
        scripts.putConnection,
        [keys.connections(record.userId)],
        [now, connectionField(record), record.expiresAt, recordToText(record)],
        until,
      )
      return Number(reply[1])
    },
    async replaceConnection({ record, generation, now }) {
      const until = commands.stepEndsAt()
      await indexConnection(record, now, until)
      const reply = await runConfirmed(
        'connection',
        scripts.replaceConnection,
        [keys.connections(record.userId)],
        [now, connectionField(record), record.expiresAt, recordToText(record), generation],
        until,
      )
      return (reply?.[0] ?? 'stale') as 'replaced' | 'stale'
    },
    async deleteConnection({ now, ...key }) {
      const endsAt = now + connectionTombstoneSeconds
      await runConfirmed(
        'connection',
        scripts.deleteConnection,
        [keys.connections(key.userId)],
        [now, connectionField(key), endsAt],
      )
    },
    async listAllConnections({ now, ...page }) {
      const { values, cursor } = await readHashes('connection', keys.connectionsPattern(), page)
      return { connections: values.flatMap(value => parseConnection(value, now) ?? []), cursor }
    },
  }
}

function connectionField({ provider, account }: Pick<ConnectionKey, 'provider' | 'account'>): string {
  return sha256(JSON.stringify([provider, account]))
}
