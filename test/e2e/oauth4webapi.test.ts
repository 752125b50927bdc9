import * as oauth from 'oauth4webapi'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { callTool, mcpRequest, resultText, revisions } from './support/mcp-request.ts'
import { createRawClient, http, redirectUri } from './support/raw-client.ts'
import { type Sallyport, startSallyport } from './support/sallyport.ts'

let sallyport: Sallyport
beforeAll(async () => {
  sallyport = await startSallyport()
})
afterAll(() => sallyport.close())

const methods = ['none', 'client_secret_basic', 'client_secret_post'] as const

describe('oauth4webapi', () => {
  it.each(methods)('signs in, calls, refreshes and revokes as a client with %s', async method => {
    const { mcpUrl } = sallyport
    const refused = await callTool(mcpUrl, 'whoami')
    expect(refused.status).toBe(401)
    expect(refused.headers.get('www-authenticate')).toContain('resource_metadata=')

    const client = await createRawClient(mcpUrl, method)
    expect(client.resource.resource).toBe(mcpUrl)
    expect(client.server.issuer).toBe(sallyport.origin)
    const first = await client.signIn()
    expect(first.token_type).toBe('bearer')

    const listed = await mcpRequest(mcpUrl, 'tools/list', {}, { token: first.access_token })
    expect(await listed.text()).toContain('"whoami"')
    for (const revision of revisions) {
      const called = await callTool(mcpUrl, 'whoami', {}, { token: first.access_token, revision })
      expect(JSON.parse(await resultText(called))).toMatchObject({ clientId: client.client.client_id })
    }

    const second = await oauth.processRefreshTokenResponse(
      client.server,
      client.client,
      await client.refresh(first.refresh_token ?? ''),
    )
    expect(second.access_token).not.toBe(first.access_token)
    expect(second.refresh_token).not.toBe(first.refresh_token)
    const token = second.access_token
    expect((await callTool(mcpUrl, 'whoami', {}, { token })).status).toBe(200)

    await oauth.processRevocationResponse(await client.revoke(second.refresh_token ?? ''))
    const after = await callTool(mcpUrl, 'whoami', {}, { token })
    expect(after.status).toBe(401)
    expect(after.headers.get('www-authenticate')).toContain('error="invalid_token"')
    await expect(
      oauth.processRefreshTokenResponse(
        client.server,
        client.client,
        await client.refresh(second.refresh_token ?? ''),
      ),
    ).rejects.toMatchObject({ error: 'invalid_grant' })
  })

  it('R154: gives an access token that stands by the rules of RFC 9068, with the published keys', async () => {
    const client = await createRawClient(sallyport.mcpUrl)
    const { access_token } = await client.signIn()
    const request = new Request(sallyport.mcpUrl, { headers: { authorization: `Bearer ${access_token}` } })
    const claims = await oauth.validateJwtAccessToken(client.server, request, sallyport.mcpUrl, http)
    expect(claims).toMatchObject({ iss: sallyport.origin, client_id: client.client.client_id })
  })

  it('brings the token of the user to the tool', async () => {
    const client = await createRawClient(sallyport.mcpUrl)
    const { access_token: token } = await client.signIn({ plan: { account: '110169484474386276334' } })
    const answer = await callTool(sallyport.mcpUrl, 'my-profile', {}, { token })
    expect(JSON.parse(await resultText(answer))).toMatchObject({ name: 'Bob Example' })
  })

  it('R95: gives one success for 20 parallel redemptions of one code, and ends what it started', async () => {
    const client = await createRawClient(sallyport.mcpUrl)
    const { parameters, verifier } = await client.authorize()
    const answers = await Promise.all(Array.from({ length: 20 }, () => client.redeem(parameters, verifier)))
    const statuses = answers.map(({ status }) => status).sort()
    expect(statuses).toEqual([200, ...Array.from({ length: 19 }, () => 400)])
    // The code was seen twice, so one of the two was not the client.
    const [winner] = answers.filter(({ status }) => status === 200)
    const { access_token: token } = ((await winner?.json()) ?? {}) as Record<string, string>
    expect((await callTool(sallyport.mcpUrl, 'whoami', {}, { token })).status).toBe(401)
  })

  it('R105: gives 20 parallel uses of one refresh token the same successor', async () => {
    const client = await createRawClient(sallyport.mcpUrl)
    const { refresh_token = '' } = await client.signIn()
    const answers = await Promise.all(Array.from({ length: 20 }, () => client.refresh(refresh_token)))
    const bodies = await Promise.all(answers.map(answer => answer.json() as Promise<Record<string, unknown>>))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    expect(new Set(bodies.map(body => body.refresh_token)).size).toBe(1)
    expect(new Set(bodies.map(body => body.access_token)).size).toBe(1)
  })

  it('R103: revokes the family when a refresh token two generations old comes back', async () => {
    const client = await createRawClient(sallyport.mcpUrl)
    const { refresh_token: first = '' } = await client.signIn()
    const second = (await (await client.refresh(first)).json()) as { refresh_token: string }
    const third = (await (await client.refresh(second.refresh_token)).json()) as Record<string, string>
    expect((await client.refresh(first)).status).toBe(400)
    expect((await client.refresh(third.refresh_token ?? '')).status).toBe(400)
    expect((await callTool(sallyport.mcpUrl, 'whoami', {}, { token: third.access_token })).status).toBe(401)
  })

  it('R41: shows an error page, and no redirect, for a redirect URI that differs', async () => {
    const client = await createRawClient(sallyport.mcpUrl)
    const url = new URL(client.server.authorization_endpoint ?? '')
    url.search = new URLSearchParams({
      client_id: client.client.client_id,
      redirect_uri: `${redirectUri}/`,
      response_type: 'code',
      code_challenge: 'x'.repeat(43),
      code_challenge_method: 'S256',
    }).toString()
    const answer = await fetch(url, { redirect: 'manual' })
    expect(answer.status).toBe(400)
    expect(answer.headers.get('location')).toBeNull()
    expect(answer.headers.get('content-type')).toContain('text/html')
  })
})
