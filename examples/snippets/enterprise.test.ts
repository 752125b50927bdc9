import { createTestServer, type TestServer } from '@sallyport/mcp-server/testing'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'

let test: TestServer

beforeAll(async () => {
  vi.stubEnv('ACME_CLIENT_ID', 'id')
  vi.stubEnv('ACME_CLIENT_SECRET', 'secret')
  vi.stubEnv('ASSISTANT_SECRET', 'a-secret-of-the-assistant')
  const { server } = await import('./enterprise.ts')
  test = createTestServer(server)
})

afterAll(async () => {
  await test.close()
  vi.unstubAllEnvs()
})

it('the server docs/enterprise.md shows takes assertions of its issuer, for its client', async () => {
  const metadata = await test.fetch('/.well-known/oauth-authorization-server')
  expect(await metadata.json()).toMatchObject({
    authorization_grant_profiles_supported: ['urn:ietf:params:oauth:grant-profile:id-jag'],
  })
  const response = await test.fetch('/oauth/token', {
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
