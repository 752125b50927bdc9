import { type Account, accounts } from '@sallyport/test-upstream'
import { createBrowser } from '@sallyport/test-upstream/browser'
import { afterEach, describe, expect, it } from 'vitest'
import { callTool, linkIn, resultText } from './support/mcp-request.ts'
import { createRawClient } from './support/raw-client.ts'
import { type Sallyport, type SallyportOptions, startSallyport } from './support/sallyport.ts'
import { passSignIn } from './support/sign-in.ts'

let sallyport: Sallyport
afterEach(() => sallyport.close())

const [, bob] = accounts as unknown as [Account, Account]

// The server's clock goes past the end of the provider's token; the client's own tokens must outlive that.
const environment = {
  OAUTH_ACCESS_TOKEN_TTL: '86400',
  OAUTH_REFRESH_TOKEN_TTL: '31536000',
  OAUTH_SESSION_MAX_AGE: '0',
}
const afterProviderToken = 3601

async function signedIn(options: SallyportOptions) {
  sallyport = await startSallyport({ environment, ...options })
  const client = await createRawClient(sallyport.mcpUrl)
  let tokens = await client.signIn()
  const call = () => callTool(sallyport.mcpUrl, 'my-profile', {}, { token: tokens.access_token })
  const refreshed = async () => {
    tokens = (await (await client.refresh(tokens.refresh_token ?? '')).json()) as typeof tokens
    return call()
  }
  return { client, call, refreshed }
}

const profileOf = async (answer: Promise<Response>): Promise<unknown> =>
  JSON.parse(await resultText(await answer))

describe.each([
  { title: 'Google, which repeats no refresh token', options: { kind: 'google' } },
  { title: 'a provider that repeats its refresh token', options: {} },
  {
    title: 'a provider with single-use refresh tokens',
    options: { upstream: { refreshTokens: 'always', rotateRefreshTokens: true } },
  },
] satisfies { title: string; options: SallyportOptions }[])('with $title', ({ options }) => {
  it('R180, R181: 50 parallel calls with an expired provider token make one refresh, twice over', async () => {
    const { call } = await signedIn(options)
    const { control } = sallyport.upstream
    await profileOf(call())
    expect(control.count('token', 'refresh_token')).toBe(0)
    // The second round needs the refresh token that the first one kept, or got.
    for (let round = 1; round <= 2; round++) {
      control.expireAccessTokens()
      await sallyport.advance(afterProviderToken)
      const profiles = await Promise.all(Array.from({ length: 50 }, () => profileOf(call())))
      expect(profiles).toEqual(Array.from({ length: 50 }, () => accounts[0]))
      expect(control.count('token', 'refresh_token')).toBe(round)
    }
  })
})

it('R186: 150 clients that one user signs in share one grant of Google, and the first of them still works', async () => {
  const { call } = await signedIn({ kind: 'google', upstream: { autoConsent: true } })
  const { control } = sallyport.upstream
  for (let i = 1; i < 150; i++) await (await createRawClient(sallyport.mcpUrl)).signIn()
  expect(control.secrets.filter(({ kind }) => kind === 'refresh_token')).toHaveLength(1)
  control.expireAccessTokens()
  await sallyport.advance(afterProviderToken)
  expect(await profileOf(call())).toEqual(accounts[0])
  expect(control.count('token', 'refresh_token')).toBe(1)
})

describe('with a provider in trouble', () => {
  it('a token the API refuses is refreshed once, and the call goes on', async () => {
    const { call } = await signedIn({ kind: 'google' })
    const { control } = sallyport.upstream
    control.expireAccessTokens()
    expect(await profileOf(call())).toEqual(accounts[0])
    expect(control.count('token', 'refresh_token')).toBe(1)
  })

  it('R182: a provider that is down ends neither connection nor session', async () => {
    const { call } = await signedIn({ kind: 'google' })
    const { control } = sallyport.upstream
    control.expireAccessTokens()
    await sallyport.advance(afterProviderToken)
    control.fail('token', { status: 500, times: Number.POSITIVE_INFINITY })
    const refused = await call()
    expect(refused.status).toBe(200)
    expect(await refused.text()).toContain('"isError":true')
    control.heal()
    await sallyport.advance(600)
    expect(await profileOf(call())).toEqual(accounts[0])
  })

  it('R182: a grant the user took back is not tried again and again, and the user gets a link', async () => {
    const { call, client } = await signedIn({ kind: 'google' })
    const { control } = sallyport.upstream
    control.revokeGrant(accounts[0].sub)
    await sallyport.advance(afterProviderToken)
    let text = ''
    for (let round = 0; round < 3; round++) text = await (await call()).text()
    expect(text).toContain('"isError":true')
    expect(control.count('token', 'refresh_token')).toBe(1)

    const page = await passSignIn(client.browser, linkIn(text))
    expect(page.status).toBe(200)
    expect(await profileOf(call())).toEqual(accounts[0])
  })

  it('R80: the link to connect works for the user who caused it, and once', async () => {
    const { call, client } = await signedIn({ kind: 'google' })
    const { control } = sallyport.upstream
    control.revokeGrant(accounts[0].sub)
    await sallyport.advance(afterProviderToken)
    const link = linkIn(await (await call()).text())

    const stranger = await passSignIn(createBrowser(), link, { account: bob.sub })
    expect(stranger.status).toBeGreaterThanOrEqual(400)
    expect(await (await call()).text()).toContain('"isError":true')

    const fresh = linkIn(await (await call()).text())
    await passSignIn(client.browser, fresh)
    expect(await profileOf(call())).toEqual(accounts[0])
    const again = await passSignIn(client.browser, fresh)
    expect(again.status).toBeGreaterThanOrEqual(400)
  })

  it('LinkedIn, which gives no refresh token: the user is asked again after 60 days, the provider is not', async () => {
    const { call, client, refreshed } = await signedIn({ kind: 'linkedin' })
    expect(await profileOf(call())).toEqual(accounts[0])
    await sallyport.advance(60 * 86_400 + 1)
    const answer = await refreshed()
    expect(await answer.text()).toContain('LinkedIn account has ended')
    expect(sallyport.upstream.control.count('token', 'refresh_token')).toBe(0)
    await passSignIn(client.browser, linkIn(await (await refreshed()).text()))
    expect(await profileOf(refreshed())).toEqual(accounts[0])
  })
})
