import { afterEach, describe, expect, it } from 'vitest'
import { callTool, resultText } from './support/mcp-request.ts'
import { createRawClient } from './support/raw-client.ts'
import { type Sallyport, startSallyport } from './support/sallyport.ts'

let sallyport: Sallyport
afterEach(() => sallyport.close())

interface Tokens {
  access_token: string
  refresh_token: string
}

describe.each(['SIGTERM', 'SIGKILL'] as const)('after a restart by %s', how => {
  it('a client goes on without a new sign-in: next call, refresh, refresh again', async () => {
    sallyport = await startSallyport()
    const client = await createRawClient(sallyport.mcpUrl)
    const first = await client.signIn()
    const whoami = async (token: string) =>
      resultText(await callTool(sallyport.mcpUrl, 'whoami', {}, { token }))
    const before = JSON.parse(await whoami(first.access_token)) as { userId: string }

    await sallyport.restart(how)
    expect(JSON.parse(await whoami(first.access_token))).toMatchObject({ userId: before.userId })
    const second = (await (await client.refresh(first.refresh_token ?? '')).json()) as Tokens

    await sallyport.restart(how)
    const third = (await (await client.refresh(second.refresh_token)).json()) as Tokens
    expect(JSON.parse(await whoami(third.access_token))).toMatchObject({ userId: before.userId })
    const profile = await callTool(sallyport.mcpUrl, 'my-profile', {}, { token: third.access_token })
    expect(JSON.parse(await resultText(profile))).toMatchObject({ name: 'Alice Example' })
  })

  it('a user who is signing in goes on where they were', async () => {
    sallyport = await startSallyport()
    const client = await createRawClient(sallyport.mcpUrl)
    const pages: string[] = []
    const { parameters, verifier } = await client.authorize({
      plan: {
        onPage: async page => {
          pages.push(page.url.host)
          await sallyport.restart(how)
        },
      },
    })
    expect(pages).toEqual([new URL(sallyport.origin).host, new URL(sallyport.upstream.origin).host])
    await sallyport.restart(how)
    expect((await client.redeem(parameters, verifier)).status).toBe(200)
  })

  it('what was revoked stays revoked', async () => {
    sallyport = await startSallyport()
    const client = await createRawClient(sallyport.mcpUrl)
    const { access_token: token, refresh_token = '' } = await client.signIn()
    expect((await client.revoke(refresh_token)).status).toBe(200)
    await sallyport.restart(how)
    expect((await callTool(sallyport.mcpUrl, 'whoami', {}, { token })).status).toBe(401)
    expect((await client.refresh(refresh_token)).status).toBe(400)
  })
})
