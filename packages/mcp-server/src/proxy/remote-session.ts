import type { Client } from '@modelcontextprotocol/client'
import { type Catalogue, readCatalogue } from './catalogue.ts'
import {
  connectRemote,
  importClient,
  isModern,
  listenForLists,
  type RemoteIdentity,
} from './connect-remote.ts'
import type { ProxySettings } from './proxy-options.ts'
import { createRemoteFollowing, type RemoteFollowing } from './remote-following.ts'

/** A remote server as one identity sees it: a connection that is made when it is needed, and what it offers. */
export interface RemoteSession {
  /** Runs work over the connection; a session that the remote server has forgotten is opened anew, once. */
  use<T>(work: (client: Client) => Promise<T>): Promise<T>
  /** What there is; what was read is kept for a while. */
  catalogue(): Promise<Catalogue>
  /** What there was when it was last read; undefined before. */
  readonly known: Catalogue | undefined
  /** Listens for changes, and follows what is to be followed there now. Rejects when that cannot be done. */
  follow(): Promise<void>
  /** Closes it when nothing uses it any more. */
  retire(): Promise<void>
}

/** Who is told of what happens at a remote server. */
export interface SessionListener {
  /** Whether anybody wants to be told. */
  listens(): boolean
  /** Resources whose changes they want to be told of, as the remote server knows them. */
  followed(): ReadonlySet<string>
  /** Told when there may be something else. */
  onChanged(): void
  onUpdated(uri: string): void
  /** Told when the connection has ended. */
  onLost(): void
}

/** One connection. Another takes its place when it has to listen and does not; what uses it goes on. */
interface Connection {
  readonly client: Promise<Client>
  listens: boolean
  /** Whether it could only have listened from its beginning (2025 revisions). */
  isDeaf: boolean
  following?: RemoteFollowing
  /** Whether it has begun to follow. */
  follows: boolean
  uses: number
  isReplaced: boolean
}

/**
 * Creates a session; nothing is connected yet.
 *
 * @param options.keepMs how long a catalogue is taken for what there is
 */
export function createRemoteSession(
  settings: ProxySettings,
  identity: RemoteIdentity,
  options: { keepMs: number; now: () => number; listener: SessionListener },
): RemoteSession {
  const { listener } = options
  let current: Connection | undefined
  let read: { at: number; catalogue: Promise<Catalogue> } | undefined
  let known: Catalogue | undefined
  let active = 0
  let retired = false
  /** Whether there was a connection before, by which something was followed. */
  let hasFollowed = false

  const lose = (connection: Connection | undefined) => {
    if (current !== connection || !connection) return
    current = undefined
    read = undefined
    connection.client.then(
      one => one.close(),
      () => {},
    )
    if (!retired) listener.onLost()
  }
  /** What has made room for another session tells nothing more, though calls may still use it. */
  const isTold = (connection: Connection) => current === connection && !retired
  const connected = (): Connection => {
    if (current && !(current.isDeaf && listener.listens())) return current
    const before = current
    if (before) {
      before.isReplaced = true
      if (before.uses === 0) void endOf(before)
    }
    const listens = listener.listens()
    const onClosed = () => lose(connection)
    const connection: Connection = {
      listens,
      isDeaf: false,
      follows: false,
      uses: 0,
      isReplaced: false,
      client: connectRemote(
        settings,
        identity,
        {
          onChanged() {
            if (!isTold(connection)) return
            read = undefined
            listener.onChanged()
          },
          onUpdated(uri) {
            if (isTold(connection)) listener.onUpdated(uri)
          },
          onClosed,
        },
        listens,
      ),
    }
    current = connection
    connection.client.then(
      client => {
        connection.isDeaf = !listens && !isModern(client)
        connection.following = createRemoteFollowing(client, onClosed)
        if (listens && listener.followed().size > 0) void session.follow().catch(() => {})
      },
      () => {
        if (current === connection) current = undefined
      },
    )
    return connection
  }
  const end = async () => {
    const ending = current
    current = undefined
    if (ending) await endOf(ending)
  }
  const endOf = ({ client }: Connection) => client.then(goodbye).catch(() => {})

  const use = async <T>(work: (client: Client, connection: Connection) => Promise<T>): Promise<T> => {
    active++
    try {
      for (let attempt = 1; ; attempt++) {
        const connection = connected()
        connection.uses++
        try {
          return await work(await connection.client, connection)
        } catch (error) {
          const trouble = await troubleOf(error)
          if (trouble !== undefined) lose(connection)
          // Nothing was done with it: it can be sent again.
          if (trouble !== 'forgotten' || attempt > 1) throw error
        } finally {
          connection.uses--
          if (connection.isReplaced && connection.uses === 0) void endOf(connection)
        }
      }
    } finally {
      active--
      if (retired && active === 0) await end()
    }
  }

  const session: RemoteSession = {
    use,
    catalogue() {
      if (!read || options.now() - read.at > options.keepMs) {
        const catalogue = session.use(client => readCatalogue(client, settings))
        const reading = { at: options.now(), catalogue }
        read = reading
        catalogue.then(
          found => {
            known = found
          },
          () => {
            if (read === reading) read = undefined
          },
        )
      }
      return read.catalogue
    },
    get known() {
      return known
    },
    async follow() {
      const isNeeded = listener.followed().size > 0
      // Who only wants to hear of lists hears of those that were read.
      if (retired || (!isNeeded && !current)) return
      await use(async (client, connection) => {
        if (connection.isDeaf) return
        if (!connection.listens && listener.listens()) {
          connection.listens = true
          listenForLists(client, () => lose(connection))
        }
        const isFirst = !connection.follows
        connection.follows = true
        const uris = listener.followed()
        await connection.following?.follow(uris)
        // What has changed while there was no connection was told to nobody.
        if (isFirst && hasFollowed) for (const uri of uris) listener.onUpdated(uri)
        hasFollowed ||= uris.size > 0
      })
    },
    async retire() {
      retired = true
      if (active === 0) await end()
    },
  }
  return session
}

/** How long a remote server may take to hear that a session ends, in milliseconds. */
const goodbyeMs = 1_000

/** Says that the session ends, where there is one (2025 revisions), and closes. */
async function goodbye(client: Client): Promise<void> {
  const transport = client.transport as { terminateSession?(): Promise<void> } | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<void>(resolve => {
    timer = setTimeout(resolve, goodbyeMs)
  })
  await Promise.race([transport?.terminateSession?.().catch(() => {}), late])
  clearTimeout(timer)
  await client.close()
}

/** What an error says of the connection; undefined: nothing. */
async function troubleOf(error: unknown): Promise<'forgotten' | 'lost' | undefined> {
  const { SdkError, SdkErrorCode, SdkHttpError } = await importClient()
  // Streamable HTTP, session management: 404 is the answer to a session that is no more.
  if (error instanceof SdkHttpError) return error.status === 404 ? 'forgotten' : undefined
  if (error instanceof SdkError) {
    const { NotConnected, ConnectionClosed, SendFailed } = SdkErrorCode
    return [NotConnected, ConnectionClosed, SendFailed].includes(error.code) ? 'lost' : undefined
  }
  // What `fetch` throws.
  return error instanceof TypeError ? 'lost' : undefined
}
