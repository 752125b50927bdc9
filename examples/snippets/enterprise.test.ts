import { afterAll, beforeAll, expect, it, vi } from 'vitest'

let server: Awaited<typeof import('./enterprise.ts')>['server']

beforeAll(async () => {
  for (const [name, value] of Object.entries({
    ACME_CLIENT_ID: 'id',
    ACME_CLIENT_SECRET: 'secret',
    ASSISTANT_SECRET: 'a-secret-of-the-assistant',
    SESSION_PROVIDER: 'memory',
    PORT: '0',
    LOG_LEVEL: 'silent',
    SALLYPORT_SECRET: 'a-snippet-needs-thirty-two-bytes-too',
  })) {
    vi.stubEnv(name, value)
  }
  ;({ server } = await import('./enterprise.ts'))
  await server.start({ silent: true, throwOnError: true, handleSignals: false })
})

afterAll(async () => {
  await server.close()
  vi.unstubAllEnvs()
})

it('the server docs/enterprise.md shows takes assertions of its issuer, for its client', async () => {
  const metadata = await fetch(new URL('/.well-known/oauth-authorization-server', server.url))
  expect(await metadata.json()).toMatchObject({
    authorization_grant_profiles_supported: ['urn:ietf:params:oauth:grant-profile:id-jag'],
  })
  const response = await fetch(new URL('/oauth/token', server.url), {
    method: 'POST',
    headers: { authorization: `Basic ${btoa('acme-assistant:a-secret-of-the-assistant')}` },
    body: new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
      assertion: 'not one of Acme',
    }),
  })
  expect(response.status).toBe(400)
  expect(await response.json()).toMatchObject({ error: 'invalid_grant' })
})
