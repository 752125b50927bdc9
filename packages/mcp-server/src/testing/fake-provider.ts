import type { LoginPrompt, RedirectLogin } from '@sallyport/oauth'
import {
  type ConnectedProvider,
  ConnectionRequiredError,
  type Provider,
  type ProviderHost,
} from '../provider.ts'
import { createFakeAccounts, type FakeConnectedAccount } from './fake-accounts.ts'
import { createFakeConnections, type ProviderFault } from './fake-connections.ts'

/** Answers a request that a tool sends to the provider's API. */
export type FakeApi = (request: Request) => Response | Promise<Response>

/** Who signs in. */
export interface FakeAccount {
  /** Subject: what the provider, or the sign-in, knows the user by. */
  readonly sub: string
  /** What people call them. Default: none. */
  readonly name?: string
  /** When they authenticated, seconds since the epoch. Default: where the sign-in tells it, now. */
  readonly authTime?: number
  /** How (RFC 8176). Default: it is not said. */
  readonly amr?: readonly string[]
  /** Authentication context class. Default: it is not said. */
  readonly acr?: string
}

export interface FakeProviderOptions {
  /** Name users know it by. Default: that of the provider it stands in for, else the id. */
  label?: string
  /** It signs nobody in. Default: as the provider it stands in for. */
  connectOnly?: boolean
  /** Values of `prompt` it honours; with `login` it tells when its users authenticated. Default: none. */
  prompts?: readonly LoginPrompt[]
  /**
   * Its API: a function that gets every request with the user's token, or one for each origin the token may go to, such
   * as `{ 'https://api.example.com': app.fetch }`. Default: each request is an error.
   */
  api?: FakeApi | Readonly<Record<string, FakeApi>>
  /** Life of its access tokens, in seconds; 0: they do not end. Default 3600. */
  accessTokenSeconds?: number
  /** Whether it gives refresh tokens. Default true. */
  refreshes?: boolean
}

/** A request that a tool sent to the API of a fake provider. */
export interface FakeProviderRequest {
  readonly userId: string
  /** Subject of the user's account it was sent with; undefined for a connection that the test made. */
  readonly account: string | undefined
  /** Provider scopes the tool names. */
  readonly scopes: readonly string[]
  readonly method: string
  readonly url: string
  /** As they were sent, `authorization` among them. */
  readonly headers: Headers
  readonly body: string
}

/** A provider that does as its test says. */
export interface FakeProvider<Id extends string = string> extends Provider<Id> {
  /**
   * User id → provider scopes granted. A test may put, change and delete them. Further accounts of a user stand under
   * `<user id>/<account id>`.
   */
  readonly connections: Map<string, readonly string[]>
  /** Subject → id of the user at the server, of everybody who has been here. */
  readonly users: ReadonlyMap<string, string>
  /** Requests to its API, in order; one that is sent again with a new token counts again. */
  readonly requests: readonly FakeProviderRequest[]
  /** Each time a browser was sent here: the provider scopes that were asked for. */
  readonly trips: readonly { readonly scopes: readonly string[] }[]
  /** Values of the access tokens it has issued, in order: no result and no log should have one. */
  readonly tokens: readonly string[]
  /** What the next uses meet, in order, whoever they are of. When the list has ended all is well. */
  script(...faults: readonly ProviderFault[]): void
  /** The same for the uses of one user, before what is scripted for everybody. */
  scriptFor(userId: string, ...faults: readonly ProviderFault[]): void
  /**
   * Signs in and agrees to everything.
   *
   * @param authorizationUrl where the server sent the browser
   * @returns where the provider sends it back to
   */
  approve(authorizationUrl: string, account: FakeAccount): string
  /** Whether this is where the server sends browsers to sign in here. */
  isAuthorizationUrl(url: string): boolean
}

/** A request on its way to the API, and the scopes that it is for. */
interface Wanted {
  readonly scopes: readonly string[]
  readonly request: Request
}

/** Creates a provider for tests: its users are who the test says, and its connections fail when the test says. */
export function fakeProvider<const Id extends string>(
  id: Id,
  options: FakeProviderOptions = {},
): FakeProvider<Id> {
  const { label = id, connectOnly, refreshes = true, accessTokenSeconds = 3600 } = options
  const issuer = `https://${id}.example`
  const connections = createFakeConnections({ id, refreshes, accessTokenSeconds })
  const users = new Map<string, string>()
  const accounts = createFakeAccounts(label)
  const requests: FakeProviderRequest[] = []
  const trips: { scopes: readonly string[] }[] = []
  const codes = new Map<string, FakeAccount>()

  const { api } = options
  const apiFor = (url: URL): FakeApi | undefined => {
    if (typeof api === 'function') return api
    if (api) return Object.hasOwn(api, url.origin) ? api[url.origin] : undefined
    return () => {
      throw new Error(`A tool called ${url.origin}: say in fakeProvider('${id}', { api }) what it answers.`)
    }
  }
  const loginOf = ({ clock }: Pick<ProviderHost, 'clock'>): RedirectLogin => ({
    kind: 'redirect',
    id,
    label,
    ...(options.prompts && { prompts: options.prompts }),
    async start({ callbackUrl, upstreamState, scopes, userId }) {
      trips.push({ scopes })
      const url = new URL(`${issuer}/authorize`)
      url.searchParams.set('redirect_uri', callbackUrl)
      url.searchParams.set('state', upstreamState)
      // Who signs in is not known yet: then the trip is a sign-in, else it connects an account of that user.
      if (userId !== undefined) url.searchParams.set('connects', 'true')
      return { url: url.href, memory: {} }
    },
    async finish({ parameters, scopes }) {
      const code = parameters.get('code') ?? ''
      const { sub, authTime, ...account } = codes.get(code) ?? { sub: code }
      const time = authTime ?? (options.prompts?.includes('login') ? clock() : undefined)
      return {
        issuer,
        subject: sub,
        ...account,
        ...(time !== undefined && { authTime: time }),
        async onUser(userId) {
          users.set(sub, userId)
          connections.connect(accounts.add(userId, sub, account.name), scopes, clock())
          return undefined
        },
      }
    },
  })

  async function callApi(userId: string, account: FakeConnectedAccount, wanted: Wanted, value: string) {
    const { scopes, request } = wanted
    const headers = new Headers(request.headers)
    headers.set('authorization', `Bearer ${value}`)
    const sent = new Request(request, { headers })
    const body = await sent.clone().text()
    const { method, url } = sent
    requests.push({ userId, account: account.sub, scopes, method, url, headers, body })
    const answer = apiFor(new URL(url))
    if (!answer) throw new TypeError(`${label}: this URL is outside the origins of the option api`)
    return answer(sent)
  }
  /** What the connection of one account throws names that account, where somebody chose it. */
  const about = <T>(chosen: string | undefined, use: () => T): T => {
    try {
      return use()
    } catch (error) {
      if (!(error instanceof ConnectionRequiredError) || chosen === undefined) throw error
      throw new ConnectionRequiredError(id, error.reason, error.scopes, chosen)
    }
  }
  const connect = ({ clock }: Pick<ProviderHost, 'clock'>): ConnectedProvider => {
    const use = (userId: string, scopes: readonly string[], chosen: string | undefined) =>
      about(chosen, () => connections.use(accounts.find(userId, chosen).key, scopes, clock(), userId))
    const renew = (userId: string, scopes: readonly string[], chosen: string | undefined) =>
      about(chosen, () => connections.renew(accounts.find(userId, chosen).key, scopes, clock()))
    return {
      login: loginOf({ clock }),
      isConnected: async (userId, scopes, account) =>
        connections.isConnected(accounts.find(userId, account).key, scopes),
      status: async (userId, scopes, account) =>
        connections.status(accounts.find(userId, account).key, scopes, clock()),
      keepFresh: async (userId, aheadSeconds, account) =>
        connections.keepFresh(accounts.find(userId, account).key, aheadSeconds, clock()),
      accounts: async userId =>
        accounts.list(userId).flatMap(({ id, key, sub, name }, at) => {
          const { state, scopes } = connections.status(key, [], clock())
          // The only account was never connected, or a test has taken it away.
          if (!connections.granted.has(key) && at === 0 && state === 'needs_consent') return []
          const [known] = [...users].find(([, user]) => user === userId) ?? []
          return [{ id, label: name ?? sub ?? known ?? userId, isDefault: at === 0, state, scopes }]
        }),
      token: async (userId, scopes, account, rejected) =>
        rejected === undefined ? use(userId, scopes, account) : renew(userId, scopes, account),
      async fetch(userId, scopes, input, init, chosen) {
        const request = new Request(input, init)
        request.signal.throwIfAborted()
        const account = accounts.find(userId, chosen)
        const token = use(userId, scopes, chosen)
        const response = await callApi(userId, account, { scopes, request: request.clone() }, token.value)
        if (response.status !== 401) return response
        // As the real ones: a token that the API rejects is renewed once.
        return callApi(userId, account, { scopes, request }, renew(userId, scopes, chosen).value)
      },
      isApiUrl: url => apiFor(url) !== undefined,
    }
  }

  return {
    id,
    label,
    ...(connectOnly !== undefined && { connectOnly }),
    connect,
    connections: connections.granted,
    users,
    requests,
    trips,
    tokens: connections.tokens,
    script: connections.script,
    scriptFor: connections.scriptFor,
    approve(authorizationUrl, account) {
      const asked = new URL(authorizationUrl).searchParams
      const code = `code-${codes.size + 1}-of-${id}`
      codes.set(code, account)
      const back = new URL(asked.get('redirect_uri') ?? '')
      back.searchParams.set('state', asked.get('state') ?? '')
      back.searchParams.set('code', code)
      return back.href
    },
    isAuthorizationUrl: url => url.startsWith(`${issuer}/authorize?`),
  }
}
