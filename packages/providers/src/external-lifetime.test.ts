import {
  createMemoryStore,
  createServer,
  developmentSignIn,
  type Provider,
  type ProviderHost,
} from '@sallyport/mcp-server'
import { describe, expect, it } from 'vitest'
import { startFakeUpstream } from './testing/fake-upstream.ts'
import { createHarness, createTestClock, discoveryDocument, providerAt, user } from './testing/harness.ts'

describe('OAUTH_EXTERNAL_TOKEN_TTL is the life of an external token whose provider names none', () => {
  it.each<[string, Record<string, string>, number]>([
    ['as the environment says', { OAUTH_EXTERNAL_TOKEN_TTL: '120' }, 120],
    ['60 days by default', {}, 5_184_000],
  ])('%s', async (_, environment, seconds) => {
    const clock = createTestClock()
    const upstream = await startFakeUpstream(clock)
    upstream.script('/.well-known/openid-configuration', { body: discoveryDocument(upstream.origin) })
    const provider = providerAt.oidc(upstream.origin)
    let host: ProviderHost | undefined
    const watched: Provider = {
      ...provider,
      connect(given) {
        host = given
        return provider.connect(given)
      },
    }
    const server = createServer({
      name: 'external',
      version: '1.0.0',
      signIn: developmentSignIn(),
      providers: [watched],
      store: createMemoryStore(),
      environment: { LOG_LEVEL: 'silent', ...environment },
      secrets: 'a-secret-for-tests-that-is-long-enough-0123456789',
      clock,
    })
    server.tool('files', { description: 'Lists', auth: { demo: ['files'] }, run: () => '' })
    await server.fetch(new Request('http://localhost:3000/health'))

    const harness = createHarness(provider, { upstream, clock, host: host! })
    await harness.connect({ scopes: ['files'], reply: { expires_in: undefined, refresh_token: undefined } })
    clock.now += seconds - 1
    expect((await harness.connected.token(user, ['files'])).value).toBe('access-1')
    clock.now += 1
    await expect(harness.connected.token(user, ['files'])).rejects.toMatchObject({ reason: 'not_connected' })
    await upstream.close()
    await server.close()
  })
})
