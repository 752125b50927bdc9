import type { LoginPrompt, RedirectLogin } from '@sallyport/oauth'
import type { ConnectedProvider, Provider, ProviderHost } from '../provider.ts'
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
  /** User id → provider scopes granted. A test may put, change and delete them. */
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

/** Creates a provider for tests: its users are who the test says, and its connections fail when the test says. */
export function fakeProvider<const Id extends string>(
  id: Id,
  options: FakeProviderOptions = {},
): FakeProvider<Id> {
  const { label = id, connectOnly, refreshes = true, accessTokenSeconds = 3600 } = options
  const issuer = `https://${id}.example`
  const connections = createFakeConnections({ id, refreshes, accessTokenSeconds })
  const users = new Map<string, string>()
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
    async start({ callbackUrl, upstreamState, scopes }) {
      trips.push({ scopes })
      const url = new URL(`${issuer}/authorize`)
      url.searchParams.set('redirect_uri', callbackUrl)
      url.searchParams.set('state', upstreamState)
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
          connections.connect(userId, scopes, clock())
          return undefined
        },
      }
    },
  })

  async function callApi(userId: string, scopes: readonly string[], request: Request, value: string) {
    const headers = new Headers(request.headers)
    headers.set('authorization', `Bearer ${value}`)
    const sent = new Request(request, { headers })
    const body = await sent.clone().text()
    requests.push({ userId, scopes, method: sent.method, url: sent.url, headers, body })
    const answer = apiFor(new URL(sent.url))
    if (!answer) throw new TypeError(`${label}: this URL is outside the origins of the option api`)
    return answer(sent)
  }
  const connect = (host: Pick<ProviderHost, 'clock'>): ConnectedProvider => ({
    login: loginOf(host),
    isConnected: async (userId, scopes) => connections.isConnected(userId, scopes),
    status: async (userId, scopes) => connections.status(userId, scopes, host.clock()),
    keepFresh: async (userId, aheadSeconds) => connections.keepFresh(userId, aheadSeconds, host.clock()),
    async accounts(userId) {
      const scopes = connections.granted.get(userId)
      if (!scopes) return []
      const { state } = connections.status(userId, [], host.clock())
      const [label = userId] = [...users].find(([, id]) => id === userId) ?? []
      return [{ id: `account-of-${userId}`, label, isDefault: true, state, scopes }]
    },
    token: async (userId, scopes) => connections.use(userId, scopes, host.clock()),
    async fetch(userId, scopes, input, init) {
      const request = new Request(input, init)
      request.signal.throwIfAborted()
      const token = connections.use(userId, scopes, host.clock())
      const response = await callApi(userId, scopes, request.clone(), token.value)
      if (response.status !== 401) return response
      // As the real ones: a token that the API rejects is renewed once.
      return callApi(userId, scopes, request, connections.renew(userId, scopes, host.clock()).value)
    },
    isApiUrl: url => apiFor(url) !== undefined,
  })

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
