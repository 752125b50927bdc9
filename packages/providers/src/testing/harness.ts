import type { ConnectedProvider, Provider, ProviderHost } from '@sallyport/mcp-server'
import type { TestClock } from '@sallyport/mcp-server/testing'
import {
  createMemoryStore,
  createSealer,
  createSecretRing,
  type LoginMemory,
  type LoginResult,
  type MemoryStore,
  type SallyportEvent,
  systemRandom,
} from '@sallyport/oauth'
import { google } from '../google.ts'
import { linkedin } from '../linkedin.ts'
import { oidc } from '../oidc.ts'
import { clientId, clientSecret, type FakeUpstream } from './fake-upstream.ts'

export { createTestClock, type TestClock } from '@sallyport/mcp-server/testing'

export const secrets = [
  'one secret of the ring that is long enough',
  'another secret of the ring, long enough',
]

export const user = 'user-1'
export const callbackUrl = 'https://server.example/oauth/callback/x'

const credentials = { clientId, clientSecret }

const endpointsOf = (origin: string) => ({
  authorization: `${origin}/authorize`,
  token: `${origin}/token`,
  jwks: `${origin}/jwks`,
  revocation: `${origin}/revoke`,
  issuers: [origin, origin.replace('http://', '')] as const,
  apiOrigins: [origin],
})

/** The three providers, pointed at a fake upstream. */
export const providerAt = {
  google: (origin: string) => google({ ...credentials, endpoints: endpointsOf(origin) }),
  linkedin: (origin: string) => linkedin({ ...credentials, endpoints: endpointsOf(origin) }),
  oidc: (origin: string) =>
    oidc({ id: 'demo', label: 'Demo', issuer: origin, ...credentials, apiOrigins: [origin] }),
}

/** What `origin` publishes about itself. */
export const discoveryDocument = (origin: string, changes: Record<string, unknown> = {}) => ({
  issuer: origin,
  authorization_endpoint: `${origin}/authorize`,
  token_endpoint: `${origin}/token`,
  jwks_uri: `${origin}/jwks`,
  id_token_signing_alg_values_supported: ['RS256', 'HS256'],
  scopes_supported: ['openid', 'profile', 'offline_access'],
  ...changes,
})

/** One trip of a user upstream. */
export interface Trip {
  /** Whose connection it becomes. Default `user`. */
  userId?: string
  /** Whether `start` is told the user, as when connecting; a sign-in does not know its user. */
  isKnown?: boolean
  scopes?: readonly string[]
  /** Members of the token reply, over the usual ones; undefined leaves one out. */
  reply?: Record<string, unknown>
  /** Claims of the id_token, over the usual ones; null leaves one out. */
  claims?: Record<string, unknown>
}

export interface Harness {
  store: MemoryStore
  host: ProviderHost
  connected: ConnectedProvider
  events: SallyportEvent[]
  start(trip?: Trip): Promise<{ url: URL; memory: LoginMemory }>
  /** The callback as the browser brings it back; what the upstream answers is scripted from `trip`. */
  finish(memory: LoginMemory, trip?: Trip, parameters?: URLSearchParams): Promise<LoginResult>
  /** From `start` to the stored connection. */
  connect(trip?: Trip): Promise<URL>
}

/** A provider wired to a memory store, real sealing and the clock. */
export function createHarness(
  provider: Provider,
  {
    upstream,
    clock,
    host: changes,
  }: { upstream: FakeUpstream; clock: TestClock; host?: Partial<ProviderHost> },
): Harness {
  const store = createMemoryStore()
  const events: SallyportEvent[] = []
  const ring = createSecretRing(secrets)
  const host: ProviderHost = {
    store,
    tenant: store.tenant,
    sealer: createSealer(ring, systemRandom),
    keyedHash: text => ring.mac('account-id', text).toString('base64url'),
    clock,
    random: systemRandom,
    environment: {},
    externalTokenSeconds: 60 * 86_400,
    emit: event => void events.push(event),
    ...changes,
  }
  const connected = provider.connect(host)

  const start: Harness['start'] = async ({ scopes = [], isKnown = false, userId = user } = {}) => {
    const request = { callbackUrl, upstreamState: 'upstream-state', scopes, ...(isKnown && { userId }) }
    const { url, memory } = await connected.login.start(request)
    return { url: new URL(url), memory }
  }
  const finish: Harness['finish'] = async (
    memory,
    { scopes = [], reply, claims } = {},
    parameters = new URLSearchParams({ code: 'upstream-code', state: 'upstream-state' }),
  ) => {
    const nonce = memory.nonce === undefined ? {} : { nonce: memory.nonce }
    const body = {
      access_token: 'access-1',
      token_type: 'Bearer',
      expires_in: 3600,
      refresh_token: 'refresh-1',
      id_token: await upstream.idToken({ ...nonce, ...claims }),
      ...reply,
    }
    upstream.script('/token', { body })
    return connected.login.finish({ callbackUrl, parameters, memory, scopes })
  }
  return {
    store,
    host,
    connected,
    events,
    start,
    finish,
    async connect(trip = {}) {
      const { url, memory } = await start(trip)
      const result = await finish(memory, trip)
      await result.onUser?.(trip.userId ?? user)
      return url
    },
  }
}
