import * as oauth from 'oauth4webapi'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { callTool, resultText } from './support/mcp-request.ts'
import { createRawClient, http } from './support/raw-client.ts'
import { type Sallyport, startSallyport } from './support/sallyport.ts'

const secret = 'secret-of-the-resource-server-of-the-test'
const environment = {
  OAUTH_ACCESS_TOKEN_FORMAT: 'opaque',
  SALLYPORT_SECRET: 'an-older-secret-of-this-deployment-0123456789',
  E2E_RESOURCE_SERVER_SECRET: secret,
}
let sallyport: Sallyport
beforeAll(async () => {
  sallyport = await startSallyport({ environment })
})
afterAll(() => sallyport.close())

it('R144, R145: oauth4webapi cannot read an opaque access token, uses it, and introspects it as a resource server', async () => {
  const client = await createRawClient(sallyport.mcpUrl)
  const { access_token: token, refresh_token = '', expires_in = 0 } = await client.signIn()
  const request = new Request(sallyport.mcpUrl, { headers: { authorization: `Bearer ${token}` } })
  await expect(oauth.validateJwtAccessToken(client.server, request, sallyport.mcpUrl, http)).rejects.toThrow()
  const called = await callTool(sallyport.mcpUrl, 'whoami', {}, { token })
  const { userId } = JSON.parse(await resultText(called)) as { userId: string }

  const api = { client_id: 'e2e-api' }
  const introspect = async (value: string) =>
    oauth.processIntrospectionResponse(
      client.server,
      api,
      await oauth.introspectionRequest(client.server, api, oauth.ClientSecretBasic(secret), value, http),
    )
  const claims = await introspect(token)
  expect(claims).toMatchObject({
    active: true,
    sub: userId,
    aud: sallyport.mcpUrl,
    client_id: client.client.client_id,
  })
  expect((claims.exp ?? 0) - (claims.iat ?? 0)).toBe(expires_in)
  expect(JSON.stringify(token)).not.toContain(userId)

  const { server, client: self } = client
  const next = await oauth.processRefreshTokenResponse(server, self, await client.refresh(refresh_token))
  expect(await introspect(next.access_token)).toMatchObject({ active: true, sub: userId })
  await oauth.processRevocationResponse(await client.revoke(next.access_token))
  for (const value of [token, next.access_token]) {
    expect(await introspect(value)).toEqual({ active: false })
    expect((await callTool(sallyport.mcpUrl, 'whoami', {}, { token: value })).status).toBe(401)
  }
  expect(sallyport.logs()).not.toContain(next.access_token)
})
