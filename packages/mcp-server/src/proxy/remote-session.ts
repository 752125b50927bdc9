import type { Client } from '@modelcontextprotocol/client'
import { type Catalogue, readCatalogue } from './catalogue.ts'
import { connectRemote, importClient, type RemoteIdentity } from './connect-remote.ts'
import type { ProxySettings } from './proxy-options.ts'

/** A remote server as one identity sees it: a connection that is made when it is needed, and what it offers. */
export interface RemoteSession {
  /** Runs work over the connection; a session that the remote server has forgotten is opened anew, once. */
  use<T>(work: (client: Client) => Promise<T>): Promise<T>
  /** What there is; what was read is kept for a while. */
  catalogue(): Promise<Catalogue>
  /** What there was when it was last read; undefined before. */
  readonly known: Catalogue | undefined
  /** Closes it when nothing uses it any more. */
  retire(): Promise<void>
}

/**
 * Creates a session; nothing is connected yet.
 *
 * @param options.keepMs how long a catalogue is taken for what there is
 * @param options.onChanged told when there may be something else; undefined: changes are not listened for
 * @param options.onLost told when the connection has ended
 */
export function createRemoteSession(
  settings: ProxySettings,
  identity: RemoteIdentity,
  options: { keepMs: number; now: () => number; onChanged?: () => void; onLost?: () => void },
): RemoteSession {
  let connecting: Promise<Client> | undefined
  let read: { at: number; catalogue: Promise<Catalogue> } | undefined
  let known: Catalogue | undefined
  let active = 0
  let retired = false

  const lose = (client: Promise<Client> | undefined) => {
    if (connecting !== client || !client) return
    connecting = undefined
    read = undefined
    client.then(
      one => one.close(),
      () => {},
    )
    if (!retired) options.onLost?.()
  }
  const connected = (): Promise<Client> => {
    if (connecting) return connecting
    const { onChanged } = options
    const attempt: Promise<Client> = connectRemote(
      settings,
      identity,
      onChanged && {
        onChanged() {
          read = undefined
          onChanged()
        },
        onClosed: () => lose(attempt),
      },
    )
    connecting = attempt
    attempt.catch(() => {
      if (connecting === attempt) connecting = undefined
    })
    return attempt
  }
  const end = async () => {
    const ending = connecting
    connecting = undefined
    await ending?.then(goodbye).catch(() => {})
  }

  const session: RemoteSession = {
    async use(work) {
      active++
      try {
        for (let attempt = 1; ; attempt++) {
          const connection = connected()
          const client = await connection
          try {
            return await work(client)
          } catch (error) {
            const trouble = await troubleOf(error)
            if (trouble !== undefined) lose(connection)
            // Nothing was done with it: it can be sent again.
            if (trouble !== 'forgotten' || attempt > 1) throw error
          }
        }
      } finally {
        active--
        if (retired && active === 0) await end()
      }
    },
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
