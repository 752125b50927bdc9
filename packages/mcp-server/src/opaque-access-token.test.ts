import { createMemoryStore, developmentSignIn } from '@sallyport/oauth'
import { expect, it } from 'vitest'
import type { Settings } from './config.ts'
import { createServer } from './create-server.ts'
import type { Environment } from './environment.ts'
import { createTestClient, textOf } from './sign-in.fixture.ts'

const setUp = (settings: Settings, environment: Environment) => {
  const server = createServer({
    name: 'notebook',
    version: '1.0.0',
    signIn: developmentSignIn(),
    store: createMemoryStore(),
    secrets: 'a-secret-for-tests-that-is-long-enough-0123456789',
    environment: { LOG_LEVEL: 'silent', ...environment },
    ...settings,
  })
  server.tool('whoami', { description: 'Names you', auth: {}, run: (_, { caller }) => caller.userId })
  return createTestClient(request => server.fetch(request), 'http://localhost:3000')
}

it.each<[string, Settings, Environment]>([
  ['in code', { accessTokenFormat: 'opaque' }, {}],
  ['by variable', {}, { OAUTH_ACCESS_TOKEN_FORMAT: 'opaque' }],
])(
  'R155, R157: the gate takes opaque access tokens, set %s, until they are changed or revoked',
  async (_, ...how) => {
    const client = setUp(...how)
    const { access_token, refresh_token } = await client.signIn()
    const token = String(access_token)
    expect(token).toMatch(/^sp_at_/)
    expect(await textOf(await client.call('whoami', {}, token))).toMatch(/^[\w-]+$/)
    const refused = [
      `${token.slice(0, -6)}AAAAAA`,
      token.slice('sp_at_'.length),
      'sp_at_',
      String(refresh_token),
    ]
    for (const value of refused) {
      const response = await client.call('whoami', {}, value)
      expect(response.status).toBe(401)
      expect(response.headers.get('www-authenticate')).toContain('error="invalid_token"')
    }
    expect((await client.call('whoami', {}, token)).status).toBe(200)
    expect(await client.revoke(token)).toBe(200)
    expect((await client.call('whoami', {}, token)).status).toBe(401)
  },
)
