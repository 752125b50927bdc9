import {
  Client,
  CrossAppAccessProvider,
  discoverAndRequestJwtAuthGrant,
  StreamableHTTPClientTransport,
} from '@modelcontextprotocol/client'
import * as oauth from 'oauth4webapi'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type IdentityProvider, startIdentityProvider } from './support/identity-provider.ts'
import { callTool, resultText } from './support/mcp-request.ts'
import { http } from './support/raw-client.ts'
import { type Sallyport, startSallyport } from './support/sallyport.ts'

const clientId = 'assistant'
const clientSecret = 'canary-secret-of-the-assistant'
const grantType = 'urn:ietf:params:oauth:grant-type:jwt-bearer'

let idp: IdentityProvider
let sallyport: Sallyport
beforeAll(async () => {
  idp = await startIdentityProvider(clientId)
  sallyport = await startSallyport({
    environment: {
      // The identity provider is on this machine.
      OAUTH_CIMD_LOOPBACK: '1',
      NODE_EXTRA_CA_CERTS: idp.certificatePath,
      E2E_ENTERPRISE: JSON.stringify({
        enterpriseIssuers: [{ issuer: idp.issuer }],
        clients: [{ clientId, clientSecret, grantTypes: [grantType] }],
      }),
    },
  })
})
afterAll(async () => {
  await sallyport.close()
  await idp.close()
})

/** What the client does at the identity provider: id_token in, ID-JAG out. */
const assertionFor = async (
  subject: string,
  { audience, resource, scope }: Record<string, string | undefined>,
) => {
  const { jwtAuthGrant } = await discoverAndRequestJwtAuthGrant({
    idpUrl: idp.issuer,
    audience: audience ?? sallyport.origin,
    resource: resource ?? sallyport.mcpUrl,
    idToken: await idp.idTokenOf(subject),
    ...idp.client,
    ...(scope !== undefined && { scope }),
    fetchFn: idp.fetch,
  })
  return jwtAuthGrant
}

/** `CrossAppAccessProvider` of the client SDK: no browser, no page, no code. */
async function connect(subject: string) {
  const authProvider = new CrossAppAccessProvider({
    clientId,
    clientSecret,
    expectedIssuer: sallyport.origin,
    assertion: ({ authorizationServerUrl: audience, resourceUrl: resource, scope }) =>
      assertionFor(subject, { audience, resource, scope }),
  })
  const transport = new StreamableHTTPClientTransport(new URL(sallyport.mcpUrl), { authProvider })
  const client = new Client({ name: 'e2e', version: '1' }, { versionNegotiation: { mode: 'auto' } })
  await client.connect(transport)
  const call = async (name: string, args: Record<string, unknown> = {}) => {
    const { content } = await client.callTool({ name, arguments: args })
    return (content as { text: string }[])[0]!.text
  }
  return { authProvider, call, close: () => client.close() }
}

describe('enterprise-managed authorization', () => {
  it('lets the MCP client call protected tools for its user, whom nobody asks anything', async () => {
    const bob = await connect('bob')
    const first = JSON.parse(await bob.call('whoami'))
    expect(first).toMatchObject({ principal: 'user', clientId, scopes: ['mcp'] })
    expect(bob.authProvider.tokens()).not.toHaveProperty('refresh_token')
    // The tool needs more: the client brings another assertion for it.
    expect(await bob.call('add-note', { text: 'milk' })).toBe('noted: milk')
    await bob.close()

    const [again, ada] = [await connect('bob'), await connect('ada')]
    expect(JSON.parse(await again.call('whoami')).userId).toBe(first.userId)
    expect(JSON.parse(await ada.call('whoami')).userId).not.toBe(first.userId)
    await again.close()
    await ada.close()
  })

  it('R10, R125, R127: oauth4webapi finds the profile, gets a narrowed token for an assertion, once, and revokes it', async () => {
    const issuer = new URL(sallyport.origin)
    const server = await oauth.processDiscoveryResponse(
      issuer,
      await oauth.discoveryRequest(issuer, { ...http, algorithm: 'oauth2' }),
    )
    expect(server.authorization_grant_profiles_supported).toEqual([
      'urn:ietf:params:oauth:grant-profile:id-jag',
    ])
    expect(JSON.stringify(server)).not.toContain(new URL(idp.issuer).host)
    const client = { client_id: clientId }
    const authentication = oauth.ClientSecretBasic(clientSecret)
    const exchange = (assertion: string, more: Record<string, string> = {}) =>
      oauth.genericTokenEndpointRequest(
        server,
        client,
        authentication,
        grantType,
        { assertion, ...more },
        http,
      )
    const process = async (response: Response) =>
      oauth.processGenericTokenEndpointResponse(server, client, response)

    const assertion = await assertionFor('bob', { scope: 'mcp notes:write admin' })
    const tokens = await process(await exchange(assertion))
    expect(tokens).toMatchObject({ token_type: 'bearer', scope: 'mcp notes:write' })
    expect(tokens.refresh_token).toBeUndefined()
    const token = tokens.access_token
    const called = await callTool(sallyport.mcpUrl, 'add-note', { text: 'eggs' }, { token })
    expect(await resultText(called)).toBe('noted: eggs')

    await expect(exchange(assertion).then(process)).rejects.toMatchObject({ error: 'invalid_grant' })
    const elsewhere = await assertionFor('bob', { audience: 'https://other.example' })
    await expect(exchange(elsewhere).then(process)).rejects.toMatchObject({ error: 'invalid_grant' })

    await oauth.processRevocationResponse(
      await oauth.revocationRequest(server, client, authentication, token, http),
    )
    expect((await callTool(sallyport.mcpUrl, 'whoami', {}, { token })).status).toBe(401)
  })

  it('R121, R129: the keys are found at the issuer, once for all of that', () => {
    expect(idp.asked().filter(path => path === '/keys')).toHaveLength(1)
  })

  it('R188: leaves no assertion, token or secret in the log', () => {
    expect(sallyport.logs()).toContain('sign_in_succeeded')
    expect(sallyport.logs()).not.toMatch(/eyJ|canary-secret/)
  })
})
