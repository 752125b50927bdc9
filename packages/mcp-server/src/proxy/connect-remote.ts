import type { AuthProvider, Client, ClientOptions, Transport } from '@modelcontextprotocol/client'
import { ConfigurationError } from '@sallyport/oauth'
import { guardedFetch } from './guarded-fetch.ts'
import type { ProxySettings } from './proxy-options.ts'

/** As whom a remote server is asked. */
export interface RemoteIdentity {
  readonly auth?: AuthProvider | undefined
  readonly headers: () => Readonly<Record<string, string>>
}

/** How long a connection may take, in milliseconds. A command may have to download the server first, as `uvx` does. */
const connectMsTo = (target: ProxySettings['target']) => ('command' in target ? 60_000 : 10_000)
/** Largest message, in bytes, where results may be no larger: lists may be. */
const minMessageBytes = 4_194_304

/**
 * Connects to a remote server. The connection can be asked for nothing: whatever the remote server asks its client for
 * could not be told to the caller it is meant for.
 *
 * @param listener told of changed lists, and of changed resources that are followed, as far as they are listened for
 * @param listens whether the connection listens from its beginning
 * @throws {Error} when there is no way to it
 */
export async function connectRemote(
  { target, maxResultBytes }: Pick<ProxySettings, 'target' | 'maxResultBytes'>,
  identity: RemoteIdentity,
  listener: RemoteListener,
  listens: boolean,
): Promise<Client> {
  const { Client } = await importClient()
  const connectMs = connectMsTo(target)
  const client = new Client(
    { name: 'sallyport-proxy', version: '1' },
    {
      capabilities: {},
      versionNegotiation: { mode: 'auto', probe: { timeoutMs: connectMs } },
      inputRequired: { autoFulfill: false },
      listMaxPages: 20,
      jsonSchemaValidator: trusting,
    },
  )
  for (const kind of ['tools', 'prompts', 'resources'] as const) {
    client.setNotificationHandler(`notifications/${kind}/list_changed`, () => listener.onChanged())
  }
  client.setNotificationHandler('notifications/resources/updated', ({ params: { uri } }) =>
    listener.onUpdated(uri),
  )
  const maxBytes = Math.max(minMessageBytes, 2 * maxResultBytes)
  await client.connect(await transportTo(target, identity, maxBytes, listens), { timeout: connectMs })
  client.onclose = () => listener.onClosed()
  if (listens) listenForLists(client, listener.onClosed)
  return client
}

/** Told of what happens at a remote server. */
export interface RemoteListener {
  onChanged(): void
  onUpdated(uri: string): void
  onClosed(): void
}

/** Whether a remote server is of 2026-07-28 or later, where anything can be listened for at any time. */
export const isModern = (client: Client): boolean => (client.getNegotiatedProtocolVersion() ?? '') >= '2026'

/** How long the stream of a 2025 revision is opened again after it broke: about an hour and a half, while it is wanted. */
const reconnectionOptions = {
  initialReconnectionDelay: 1_000,
  maxReconnectionDelay: 60_000,
  reconnectionDelayGrowFactor: 2,
  maxRetries: 100,
}

async function transportTo(
  target: ProxySettings['target'],
  { auth, headers }: RemoteIdentity,
  maxBytes: number,
  listens: boolean,
): Promise<Transport> {
  if ('command' in target) {
    const { StdioClientTransport } = await import('@modelcontextprotocol/client/stdio')
    return new StdioClientTransport({ ...target, maxBufferSize: maxBytes })
  }
  const { StreamableHTTPClientTransport } = await importClient()
  return new StreamableHTTPClientTransport(target.url, {
    fetch: guardedFetch(target.url, { maxBytes, headers, listens }),
    requestInit: { redirect: 'error' },
    onInsufficientScope: 'throw',
    reconnectionOptions,
    ...(auth && { authProvider: auth }),
  })
}

/** Since 2026-07-28 changes are told to who listens; before, to who is connected. */
export function listenForLists(client: Client, onClosed: () => void): void {
  const { tools, prompts, resources } = client.getServerCapabilities() ?? {}
  const filter = {
    ...(tools?.listChanged && { toolsListChanged: true }),
    ...(prompts?.listChanged && { promptsListChanged: true }),
    ...(resources?.listChanged && { resourcesListChanged: true }),
  }
  if (Object.keys(filter).length === 0) return
  client.listen(filter).then(
    async subscription => {
      if ((await subscription.closed) === 'remote') onClosed()
    },
    // An older revision needs none; of a newer one that refuses, changes are seen when lists are read again.
    () => {},
  )
}

/**
 * Schemas of the remote server are not compiled: a pattern in one could keep this process busy for hours. Who has sent
 * arguments and gets results checks them.
 */
const trusting: NonNullable<ClientOptions['jsonSchemaValidator']> = {
  getValidator: () => input => ({ valid: true, data: input as never, errorMessage: undefined }),
}

/** Only servers with a proxy need the library. */
export async function importClient(): Promise<typeof import('@modelcontextprotocol/client')> {
  try {
    return await import('@modelcontextprotocol/client')
  } catch (cause) {
    throw new ConfigurationError(
      'server.proxy needs the package @modelcontextprotocol/client: add it to your dependencies.',
      { cause },
    )
  }
}
