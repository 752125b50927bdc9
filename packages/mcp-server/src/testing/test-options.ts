import { type ConfiguredClient, createMemoryStore, type RecordedEvent } from '@sallyport/oauth'
import type { Log } from '../log.ts'
import type { Provider } from '../provider.ts'
import type { ServerOptions } from '../server.ts'
import { isProvider } from '../sign-in.ts'
import { createFakeIssuer, type FakeIssuer } from './fake-issuer.ts'
import { type FakeProvider, fakeProvider } from './fake-provider.ts'
import { createPageSignIn, type PageSignIn } from './page-sign-in.ts'
import type { TestClock } from './test-clock.ts'
import { machineSecret, testClient } from './token-requests.ts'

/** What users of a test server sign in with, and all its providers. */
export interface Cast {
  /** Undefined: the server has no sign-in. */
  readonly signIn: PageSignIn | FakeProvider | undefined
  readonly providers: readonly FakeProvider[]
  /** Whose tokens count, where those of the server do not. */
  readonly issuer: FakeIssuer | undefined
}

/** What only a deployment has, and a test must not touch: it is left out. */
const ofDeployment = [
  'audit',
  'directory',
  'environment',
  'host',
  'logLevel',
  'port',
  'redisUrl',
  'secrets',
  'sessionProvider',
  'signers',
  'trustedProxies',
] as const satisfies readonly (keyof ServerOptions)[]

/**
 * Everybody a server meets, played by the test.
 *
 * @throws {TypeError} when a fake stands in for a provider that the server does not have
 */
export function castFor(
  { signIn, issuer: realIssuer, providers = [] }: ServerOptions,
  fakes: readonly FakeProvider[],
  clock: TestClock,
  resource: () => string,
): Cast {
  const real = [...(isProvider(signIn) ? [signIn] : []), ...providers]
  const stranger = fakes.find(fake => !real.some(({ id }) => id === fake.id))
  if (stranger) {
    throw new TypeError(
      `The server has no provider "${stranger.id}": it has ${real.map(({ id }) => id).join(', ') || 'none'}.`,
    )
  }
  const cast = real.map(({ id }) => fakes.find(fake => fake.id === id) ?? fakeProvider(id))
  const issuer = realIssuer === undefined ? undefined : createFakeIssuer(realIssuer, { clock, resource })
  if (!signIn) return { signIn: undefined, providers: cast, issuer }
  const name = issuer?.option.issuer
  return { signIn: isProvider(signIn) ? cast[0] : createPageSignIn(signIn, name), providers: cast, issuer }
}

/** The options of a test server: those of the real one, without what belongs to its deployment. */
export function testOptions(
  real: ServerOptions,
  cast: Cast,
  own: {
    clock: TestClock
    log: Log
    events: RecordedEvent[]
    overrides: Partial<ServerOptions>
  },
): ServerOptions {
  const kept = Object.fromEntries(
    Object.entries(real).filter(([name]) => !ofDeployment.some(left => left === name)),
  ) as unknown as ServerOptions
  const { clock, log, events, overrides } = own
  const { clients = real.clients ?? [], ...others } = overrides
  const realProviders = new Map(
    [...(isProvider(real.signIn) ? [real.signIn] : []), ...(real.providers ?? [])].map(one => [one.id, one]),
  )
  const { signIn, issuer } = cast
  const stand = (fake: FakeProvider) =>
    standIn(fake, realProviders.get(fake.id), fake === signIn ? issuer?.option.issuer : undefined)
  return {
    ...kept,
    publicUrl: real.publicUrl ?? 'http://localhost:3000',
    secrets: 'a-secret-of-the-test-kit-that-opens-nothing-else',
    environment: {},
    store: createMemoryStore({ tenant: others.sandbox ?? real.sandbox ?? 'default' }),
    rateLimit: 0,
    logger: log,
    ...others,
    clock,
    onEvent(event) {
      events.push(event)
      real.onEvent?.(event)
    },
    ...(issuer && { issuer: issuer.option }),
    ...(signIn && {
      signIn: 'login' in signIn ? signIn.login : stand(signIn),
      providers: cast.providers.filter(fake => fake !== signIn).map(stand),
      ...(!issuer && { clients: [testClient, ...clients.map(withKnownSecret)] }),
    }),
  }
}

/** A client that calls for itself, with a secret that the kit knows: the real one may be a key the test lacks. */
function withKnownSecret(client: ConfiguredClient): ConfiguredClient {
  if (!client.grantTypes?.includes('client_credentials')) return client
  const { jwks: _, jwksUri: __, tokenEndpointAuthSigningAlg: ___, ...rest } = client
  return { ...rest, clientSecret: machineSecret, tokenEndpointAuthMethod: 'client_secret_basic' }
}

/**
 * The fake under the name that users know the real provider by.
 *
 * @param issuer who vouches for its users. Default: it does itself
 */
function standIn(fake: FakeProvider, real: Provider | undefined, issuer: string | undefined): Provider {
  const label = fake.label === fake.id ? (real?.label ?? fake.label) : fake.label
  const connectOnly = fake.connectOnly ?? real?.connectOnly
  return {
    id: fake.id,
    label,
    ...(connectOnly !== undefined && { connectOnly }),
    connect(host) {
      const connected = fake.connect(host)
      const { login } = connected
      return {
        ...connected,
        login: {
          ...login,
          label,
          ...(issuer !== undefined && {
            finish: async (...back: Parameters<typeof login.finish>) => ({
              ...(await login.finish(...back)),
              issuer,
            }),
          }),
        },
      }
    },
  }
}
