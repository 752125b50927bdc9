import type { Client } from '@modelcontextprotocol/client'
import type { RecordedEvent } from '@sallyport/oauth'
import { withMounted } from '../composition/mounts.ts'
import { createServerOf } from '../create-server.ts'
import { checkKeys } from '../known-keys.ts'
import type { Server, ServerOptions } from '../server.ts'
import { partsOf } from '../server-parts.ts'
import { createBrowser, type Place, type Serve } from './browser.ts'
import { copyRoutes } from './copy-routes.ts'
import type { FakeAccount, FakeProvider } from './fake-provider.ts'
import { holdTokens } from './held-tokens.ts'
import { type Credentials, createTestCaller, noCredentials, type TestCaller } from './test-caller.ts'
import { createTestClock, type TestClock } from './test-clock.ts'
import { createTestLog, type LogEntry } from './test-log.ts'
import { type Cast, castFor, testOptions } from './test-options.ts'
import { authorizeClient, authorizeUser, refreshTokens, walk } from './token-requests.ts'

export interface TestServerOptions {
  /** They stand in for the server's providers of the same id. Default: for each one, a fake without an API. */
  providers?: readonly FakeProvider[]
  /** The time of the server and of its providers. Default: one of its own. */
  clock?: TestClock
  /** Options in place of those the server was created with. */
  options?: Omit<Partial<ServerOptions>, 'signIn' | 'providers' | 'clock' | 'onEvent'>
}

const optionKeys: Readonly<Record<keyof TestServerOptions, true>> = {
  providers: true,
  clock: true,
  options: true,
}

/** A user, and what the client may do for them. */
export interface TestUser extends FakeAccount {
  /** Default: what a client gets that names none, which is the base scope. */
  readonly scopes?: readonly string[]
}

/** A client that calls for itself. */
export interface TestClient {
  /** One of the server's option `clients` whose `grantTypes` have `client_credentials`. */
  readonly clientId: string
  /** Default: all of its own. */
  readonly scopes?: readonly string[]
}

/** A signed-in user. */
export interface TestUserCaller extends TestCaller {
  readonly userId: string
  /**
   * Opens a link of the server, such as one to connect an account, in the browser the user has signed in with, and
   * agrees to everything there.
   *
   * @param account who they are at the provider, for one more account of theirs. Default: who they signed in as
   */
  open(link: string, account?: FakeAccount): Promise<Place>
}

/** A server under test. It does not listen. */
export interface TestServer {
  /** The server itself; `admin` ends sessions and disables users. */
  readonly server: Server
  /** URL of the MCP endpoint. */
  readonly url: string
  readonly clock: TestClock
  /** Every event so far. */
  readonly events: readonly RecordedEvent[]
  /** What was logged so far, without `debug`: with `err`, the error behind a result that tells nothing. */
  readonly logs: readonly LogEntry[]
  /** The provider of this id: the fake that was given, or the one in its place. */
  provider(id: string): FakeProvider
  /** Answers one request; a path is one of the server. */
  fetch(input: string | URL | Request, init?: RequestInit): Promise<Response>
  /**
   * Signs a user in, through consent and every provider that the scopes' tools need, and gives the client a real token.
   * The same `sub` is the same user. On a server with an `issuer` the token is one of that issuer, which the test kit
   * plays, and carries the scopes that are named here.
   *
   * @throws {Error} when the server has no sign-in, refuses, or knows no such scope
   */
  asUser(user: TestUser): Promise<TestUserCaller>
  /** @throws {Error} when there is no such client, or it may not have the scopes; with an `issuer` there is any client */
  asClient(client: TestClient): Promise<TestCaller>
  /** Without a token. */
  asNobody(): TestCaller
  /** Closes all its clients, and the server. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Makes a server for tests out of one that `createServer` made: the same tools, resources and prompts behind the same
 * gate, with a store, a clock and users of its own, and without anything of the deployment (environment, folder, keys,
 * providers). What the original tells with `notify` reaches its clients. The original is not touched but for one thing:
 * nothing can be added to it any more once the first request has come.
 *
 * @throws {TypeError} when it is no such server, or lacks a provider that a fake is for
 * @throws {ConfigurationError} when an option is unknown
 */
export function createTestServer(
  original: Pick<Server, 'app' | 'url'>,
  given: TestServerOptions = {},
): TestServer {
  checkKeys(given, optionKeys, 'createTestServer')
  const { providers = [], clock = createTestClock(), options: overrides = {} } = given
  const parts = partsOf(original)
  if (!parts) throw new TypeError('createTestServer takes a server that createServer made.')
  const real = withMounted(parts.options, parts.mounts)
  const cast = castFor(real, providers, clock, () => server.url)
  const events: RecordedEvent[] = []
  const { log, entries } = createTestLog()
  const options = testOptions(real, cast, { clock, log, events, overrides })
  const server = createServerOf(options, parts)
  copyRoutes(original.app, server.app)

  const { url } = server
  const { origin } = new URL(url)
  const serve: Serve = request => server.fetch(request)
  const endpoint = { serve, origin }
  const clients: Client[] = []
  const caller = (credentials: Credentials) =>
    createTestCaller({ serve, url }, credentials, client => void clients.push(client))

  return {
    server,
    url,
    clock,
    events,
    logs: entries,
    provider(id) {
      const found = cast.providers.find(fake => fake.id === id)
      if (!found) throw new TypeError(`The server has no provider "${id}".`)
      return found
    },
    fetch: (input, init) =>
      serve(input instanceof Request ? new Request(input, init) : new Request(new URL(input, origin), init)),
    async asUser({ scopes, ...account }) {
      const { signIn, issuer } = cast
      if (issuer) {
        const issued = (carried = scopes ?? []) => ({
          accessToken: issuer.issueFor(account, carried),
          refreshToken: 'the test kit issues another one',
          scopes: carried,
        })
        const userId = await issuer.userIdOf(account, signIn && options.store)
        const headers = signIn && 'login' in signIn ? signIn.headersFor(account) : {}
        const browser = createBrowser(serve, origin, headers)
        const open: TestUserCaller['open'] = (link, as = account) =>
          walk(browser, link, place => comeBack(cast, place, account, as))
        return Object.assign(caller(holdTokens(issued(), async () => issued())), { userId, open })
      }
      if (!signIn) throw new Error('The server has no sign-in, so nobody can be signed in: use asNobody().')
      const headers = 'login' in signIn ? signIn.headersFor(account) : {}
      const browser = createBrowser(serve, origin, headers)
      const elsewhere = (place: string) => comeBack(cast, place, account)
      const issued = await authorizeUser(endpoint, browser, elsewhere, scopes)
      const held = holdTokens(issued, refreshToken => refreshTokens(endpoint, refreshToken))
      const userId = signIn.users.get(account.sub)
      if (userId === undefined) throw new Error('The sign-in ended without a user.')
      const open: TestUserCaller['open'] = (link, as = account) =>
        walk(browser, link, place => comeBack(cast, place, account, as))
      return Object.assign(caller(held), { userId, open })
    },
    async asClient({ clientId, scopes }) {
      const { issuer } = cast
      if (issuer) {
        const accessToken = issuer.issueForClient(clientId, scopes ?? [])
        return caller(holdTokens({ accessToken, refreshToken: undefined, scopes: scopes ?? [] }))
      }
      return caller(holdTokens(await authorizeClient(endpoint, clientId, scopes)))
    },
    asNobody: () => caller(noCredentials),
    close,
    [Symbol.asyncDispose]: close,
  }

  async function close(): Promise<void> {
    for (const client of clients.splice(0)) await client.close()
    await server.close()
  }
}

/**
 * Where a provider sends the browser back to; undefined where it has left for good.
 *
 * @param connecting who they are where an account is connected. Default: who they sign in as
 */
const comeBack = (
  { providers }: Cast,
  place: string,
  account: FakeAccount,
  connecting: FakeAccount = account,
): string | undefined => {
  const isConnecting = URL.canParse(place) && new URL(place).searchParams.has('connects')
  return providers
    .find(provider => provider.isAuthorizationUrl(place))
    ?.approve(place, isConnecting ? connecting : account)
}
