import type { Client, ClientOptions } from '@modelcontextprotocol/client'
import type { Serve } from './browser.ts'
import { challengeOf, SignInRequiredError } from './challenge.ts'

/** The revisions that stand for the two eras of the protocol. */
export type Era = '2025-11-25' | '2026-07-28'

/** Both eras, for tests that run in each. */
export const eras: readonly Era[] = ['2025-11-25', '2026-07-28']

export interface ConnectOptions extends Omit<ClientOptions, 'versionNegotiation'> {
  /** Default `2026-07-28`. */
  era?: Era
}

/** Somebody who calls a test server: a user through a client, a client by itself, or nobody. */
export interface TestCaller {
  /** Id of the user at the server, as tools see it; undefined for a client by itself and for nobody. */
  readonly userId: string | undefined
  /** What the token carries. */
  readonly scopes: readonly string[]
  /** The access token of now; undefined for nobody. */
  readonly token: string | undefined
  /**
   * A client of `@modelcontextprotocol/client`, connected. As real ones do it refreshes its token when that has ended;
   * a 401 that is left rejects as `SignInRequiredError`, a 403 as the library's `InsufficientScopeError`.
   *
   * @throws {SignInRequiredError} when the server asks for sign-in on connect
   * @throws {TypeError} when there is no such era
   */
  connect(options?: ConnectOptions): Promise<Client>
  /** One JSON-RPC request, sent as a script does. Default revision `2026-07-28`. */
  request(method: string, params?: Readonly<Record<string, unknown>>, era?: Era): Promise<Response>
}

/** What a caller has to show, and to have renewed. */
export interface Credentials {
  scopes(): readonly string[]
  token(): string | undefined
  /** False when there is nothing to renew it with. */
  renew(): Promise<boolean>
}

export const noCredentials: Credentials = {
  scopes: () => [],
  token: () => undefined,
  renew: async () => false,
}

/** @param onConnected told of each client, so that it can be closed with the server */
export function createTestCaller(
  { serve, url }: { serve: Serve; url: string },
  credentials: Credentials,
  onConnected: (client: Client) => void,
): TestCaller {
  const authorization = () => {
    const token = credentials.token()
    return token === undefined ? {} : { authorization: `Bearer ${token}` }
  }
  return {
    userId: undefined,
    get scopes() {
      return credentials.scopes()
    },
    get token() {
      return credentials.token()
    },
    async connect({ era = '2026-07-28', ...options } = {}) {
      if (!eras.includes(era))
        throw new TypeError(`There is no era "${era}": there are ${eras.join(' and ')}.`)
      const { Client, StreamableHTTPClientTransport } = await importClient()
      const client = new Client(
        { name: 'test-client', version: '1.0.0' },
        {
          ...options,
          versionNegotiation: era === '2026-07-28' ? { mode: { pin: era } } : { mode: 'legacy' },
        },
      )
      const transport = new StreamableHTTPClientTransport(new URL(url), {
        fetch: (target, init) => serve(new Request(target, init)),
        authProvider: {
          token: async () => credentials.token(),
          async onUnauthorized({ response }) {
            const challenge = challengeOf(response)
            const isRenewed = challenge.error === 'invalid_token' && (await credentials.renew())
            if (!isRenewed) throw new SignInRequiredError(challenge)
          },
        },
      })
      await client.connect(transport)
      onConnected(client)
      return client
    },
    request: (method, params = {}, era = '2026-07-28') =>
      serve(
        new Request(url, {
          method: 'POST',
          headers: {
            'content-type': 'application/json',
            accept: 'application/json, text/event-stream',
            'mcp-protocol-version': era,
            ...(era === '2026-07-28' && modernHeaders(method, params)),
            ...authorization(),
          },
          body: JSON.stringify({
            jsonrpc: '2.0',
            id: 1,
            method,
            params: era === '2026-07-28' ? { ...params, _meta: envelope(params._meta) } : params,
          }),
        }),
      ),
  }
}

/** What the 2026 era says in headers too (Streamable HTTP, standard headers). */
function modernHeaders(method: string, { name, uri, taskId }: Readonly<Record<string, unknown>>) {
  const subject = name ?? uri ?? taskId
  return { 'mcp-method': method, ...(typeof subject === 'string' && { 'mcp-name': subject }) }
}

const envelope = (meta: unknown) => ({
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
  ...(meta as object | undefined),
})

/** Only tests that connect a client need the library. */
async function importClient(): Promise<typeof import('@modelcontextprotocol/client')> {
  try {
    return await import('@modelcontextprotocol/client')
  } catch (cause) {
    throw new Error('connect() needs the package @modelcontextprotocol/client: install it for your tests.', {
      cause,
    })
  }
}
