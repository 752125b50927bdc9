import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'

type Snippets = typeof import('./external-issuer.ts')
let snippets: Snippets
const issuer = 'https://login.example.com/realms/main'

beforeAll(async () => {
  for (const [name, value] of Object.entries({
    LOGIN_CLIENT_ID: 'id',
    LOGIN_CLIENT_SECRET: 'secret',
    GOOGLE_CLIENT_ID: 'id',
    GOOGLE_CLIENT_SECRET: 'secret',
    INTROSPECTION_SECRET: 'secret',
    SESSION_PROVIDER: 'memory',
    LOG_LEVEL: 'silent',
    SALLYPORT_SECRET: 'a-snippet-needs-thirty-two-bytes-too',
  })) {
    vi.stubEnv(name, value)
  }
  vi.stubGlobal('fetch', async () =>
    Response.json({ issuer, jwks_uri: `${issuer}/keys`, introspection_endpoint: `${issuer}/introspect` }),
  )
  snippets = await import('./external-issuer.ts')
})

afterAll(async () => {
  for (const server of Object.values(snippets)) await server.close()
  vi.unstubAllEnvs()
  vi.unstubAllGlobals()
})

describe('the code docs/external-issuer.md shows', () => {
  it.each(['server', 'withOptions', 'withConnections'] as const)(
    '%s sends clients to the issuer for their tokens',
    async name => {
      const path = 'http://localhost:3000/.well-known/oauth-protected-resource/mcp'
      const metadata = await (await snippets[name].fetch(new Request(path))).json()
      expect(metadata).toMatchObject({ authorization_servers: [issuer] })
    },
  )

  it('asks for the scopes the page names', async () => {
    const path = 'http://localhost:3000/.well-known/oauth-protected-resource/mcp'
    const metadata = await (await snippets.server.fetch(new Request(path))).json()
    expect(metadata).toMatchObject({ scopes_supported: ['notes:read'] })
  })
})
