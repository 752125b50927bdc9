import { inspect } from 'node:util'
import type { ProviderHost } from '@sallyport/mcp-server'
import { ConfigurationError } from '@sallyport/oauth'
import { afterEach, beforeEach, describe, expect, expectTypeOf, it } from 'vitest'
import { google, linkedin, microsoft, oidc } from './index.ts'
import { type Answer, type FakeUpstream, startFakeUpstream } from './testing/fake-upstream.ts'
import {
  callbackUrl,
  createHarness,
  createTestClock,
  discoveryDocument,
  providerAt,
  type TestClock,
} from './testing/harness.ts'

let clock: TestClock
let upstream: FakeUpstream
let host: ProviderHost

beforeEach(async () => {
  clock = createTestClock()
  upstream = await startFakeUpstream(clock)
  host = createHarness(providerAt.google(upstream.origin), { upstream, clock }).host
})
afterEach(() => upstream.close())

const given = {
  id: 'demo',
  label: 'Demo',
  issuer: 'https://id.example',
  clientId: 'i',
  clientSecret: 's',
  apiOrigins: [],
}
const start = { callbackUrl, upstreamState: 'state', scopes: [] }

describe('credentials', () => {
  it('the id of a provider is known to the compiler', () => {
    expectTypeOf(google().id).toEqualTypeOf<'google'>()
    expectTypeOf(linkedin().id).toEqualTypeOf<'linkedin'>()
    expectTypeOf(oidc({ ...given, id: 'acme' }).id).toEqualTypeOf<'acme'>()
  })

  it.each([
    [google(), 'GOOGLE_CLIENT_ID', 'GOOGLE_CLIENT_SECRET', 'https://console.cloud.google.com/'],
    [linkedin(), 'LINKEDIN_CLIENT_ID', 'LINKEDIN_CLIENT_SECRET', 'https://www.linkedin.com/developers/apps'],
  ])('missing ones are named in one sentence that says where to get them', (provider, id, secret, where) => {
    for (const environment of [{}, { [id]: 'only-one' }, { [id]: 'x', [secret]: '' }]) {
      let message = ''
      try {
        provider.connect({ ...host, environment })
      } catch (error) {
        expect(error).toBeInstanceOf(ConfigurationError)
        message = (error as Error).message
      }
      expect(message).toContain(id)
      expect(message).toContain(secret)
      expect(message).toContain(where)
      expect(message).not.toContain('\n')
    }
  })

  it.each([
    ['and GOOGLE_CLIENT_SECRET is not set', google, 'id', undefined],
    ['and GOOGLE_CLIENT_ID is not set', google, '  ', 's'],
    ['GOOGLE_CLIENT_ID stands in quotation marks', google, '"id"', 's'],
    ['GOOGLE_CLIENT_SECRET has a space', google, 'id', 'ca nary'],
    ['the client id is a client secret', google, 'GOCSPX-canary', 'id'],
    ['the client secret is the id of a secret', microsoft, 'id', '8eaef023-2b34-4da1-9baa-8bc8c9d6a490'],
  ] as const)(
    '%s: what cannot be right stops the start, not the first sign-in',
    (words, make, id, secret) => {
      const provider = make()
      const name = provider.id.toUpperCase()
      const environment = { [`${name}_CLIENT_ID`]: id, [`${name}_CLIENT_SECRET`]: secret }
      const connect = () => void provider.connect({ ...host, environment })
      expect(connect).toThrow(ConfigurationError)
      expect(connect).toThrow(words)
      expect(connect).not.toThrow('nary')
    },
  )

  it('a line break after a value, as files end with, is not part of it', async () => {
    const environment = { GOOGLE_CLIENT_ID: ' id\n', GOOGLE_CLIENT_SECRET: 's\n' }
    const { url } = await google()
      .connect({ ...host, environment })
      .login.start(start)
    expect(new URL(url).searchParams.get('client_id')).toBe('id')
  })

  it('options win over the environment, which wins over nothing', async () => {
    const environment = { GOOGLE_CLIENT_ID: 'from-environment', GOOGLE_CLIENT_SECRET: 's' }
    const clientIdOf = async (provider: ReturnType<typeof google>) => {
      const { url } = await provider.connect({ ...host, environment }).login.start(start)
      return new URL(url).searchParams.get('client_id')
    }
    expect(await clientIdOf(google())).toBe('from-environment')
    expect(await clientIdOf(google({ clientId: 'from-options' }))).toBe('from-options')
  })

  it('R192: neither a provider nor its connection shows the secret', () => {
    const provider = google({ clientId: 'id', clientSecret: 'canary-secret' })
    const shown = inspect([provider, provider.connect(host)], { showHidden: true, depth: 9 })
    expect(shown).not.toContain('canary-secret')
    expect(JSON.stringify([provider, provider.connect(host)])).not.toContain('canary-secret')
  })
})

describe('real addresses', () => {
  it.each([
    [
      google({ clientId: 'i', clientSecret: 's' }),
      'https://accounts.google.com/o/oauth2/v2/auth',
      'https://www.googleapis.com/calendar/v3/users/me',
    ],
    [
      linkedin({ clientId: 'i', clientSecret: 's' }),
      'https://www.linkedin.com/oauth/v2/authorization',
      'https://api.linkedin.com/rest/posts',
    ],
  ])('are used when none are given', async (provider, authorization, api) => {
    const connected = provider.connect(host)
    const { url } = await connected.login.start(start)
    expect(url.startsWith(`${authorization}?`)).toBe(true)
    expect(connected.isApiUrl(new URL(api))).toBe(true)
    expect(connected.isApiUrl(new URL(api.replace('https:', 'http:')))).toBe(false)
    expect(connected.isApiUrl(new URL('https://example.com'))).toBe(false)
  })
})

describe('options that cannot work stop the server at its start', () => {
  it.each([
    ['an issuer without TLS', oidc({ ...given, issuer: 'http://id.example' })],
    ['an issuer that is no URL', oidc({ ...given, issuer: 'id.example' })],
    ['an id that fits no path', oidc({ ...given, id: 'My Provider' })],
    ['no client secret', oidc({ ...given, clientSecret: '' })],
    ['an API origin with a path', oidc({ ...given, apiOrigins: ['https://api.example/v1'] })],
    ['an API origin without TLS', oidc({ ...given, apiOrigins: ['http://api.example'] })],
    [
      'a token endpoint without TLS',
      google({ clientId: 'i', clientSecret: 's', endpoints: { token: 'http://x.example' } }),
    ],
  ])('%s', (_, provider) => {
    expect(() => provider.connect(host)).toThrow(ConfigurationError)
  })
})

describe('discovery', () => {
  const path = '/.well-known/openid-configuration'
  const document = (changes?: Record<string, unknown>): Answer => ({
    body: discoveryDocument(upstream.origin, changes),
  })
  const connect = () => providerAt.oidc(upstream.origin).connect(host)
  const reasonOf = (promise: Promise<unknown>) =>
    promise.then(
      () => 'ok',
      error => error.reason,
    )

  it('happens at first use, once for parallel users, and again after an hour', async () => {
    upstream.script(path, document())
    const { login } = connect()
    expect(upstream.seen(path)).toHaveLength(0)
    await Promise.all([login.start(start), login.start(start), login.start(start)])
    clock.now += 3599
    await login.start(start)
    expect(upstream.seen(path)).toHaveLength(1)
    clock.now += 1
    await login.start(start)
    expect(upstream.seen(path)).toHaveLength(2)
  })

  it('a failure is told and not remembered', async () => {
    upstream.script(path, { status: 503 }, document())
    const { login } = connect()
    expect(await reasonOf(login.start(start))).toBe('unavailable')
    expect(await reasonOf(login.start(start))).toBe('ok')
  })

  it.each<[string, () => Answer]>([
    ['R75: of another issuer', () => document({ issuer: 'https://evil.example' })],
    ['R75: of this issuer with a slash more', () => document({ issuer: `${upstream.origin}/` })],
    ['with an endpoint without TLS', () => document({ token_endpoint: 'http://id.example/token' })],
    ['with an endpoint that is a script', () => document({ authorization_endpoint: 'javascript:alert(1)' })],
    ['without keys', () => document({ jwks_uri: undefined })],
    ['that is not JSON', () => ({ body: '<html>' })],
    ['that is elsewhere', () => ({ status: 302, headers: { location: '/other' } })],
    ['that does not exist', () => ({ status: 404 })],
  ])('a document %s is not used', async (_, answer) => {
    upstream.script(path, answer())
    upstream.script('/other', document())
    expect(await reasonOf(connect().login.start(start))).toBe('failed')
    expect(upstream.seen('/other')).toHaveLength(0)
  })

  it('R187: a document without end is not read to its end', async () => {
    upstream.script(path, document({ padding: 'x'.repeat(300_000) }))
    expect(await reasonOf(connect().login.start(start))).toBe('unavailable')
  })

  it.each([
    [undefined, 'basic'],
    [['client_secret_post'], 'post'],
    [['client_secret_post', 'client_secret_basic'], 'basic'],
  ])('client authentication follows %j: %s', async (methods, expected) => {
    upstream.script(path, document({ token_endpoint_auth_methods_supported: methods }))
    await createHarness(providerAt.oidc(upstream.origin), { upstream, clock }).connect()
    const [seen] = upstream.seen('/token')
    expect(seen?.headers.authorization !== undefined).toBe(expected === 'basic')
    expect(seen?.form.has('client_secret')).toBe(expected === 'post')
  })

  it('R182: a refresh while the document cannot be had is a matter of later', async () => {
    upstream.script(path, document(), { status: 503 })
    const { connected, connect } = createHarness(providerAt.oidc(upstream.origin), { upstream, clock })
    await connect({ scopes: ['files'] })
    clock.now += 4000
    const error = await connected.token('user-1', ['files']).catch((error: unknown) => error)
    expect(error).toMatchObject({ name: 'ProviderUnavailableError' })
  })
})
