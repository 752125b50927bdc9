import type { Provider, ProviderHost } from '@sallyport/mcp-server'
import type { LoginMemory, LoginResult, SallyportEvent } from '@sallyport/oauth'
import type { ProviderEndpoints } from '../provider-definition.ts'
import { type Answer, clientId, clientSecret, type FakeUpstream, startFakeUpstream } from './fake-upstream.ts'
import { callbackUrl, createHarness, createTestClock, type TestClock, user } from './harness.ts'
import type { ProviderFixtures, ProviderUnderTest, RecordedReply } from './provider-fixtures.ts'

/** One provider under test, pointed at an upstream that answers as its vendor was recorded to. */
export interface ContractUpstream {
  clock: TestClock
  upstream: FakeUpstream
  connected: ReturnType<Provider['connect']>
  provider: Provider
  events: SallyportEvent[]
  host: ProviderHost
  start(): Promise<{ url: URL; memory: LoginMemory }>
  /** The callback, with the token and the account endpoint answering so. Default: as recorded. */
  finish(memory: LoginMemory, reply?: RecordedReply, account?: RecordedReply): Promise<LoginResult>
  /** From `start` to the stored connection. */
  connect(reply?: RecordedReply): Promise<{ url: URL; result: LoginResult }>
  /** What the tool gets whose token the API rejects, or which finds the token stale. */
  useStaleToken(): Promise<unknown>
  close(): Promise<void>
}

export const credentials = { clientId, clientSecret }
export const code = 'canary-authorization-code'

/** Where everything of a provider is, on one origin. */
export const endpointsAt = (origin: string): ProviderEndpoints => ({
  authorization: `${origin}/authorize`,
  token: `${origin}/token`,
  jwks: `${origin}/jwks`,
  userinfo: `${origin}/userinfo`,
  revocation: `${origin}/revoke`,
  issuers: [origin],
  apiOrigins: [origin],
})

export async function startContractUpstream({
  create,
  fixtures,
}: ProviderUnderTest): Promise<ContractUpstream> {
  const clock = createTestClock()
  const upstream = await startFakeUpstream(clock)
  const { origin } = upstream
  const provider = create({ origin, endpoints: endpointsAt(origin), ...credentials })
  const { host, events, connected } = createHarness(provider, { upstream, clock })
  const { scopes } = fixtures
  if (fixtures.discovery) {
    upstream.script('/.well-known/openid-configuration', { body: fixtures.discovery(origin) })
  }

  const start = async () => {
    const { url, memory } = await connected.login.start({ callbackUrl, upstreamState: 'state', scopes })
    return { url: new URL(url), memory }
  }
  const finish: ContractUpstream['finish'] = async (memory, reply = fixtures.connected, account) => {
    upstream.script('/token', await withIdToken(reply, fixtures, upstream, memory.nonce))
    if (fixtures.userinfo) upstream.script('/userinfo', account ?? { body: fixtures.userinfo })
    const parameters = new URLSearchParams({ code, state: 'state' })
    return connected.login.finish({ callbackUrl, parameters, memory, scopes })
  }
  return {
    clock,
    upstream,
    provider,
    connected,
    events,
    host,
    start,
    finish,
    async connect(reply) {
      const { url, memory } = await start()
      const result = await finish(memory, reply)
      await result.onUser?.(user)
      return { url, result }
    },
    async useStaleToken() {
      if (fixtures.accessSeconds > 0) {
        clock.now += fixtures.accessSeconds
        return (await connected.token(user, scopes)).value
      }
      // A token without an end is known to be stale by what the API says to it.
      const rejected = `Bearer ${fixtures.accessToken}`
      upstream.script('/api', ({ headers }) =>
        headers.authorization === rejected ? { status: 401 } : { body: { ok: true } },
      )
      const response = await connected.fetch(user, scopes, `${origin}/api`)
      return response.ok ? (await connected.token(user, scopes)).value : response.status
    },
    close: () => upstream.close(),
  }
}

async function withIdToken(
  { body, ...reply }: RecordedReply,
  { claims }: ProviderFixtures,
  upstream: FakeUpstream,
  nonce: string | undefined,
): Promise<Answer> {
  if (!claims || typeof body !== 'object' || !('id_token' in body)) return { ...reply, body }
  const all = { ...claims(upstream.origin), ...(nonce !== undefined && { nonce }) }
  return { ...reply, body: { ...body, id_token: await upstream.idToken(all) } }
}
