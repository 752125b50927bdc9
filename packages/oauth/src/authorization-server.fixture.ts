import { createHash } from 'node:crypto'
import { type AuthorizationServer, createAuthorizationServer } from './authorization-server.ts'
import type { ConfiguredClient } from './clients/client.ts'
import {
  assertionType,
  createTestKey,
  signAssertion,
  type TestKey,
} from './clients/client-assertion.fixture.ts'
import type { SallyportEvent } from './events.ts'
import { createSecretRing } from './keys/secret-ring.ts'
import type { PageLogin } from './login.ts'
import type { AuthorizationServerOptions } from './options.ts'
import { systemRandom } from './runtime.ts'
import { createMemoryStore } from './storage/memory-store.ts'
import type { Grant } from './storage/records.ts'
import type { Store } from './storage/store.ts'
import { mintAuthorizationCode, newGrantId } from './tokens/token-value.ts'

/** A server over the memory store with a clock that stands still, and the clients and requests tests need. */

export const issuer = 'https://mcp.example.com'
export const resource = 'https://mcp.example.com/mcp'
export const otherResource = 'https://mcp.example.com/other'
export const ringSecret = 'canary-ring-secret-0123456789-0123456789'
export const redirectUri = 'https://client.example/callback'
export const verifier = 'v-canary-verifier-0123456789-0123456789-0123456789'
export const challenge = createHash('sha256').update(verifier).digest('base64url')

/** A client and how it shows who it is; `headers` and `body` go into each request. */
export interface TestClient {
  name: string
  clientId: string
  headers: Record<string, string>
  readonly body: Record<string, string>
}

const secretOf = (clientId: string) => `canary-secret-of-${clientId}-0123456789abcdef`
const basic = (clientId: string) =>
  `Basic ${Buffer.from(`${clientId}:${secretOf(clientId)}`).toString('base64')}`

export const publicClient: TestClient = {
  name: 'public',
  clientId: 'public',
  headers: {},
  body: { client_id: 'public' },
}
export const basicClient: TestClient = {
  name: 'client_secret_basic',
  clientId: 'basic',
  headers: { Authorization: basic('basic') },
  body: {},
}
export const postClient: TestClient = {
  name: 'client_secret_post',
  clientId: 'post',
  headers: {},
  body: { client_id: 'post', client_secret: secretOf('post') },
}
/** The clock of the fixture made last: assertions are signed by it. */
let latestTime = { now: 0 }

/** A client that signs an assertion anew each time its body is read. */
export const keyClient = (clientId: string, key: TestKey): TestClient => ({
  name: 'private_key_jwt',
  clientId,
  headers: {},
  get body() {
    return {
      client_assertion_type: assertionType,
      client_assertion: signAssertion({ clientId, key, audience: issuer, now: latestTime.now }),
    }
  },
})
export const jwtKey: TestKey = createTestKey('jwt-key')
export const jwtClient: TestClient = keyClient('jwt', jwtKey)

export const otherClient: TestClient = {
  name: 'other',
  clientId: 'other',
  headers: {},
  body: { client_id: 'other' },
}
export const onceClient: TestClient = {
  name: 'without refresh',
  clientId: 'once',
  headers: {},
  body: { client_id: 'once' },
}
export const clientTypes: readonly TestClient[] = [publicClient, basicClient, postClient, jwtClient]

export const configuredClients: readonly ConfiguredClient[] = [
  { clientId: 'public', redirectUris: [redirectUri] },
  { clientId: 'basic', redirectUris: [redirectUri], clientSecret: secretOf('basic') },
  {
    clientId: 'post',
    redirectUris: [redirectUri],
    clientSecret: secretOf('post'),
    tokenEndpointAuthMethod: 'client_secret_post',
  },
  { clientId: 'jwt', redirectUris: [redirectUri], jwks: { keys: [jwtKey.publicJwk] } },
  { clientId: 'other', redirectUris: [redirectUri] },
  { clientId: 'once', redirectUris: [redirectUri], grantTypes: ['authorization_code'] },
]

export const pageLogin: PageLogin = {
  kind: 'page',
  id: 'test',
  label: 'Test',
  handle: async () => ({ issuer: 'https://idp.example', subject: 'ada' }),
}

/** What clients ask of a server; `change` replaces or (undefined) removes parameters. */
export interface ClientRequests<Reply = Response> {
  redeem(client: TestClient, code: string, change?: Record<string, string | undefined>): Promise<Reply>
  refresh(client: TestClient, token: string, change?: Record<string, string | undefined>): Promise<Reply>
  revoke(client: TestClient, token: string, change?: Record<string, string | undefined>): Promise<Reply>
}

export interface Fixture extends ClientRequests {
  server: AuthorizationServer
  store: Store
  /** What the server said happened, oldest first: without stamps, and without what it finds suspicious in that. */
  events: SallyportEvent[]
  /** Seconds since the epoch; tests set it. */
  time: { now: number }
  post(
    path: string,
    body: Record<string, string> | string | [string, string][],
    headers?: Record<string, string>,
    remoteAddress?: string,
  ): Promise<Response>
  /** Puts a token family with an authorization code into the store, as a sign-in would. */
  placeCode(client: TestClient, change?: Partial<Grant>): Promise<{ code: string; grantId: string }>
  /** A family whose code has been redeemed. */
  session(
    client: TestClient,
    change?: Partial<Grant>,
  ): Promise<{ grantId: string; code: string; access: string; refresh: string }>
  /** Whether the access token is accepted at its resource. */
  isLive(access: string): Promise<boolean>
}

const present = (parameters: Record<string, string | undefined>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(parameters).filter((entry): entry is [string, string] => entry[1] !== undefined),
  )

/** Requests of clients, sent by a `post` that leads to a server. */
export function clientRequests<Reply>(
  post: (path: string, body: Record<string, string>, headers: Record<string, string>) => Promise<Reply>,
): ClientRequests<Reply> {
  const toTokenEndpoint =
    (what: (value: string) => Record<string, string>): ClientRequests<Reply>['redeem'] =>
    (client, value, change = {}) =>
      post('/oauth/token', present({ ...what(value), ...client.body, ...change }), client.headers)
  return {
    redeem: toTokenEndpoint(code => ({ grant_type: 'authorization_code', code, code_verifier: verifier })),
    refresh: toTokenEndpoint(token => ({ grant_type: 'refresh_token', refresh_token: token })),
    revoke: (client, token, change = {}) =>
      post('/oauth/revoke', present({ token, ...client.body, ...change }), client.headers),
  }
}

/** Puts a token family with an authorization code into a store, as a sign-in would. */
export async function placeCode(
  store: Store,
  client: TestClient,
  now: number,
  change: Partial<Grant> = {},
): Promise<{ code: string; grantId: string }> {
  const id = newGrantId(systemRandom)
  const code = mintAuthorizationCode(systemRandom, id)
  const record: Grant = {
    version: 1,
    id,
    userId: 'user-1',
    clientId: client.clientId,
    redirectUri,
    resource,
    scopes: ['notes:read', 'notes:write'],
    authTime: now,
    amr: [],
    createdAt: now,
    endsAt: now + 2_592_000,
    accessEndsAt: 0,
    code: { hash: code.hash, challenge, expiresAt: now + 600, failures: 0 },
    ...change,
  }
  await store.putGrant({ record, now })
  return { code: code.value, grantId: id }
}

export function createFixture(
  options: Partial<AuthorizationServerOptions> = {},
  wrapStore: (store: Store) => Store = store => store,
): Fixture {
  const events: SallyportEvent[] = []
  const time = { now: 1_800_000_000 }
  latestTime = time
  const store = options.store ?? createMemoryStore()
  const server = createAuthorizationServer({
    issuer,
    serverName: 'Notes',
    resources: [resource, otherResource],
    scopes: { 'notes:read': 'Read your notes', 'notes:write': 'Change your notes' },
    defaultScopes: ['notes:read'],
    secrets: createSecretRing([ringSecret]),
    signIn: pageLogin,
    clients: configuredClients,
    onEvent: ({ at, requestId, sourceHash, ...event }) => {
      if (event.type !== 'suspicious_activity') events.push(event as SallyportEvent)
    },
    clock: () => time.now,
    ...options,
    store: wrapStore(store),
  })

  const post: Fixture['post'] = async (path, body, headers = {}, remoteAddress) => {
    const response = await server.handle(
      new Request(issuer + path, {
        method: 'POST',
        headers: { 'Content-Type': 'application/x-www-form-urlencoded', ...headers },
        body: typeof body === 'string' ? body : new URLSearchParams(body).toString(),
      }),
      remoteAddress === undefined ? {} : { remoteAddress },
    )
    if (!response) throw new Error(`${path} is not a path of the server`)
    return response
  }
  const requests = clientRequests(post)

  return {
    server,
    store,
    events,
    time,
    post,
    ...requests,
    placeCode: (client, change) => placeCode(store, client, time.now, change),
    async session(client, change) {
      const { code, grantId } = await placeCode(store, client, time.now, change)
      const body = (await (await requests.redeem(client, code)).json()) as Record<string, string>
      return { grantId, code, access: body.access_token!, refresh: body.refresh_token! }
    },
    isLive: access =>
      server.verifyAccessToken(access, resource).then(
        () => true,
        () => false,
      ),
  }
}

/** Status and error code of a response, for one-line expectations. */
export async function outcome(response: Response): Promise<string> {
  const body = (await response.json()) as { error?: string }
  return body.error === undefined ? String(response.status) : `${response.status} ${body.error}`
}
