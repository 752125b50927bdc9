import type { Provider } from '@sallyport/mcp-server'
import { accounts, startUpstream, type Upstream, type UpstreamOptions } from '@sallyport/test-upstream'
import { createBrowser } from '@sallyport/test-upstream/browser'
import { afterEach, describe, expect, it } from 'vitest'
import { github, google, linkedin, microsoft, notion, slack } from './index.ts'
import type { ProviderEndpoints } from './provider-definition.ts'
import { createHarness, createTestClock, user } from './testing/harness.ts'

const redirectUri = 'http://localhost:1/oauth/callback/x'
const credentials = { clientId: 'sallyport', clientSecret: 'secret-with/odd+signs=%' }

interface StandIn {
  name: string
  options: Pick<UpstreamOptions, 'kind' | 'refreshTokens'>
  create(options: { clientId: string; clientSecret: string; endpoints: Partial<ProviderEndpoints> }): Provider
  scopes: readonly string[]
  refreshes: boolean
  revokes: boolean
}

const standIns: StandIn[] = [
  {
    name: 'Google',
    options: { kind: 'google' },
    create: google,
    scopes: ['https://www.googleapis.com/auth/calendar.readonly'],
    refreshes: true,
    revokes: true,
  },
  {
    name: 'LinkedIn',
    options: { kind: 'linkedin' },
    create: linkedin,
    scopes: ['w_member_social'],
    refreshes: false,
    revokes: true,
  },
  {
    name: 'GitHub, OAuth app',
    options: { kind: 'github' },
    create: github,
    scopes: ['repo'],
    refreshes: false,
    revokes: true,
  },
  {
    name: 'GitHub, GitHub App',
    options: { kind: 'github', refreshTokens: 'always' },
    create: options => github({ ...options, app: 'github-app' }),
    scopes: [],
    refreshes: true,
    revokes: true,
  },
  {
    name: 'Microsoft',
    options: { kind: 'microsoft' },
    create: microsoft,
    scopes: ['https://graph.microsoft.com/Mail.Read', 'User.Read'],
    refreshes: true,
    revokes: false,
  },
  {
    name: 'Slack',
    options: { kind: 'slack' },
    create: slack,
    scopes: ['channels:read'],
    refreshes: false,
    revokes: true,
  },
  {
    name: 'Slack with token rotation',
    options: { kind: 'slack', refreshTokens: 'always' },
    create: slack,
    scopes: ['channels:read', 'search:read'],
    refreshes: true,
    revokes: true,
  },
  {
    name: 'Notion',
    options: { kind: 'notion' },
    create: notion,
    scopes: [],
    refreshes: true,
    revokes: true,
  },
]

const running: Upstream[] = []
afterEach(() => Promise.all(running.splice(0).map(upstream => upstream.close())))

const errorOf = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    error => error,
  )

async function start({ options, create, scopes }: StandIn, clientSecret = credentials.clientSecret) {
  const upstream = await startUpstream({
    ...options,
    ...credentials,
    redirectUris: [redirectUri],
    autoConsent: true,
  })
  running.push(upstream)
  const { authorize, token, jwks, userinfo, revoke } = upstream.endpoints
  const issuer = upstream.kind === 'microsoft' ? `${upstream.origin}/{tenantid}/v2.0` : upstream.issuer
  const provider = create({
    clientId: credentials.clientId,
    clientSecret,
    endpoints: {
      authorization: authorize,
      token,
      jwks,
      userinfo,
      revocation: revoke,
      issuers: [issuer],
      apiOrigins: [upstream.apiOrigin],
    },
  })
  const clock = createTestClock()
  clock.now = Math.floor(Date.now() / 1000)
  const { connected, events, host } = createHarness(provider, { upstream: undefined as never, clock })

  async function signIn() {
    const { url, memory } = await connected.login.start({
      callbackUrl: redirectUri,
      upstreamState: 'state-of-this-test',
      scopes,
    })
    const browser = createBrowser({ stopAt: ({ href }) => href.startsWith(redirectUri) })
    const page = await browser.open(url)
    return connected.login.finish({
      callbackUrl: redirectUri,
      parameters: page.url.searchParams,
      memory,
      scopes,
    })
  }
  return {
    upstream,
    connected,
    events,
    host,
    signIn,
    async connect() {
      const result = await signIn()
      await result.onUser?.(user)
      return result
    },
    profile: async () => (await connected.fetch(user, scopes, `${upstream.apiOrigin}/api/profile`)).json(),
  }
}

describe.each(standIns)('$name, as its stand-in plays it', standIn => {
  const { scopes } = standIn

  it('a user connects, and the tool reads what is theirs', async () => {
    const { connect, profile, connected, upstream } = await start(standIn)
    const { subject } = await connect()
    expect(subject).not.toBe('')
    expect(await profile()).toMatchObject({ name: 'Alice Example' })
    expect(await connected.isConnected(user, scopes)).toBe(true)
    expect(upstream.control.count('token', 'authorization_code')).toBe(1)
  })

  it('R76: two accounts are two subjects, and one account is always the same', async () => {
    const { signIn, upstream } = await start(standIn)
    const first = await signIn()
    expect((await signIn()).subject).toBe(first.subject)
    upstream.control.signInAs(accounts[1]!.sub)
    const other = await signIn()
    expect(other.subject).not.toBe(first.subject)
    expect(other.issuer).toBe(first.issuer)
  })

  it('tokens that ended are replaced again and again, or the user is asked once', async () => {
    const { connect, profile, upstream } = await start(standIn)
    await connect()
    for (let round = 1; round <= 3; round++) {
      upstream.control.expireAccessTokens()
      if (standIn.refreshes) expect(await profile()).toMatchObject({ name: 'Alice Example' })
      else expect(await errorOf(profile())).toMatchObject({ name: 'ConnectionRequiredError', reason: 'dead' })
    }
    expect(upstream.control.count('token', 'refresh_token')).toBe(standIn.refreshes ? 3 : 0)
  })

  it('R182: a grant that the user took back ends the connection', async () => {
    const { connect, profile, upstream } = await start(standIn)
    await connect()
    upstream.control.revokeGrant(accounts[0].sub)
    for (let round = 1; round <= 2; round++)
      expect(await errorOf(profile())).toMatchObject({ name: 'ConnectionRequiredError', reason: 'dead' })
    expect(upstream.control.count('token', 'refresh_token')).toBe(standIn.refreshes ? 1 : 0)
  })

  it('R182: a secret that is wrong is told from anything a user could mend', async () => {
    const { signIn } = await start(standIn, 'not-the-secret')
    expect(await errorOf(signIn())).toMatchObject({
      name: 'LoginError',
      reason: 'failed',
      cause: { errorClass: 'misconfigured' },
    })
  })

  it('R182: trouble there is trouble for now', async () => {
    const { signIn, upstream } = await start(standIn)
    upstream.control.fail('token', { status: 503 })
    expect(await errorOf(signIn())).toMatchObject({
      reason: 'unavailable',
      cause: { errorClass: 'transient' },
    })
    upstream.control.fail('token', { status: 429, retryAfter: 9 })
    expect(await errorOf(signIn())).toMatchObject({
      cause: { errorClass: 'rate_limited', retryAfterSeconds: 9 },
    })
    expect(await errorOf(signIn())).toBeUndefined()
  })

  it('a user who declines is told from a failure', async () => {
    const { connected, upstream } = await start(standIn)
    upstream.control.autoConsent(false)
    const { url, memory } = await connected.login.start({
      callbackUrl: redirectUri,
      upstreamState: 's',
      scopes,
    })
    const browser = createBrowser({ stopAt: ({ href }) => href.startsWith(redirectUri) })
    const page = await browser.submit(await browser.open(url), /^Cancel$/)
    const parameters = page.url.searchParams
    const finished = connected.login.finish({ callbackUrl: redirectUri, parameters, memory, scopes })
    expect(await errorOf(finished)).toMatchObject({ name: 'LoginError', reason: 'denied' })
  })

  it('a grant is taken back there, and a second time does no harm', async () => {
    const { connect, connected, upstream, profile } = await start(standIn)
    await connect()
    const { value } = await connected.token(user, scopes)
    const tokens = { accessToken: value, accessEndsAt: 0 }
    if (!standIn.revokes) {
      expect(await connected.revoke?.(tokens)).toEqual({ outcome: 'unsupported' })
      return
    }
    for (let round = 1; round <= 2; round++)
      expect(await connected.revoke?.(tokens)).toEqual({ outcome: 'revoked' })
    expect(upstream.control.count('revoke')).toBe(2)
    expect(await errorOf(profile())).toMatchObject({ name: 'ConnectionRequiredError' })
  })
})
