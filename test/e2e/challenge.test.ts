import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { callTool, mcpRequest, resultText, revisions } from './support/mcp-request.ts'
import { createRawClient } from './support/raw-client.ts'
import { type Sallyport, startSallyport } from './support/sallyport.ts'

let sallyport: Sallyport
beforeAll(async () => {
  sallyport = await startSallyport({ signIn: 'development' })
})
afterAll(() => sallyport.close())

/** The parameters of a Bearer challenge. */
const challengeOf = (response: Response): Record<string, string> =>
  Object.fromEntries(
    [...(response.headers.get('www-authenticate') ?? '').matchAll(/(\w+)="([^"]*)"/g)].map(
      ([, name = '', value = '']) => [name, value],
    ),
  )

describe.each(revisions)('a client of revision %s', revision => {
  it('R149: learns from the 401 where to sign in and for which scopes', async () => {
    const answer = await callTool(sallyport.mcpUrl, 'add-note', { text: 'x' }, { revision })
    expect(answer.status).toBe(401)
    expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer /)
    const challenge = challengeOf(answer)
    expect(challenge).toMatchObject({ scope: 'notes:write' })
    // RFC 6750 §3.1: no error code when no credentials were sent.
    expect(challenge).not.toHaveProperty('error')
    const metadata = (await (await fetch(challenge.resource_metadata ?? '')).json()) as object
    expect(metadata).toMatchObject({
      resource: sallyport.mcpUrl,
      authorization_servers: [sallyport.origin],
      bearer_methods_supported: ['header'],
    })
  })

  it('R156: learns from the 403 every scope the tool needs', async () => {
    const client = await createRawClient(sallyport.mcpUrl)
    const { access_token: token, scope } = await client.signIn()
    expect(scope).not.toContain('notes:write')
    const refused = await callTool(sallyport.mcpUrl, 'add-note', { text: 'x' }, { token, revision })
    expect(refused.status).toBe(403)
    expect(challengeOf(refused)).toMatchObject({
      error: 'insufficient_scope',
      scope: 'notes:write',
      resource_metadata: expect.stringContaining('/.well-known/oauth-protected-resource'),
    })
    const more = await client.signIn({ scope: `${scope} notes:write` })
    const granted = { token: more.access_token, revision }
    const noted = await callTool(sallyport.mcpUrl, 'add-note', { text: 'x' }, granted)
    expect(await resultText(noted)).toBe('noted: x')
  })

  it('uses the public tool, and sees the list of tools, without a token', async () => {
    const sum = await callTool(sallyport.mcpUrl, 'add', { a: 2, b: 3 }, { revision })
    expect(await resultText(sum)).toBe('5')
    const list = await mcpRequest(sallyport.mcpUrl, 'tools/list', {}, { revision })
    expect(list.status).toBe(200)
    expect(await list.text()).toContain('"my-profile"')
  })

  it('R154: is told that a token is not valid, also at a public tool', async () => {
    for (const tool of ['whoami', 'add']) {
      const answer = await callTool(
        sallyport.mcpUrl,
        tool,
        { a: 1, b: 1 },
        { token: 'made-up-token', revision },
      )
      expect(answer.status).toBe(401)
      expect(challengeOf(answer)).toMatchObject({ error: 'invalid_token' })
    }
  })

  it('is sent to sign in again when its token has ended', async () => {
    const client = await createRawClient(sallyport.mcpUrl)
    const { access_token: token, expires_in = 0 } = await client.signIn()
    const call = () => callTool(sallyport.mcpUrl, 'whoami', {}, { token, revision })
    expect((await call()).status).toBe(200)
    await sallyport.advance(expires_in + 1)
    expect((await call()).status).toBe(401)
  })
})
