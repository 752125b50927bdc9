import { ConfigurationError, createServer } from '@sallyport/mcp-server'
import { LoginError } from '@sallyport/oauth'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { githubOauthAppFixtures } from './github.fixture.ts'
import { github, microsoft, notion, type OAuth2Options, oauth2, slack } from './index.ts'
import { microsoftFixtures, tenant } from './microsoft.fixture.ts'
import { notionFixtures } from './notion.fixture.ts'
import type { ProviderEndpoints } from './provider-definition.ts'
import { slackFixtures } from './slack.fixture.ts'
import { type ContractUpstream, startContractUpstream } from './testing/contract-upstream.ts'
import { user } from './testing/harness.ts'
import type { ProviderUnderTest, RecordedReply } from './testing/provider-fixtures.ts'

const personalTenant = '9188040d-6c67-4c5b-b112-36a304b66dad'
const otherTenant = '11111111-2222-4333-8444-555555555555'

const running: ContractUpstream[] = []
async function start(underTest: Omit<ProviderUnderTest, 'name'>): Promise<ContractUpstream> {
  const at = await startContractUpstream({ name: '', ...underTest })
  running.push(at)
  return at
}
afterEach(() => Promise.all(running.splice(0).map(at => at.close())))

const outcomeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'ok',
    error => (error instanceof LoginError ? error.reason : error),
  )

const withMember = (reply: RecordedReply, changes: object): RecordedReply => ({
  ...reply,
  body: { ...(reply.body as object), ...changes },
})

describe('Microsoft', () => {
  const signIn = async (who: string, claims: Record<string, unknown> & { tid?: unknown }) => {
    const at = await start({
      create: ({ origin, endpoints, ...options }) =>
        microsoft({
          ...options,
          tenant: who,
          endpoints: { ...endpoints, issuers: [`${origin}/{tenantid}/v2.0`] },
        }),
      fixtures: {
        ...microsoftFixtures,
        claims: origin => ({
          ...microsoftFixtures.claims?.(origin),
          iss: `${origin}/${claims.tid}/v2.0`,
          ...claims,
        }),
      },
    })
    const { memory } = await at.start()
    return at.finish(memory)
  }

  it.each([
    ['common', tenant, 'ok'],
    ['common', personalTenant, 'ok'],
    ['organizations', tenant, 'ok'],
    ['organizations', personalTenant, 'failed'],
    ['consumers', personalTenant, 'ok'],
    ['consumers', tenant, 'failed'],
    [tenant, tenant, 'ok'],
    [tenant.toUpperCase(), tenant, 'ok'],
    [tenant, otherTenant, 'failed'],
    [tenant, personalTenant, 'failed'],
  ])('R75: %s lets a user of tenant %s in: %s', async (who, tid, outcome) => {
    expect(await outcomeOf(signIn(who, { tid }))).toBe(outcome)
  })

  it.each<[string, Record<string, unknown>]>([
    ['an issuer of another tenant', { tid: tenant, iss: `https://login.example/${otherTenant}/v2.0` }],
    ['a tenant that is none', { tid: 'common' }],
    ['a tenant that is a path', { tid: `${tenant}/..` }],
    ['no tenant', { tid: null }],
    ['no user in the tenant', { tid: tenant, oid: null }],
    ['a user that is an e-mail address', { tid: tenant, oid: 'ada@example.com' }],
  ])('R75: an id_token with %s signs nobody in', async (_, claims) => {
    expect(await outcomeOf(signIn('common', claims))).toBe('failed')
  })

  it('R76: the same person in two tenants, and two with one address, are different users', async () => {
    const email = 'ada@example.com'
    const one = await signIn('common', { tid: tenant, email })
    const two = await signIn('common', { tid: otherTenant, email })
    expect(one.subject).toBe(two.subject)
    expect(one.issuer.replace(tenant, otherTenant)).toContain(otherTenant)
    expect(one.issuer).toContain(tenant)
    expect(two.issuer).toContain(otherTenant)
  })

  it.each([
    ['of every tenant', '{tenantid}', 'ok'],
    ['of this tenant', tenant, 'ok'],
    ['of another tenant', otherTenant, 'failed'],
  ])('R75: a key %s signs for users of this one: %s → %s', async (_, owner, outcome) => {
    const at = await start({
      create: ({ origin, endpoints, ...options }) =>
        microsoft({ ...options, endpoints: { ...endpoints, issuers: [`${origin}/{tenantid}/v2.0`] } }),
      fixtures: microsoftFixtures,
    })
    const { origin } = at.upstream
    const { keys } = (await (await fetch(`${origin}/jwks`)).json()) as { keys: object[] }
    at.upstream.script('/jwks', {
      body: { keys: keys.map(key => ({ ...key, issuer: `${origin}/${owner}/v2.0` })) },
    })
    const { memory } = await at.start()
    expect(await outcomeOf(at.finish(memory))).toBe(outcome)
  })

  it.each(['contoso.onmicrosoft.com', '../common', 'common/x', 'toString'])(
    'a tenant that cannot be checked stops the server at its start: %s',
    who => {
      const provider = microsoft({ clientId: 'i', clientSecret: 's', tenant: who })
      expect(() => provider.connect({ environment: {} } as never)).toThrow(/^MICROSOFT_TENANT_ID must be/)
    },
  )

  it('MICROSOFT_TENANT_ID names the tenant when the options do not', async () => {
    const at = await start({
      create: () => microsoft({ clientId: 'i', clientSecret: 's' }),
      fixtures: microsoftFixtures,
    })
    const urlFor = async (environment: Record<string, string>) => {
      const { login } = at.provider.connect({ ...at.host, environment })
      return (await login.start({ callbackUrl: 'https://a.example', upstreamState: 's', scopes: [] })).url
    }
    expect(await urlFor({ MICROSOFT_TENANT_ID: tenant })).toContain(
      `microsoftonline.com/${tenant}/oauth2/v2.0/`,
    )
    expect(await urlFor({})).toContain('microsoftonline.com/common/oauth2/v2.0/')
  })

  it('a refresh token that was asked for and did not come is not asked for over and over', async () => {
    const at = await start({
      create: ({ origin, endpoints, ...options }) =>
        microsoft({ ...options, endpoints: { ...endpoints, issuers: [`${origin}/{tenantid}/v2.0`] } }),
      fixtures: microsoftFixtures,
    })
    const { result } = await at.connect(withMember(microsoftFixtures.connected, { refresh_token: undefined }))
    expect(await result.onUser?.(user)).toBeUndefined()
    expect(await at.connected.isConnected(user, microsoftFixtures.scopes)).toBe(true)
  })
})

describe('GitHub', () => {
  it('a scope that another one includes counts as granted, for GitHub leaves it out of its reply', async () => {
    const at = await start({
      create: ({ origin: _, ...options }) => github(options),
      fixtures: githubOauthAppFixtures,
    })
    await at.connect(withMember(githubOauthAppFixtures.connected, { scope: 'user,admin:org' }))
    expect(await at.connected.isConnected(user, ['read:user', 'user:email', 'read:org'])).toBe(true)
    expect(await at.connected.isConnected(user, ['repo'])).toBe(false)
  })

  it('R76: a login name that somebody else took over is not the same user', async () => {
    const at = await start({
      create: ({ origin: _, ...options }) => github(options),
      fixtures: githubOauthAppFixtures,
    })
    const subjectOf = async (id: unknown) => {
      const { memory } = await at.start()
      const account = { body: { ...githubOauthAppFixtures.userinfo, id } }
      return (await at.finish(memory, undefined, account)).subject
    }
    expect(await subjectOf(1)).toBe('1')
    expect(await subjectOf(2)).toBe('2')
    expect(await outcomeOf(subjectOf(1.5))).toBe('failed')
  })
})

describe('Slack', () => {
  let at: ContractUpstream
  beforeEach(async () => {
    at = await start({ create: ({ origin: _, ...options }) => slack(options), fixtures: slackFixtures })
  })

  it.each<[string, object]>([
    ['beside the token of a bot', { access_token: 'xoxb-bot', token_type: 'bot', scope: 'chat:write' }],
    ['in a workspace of an organisation', { enterprise: { id: 'E123' } }],
  ])("the user's token is taken: %s", async (_, changes) => {
    await at.connect(withMember(slackFixtures.connected, changes))
    expect((await at.connected.token(user, slackFixtures.scopes)).value).toBe(slackFixtures.accessToken)
  })

  it("a bot's token alone is never taken for the user's", async () => {
    const bot = {
      ok: true,
      access_token: 'xoxb-bot',
      token_type: 'bot',
      authed_user: { id: 'U1234' },
      team: { id: 'T' },
    }
    const { memory } = await at.start()
    expect(await outcomeOf(at.finish(memory, { body: bot }))).toBe('failed')
  })

  const long = { ok: false, error: 'token_revoked', padding: 'x'.repeat(5000) }
  it.each<[string, RecordedReply]>([
    ['a refusal of another kind', { body: { ok: false, error: 'channel_not_found' } }],
    ['long', { headers: { 'content-length': `${JSON.stringify(long).length}` }, body: long }],
    ['a file', { body: '{"ok":false,"error":"token_revoked"}' }],
  ])("an answer is the tool's own, unread, when it is %s", async (_, reply) => {
    await at.connect()
    at.upstream.script('/api', reply)
    const response = await at.connected.fetch(user, [], `${at.upstream.origin}/api`)
    expect(await response.text()).toContain('"ok":false')
    expect(at.upstream.seen('/token')).toHaveLength(1)
  })

  it('R76: users of two workspaces are two, and one without a workspace is nobody', async () => {
    const subjectOf = async (changes: object) => {
      const { memory } = await at.start()
      return (await at.finish(memory, withMember(slackFixtures.connected, changes))).subject
    }
    expect(await subjectOf({ team: { id: 'T1' } })).not.toBe(await subjectOf({ team: { id: 'T2' } }))
    expect(await outcomeOf(subjectOf({ team: null }))).toBe('failed')
  })
})

describe('Notion', () => {
  it('a connection that a workspace owns is told apart by its bot', async () => {
    const at = await start({
      create: ({ origin: _, ...options }) => notion(options),
      fixtures: notionFixtures,
    })
    const { memory } = await at.start()
    const { subject } = await at.finish(
      memory,
      withMember(notionFixtures.connected, {
        owner: { type: 'workspace', workspace: true },
        refresh_token: null,
      }),
    )
    expect(subject).toBe('8d3f2b04-2882-4a61-bc95-aa9d9c36f7b1:b3414d65-1224-5ab7-6ffc-cc9d8773d288')
  })
})

describe('any OAuth 2.0 provider', () => {
  const given: OAuth2Options<'demo'> = {
    id: 'demo',
    label: 'Demo',
    clientId: 'i',
    clientSecret: 's',
    authorizationEndpoint: 'https://demo.example/authorize',
    tokenEndpoint: 'https://demo.example/token',
    apiOrigins: ['https://api.demo.example'],
  }
  /** That provider at the upstream of a test, and what else there is to say about it. */
  const demo =
    (more: (endpoints: ProviderEndpoints) => Partial<OAuth2Options<'demo'>> = () => ({})) =>
    ({ origin, endpoints, ...options }: Parameters<ProviderUnderTest['create']>[0]) =>
      oauth2({
        ...given,
        ...options,
        authorizationEndpoint: endpoints.authorization,
        tokenEndpoint: endpoints.token,
        apiOrigins: [origin],
        ...more(endpoints),
      })

  it('without an account it connects only, and no connection inherits the refresh token of another', async () => {
    const fixtures = {
      ...slackFixtures,
      scopes: ['files'],
      accessToken: 'one',
      connected: { body: { access_token: 'one', refresh_token: 'of-one', expires_in: 60 } },
      accessSeconds: 60,
    }
    const at = await start({
      create: demo(),
      fixtures,
    })
    expect(at.provider.connectOnly).toBe(true)
    // The account page offers no further one then.
    expect(at.connected.login.hasOneAccount).toBe(true)
    await at.connect()
    await at.connect({ body: { access_token: 'two', expires_in: 60 } })
    at.clock.now += 60
    await expect(at.connected.token(user, ['files'])).rejects.toMatchObject({ reason: 'dead' })
    expect(at.upstream.seen('/token')).toHaveLength(2)
  })

  it('R76: two providers on one host do not share their users', async () => {
    const identityAt = async (path: string) => {
      const at = await start({
        create: demo(() => ({
          account: { reply: { subject: 'id' } },
          issuer: `https://shared.example/${path}`,
        })),
        fixtures: { ...slackFixtures, connected: { body: { access_token: 'one', id: 1 } } },
      })
      const { memory } = await at.start()
      const { issuer, subject } = await at.finish(memory)
      const parameters = new URLSearchParams({ code: 'c', iss: 'https://shared.example/other' })
      const refused = at.connected.login.finish({ callbackUrl: '', parameters, memory, scopes: [] })
      expect(await outcomeOf(refused)).toBe('failed')
      return `${issuer} ${subject}`
    }
    expect(await identityAt('a')).toBe('https://shared.example/a 1')
    expect(await identityAt('b')).toBe('https://shared.example/b 1')
  })

  it('a reply that is a form is read as well', async () => {
    const at = await start({
      create: demo(() => ({ account: ({ reply }) => ({ subject: String(reply.user_id) }) })),
      fixtures: slackFixtures,
    })
    const { memory } = await at.start()
    const reply = {
      headers: { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' },
      body: 'access_token=formed&token_type=bearer&scope=a&user_id=7',
    }
    expect((await at.finish(memory, reply)).subject).toBe('7')
  })

  it('asks an endpoint for the account, by a path into its answer', async () => {
    const at = await start({
      create: demo(({ userinfo }) => ({
        account: { url: userinfo, subject: 'data.id', name: 'data.name', headers: { 'x-version': '2' } },
      })),
      fixtures: {
        ...slackFixtures,
        connected: { body: { access_token: 'one' } },
        userinfo: { data: { id: 'u-1', name: 'Ada' } },
      },
    })
    const { memory } = await at.start()
    expect(await at.finish(memory)).toMatchObject({ subject: 'u-1', name: 'Ada' })
    expect(at.upstream.seen('/userinfo')[0]?.headers).toMatchObject({
      authorization: 'Bearer one',
      'x-version': '2',
    })
  })

  it.each<[string, Partial<OAuth2Options<'demo'>>]>([
    ['a token endpoint without TLS', { tokenEndpoint: 'http://demo.example/token' }],
    ['an authorization endpoint that is no URL', { authorizationEndpoint: 'demo.example' }],
    ['an account endpoint without TLS', { account: { url: 'http://demo.example/me' } }],
    [
      'a revocation endpoint without TLS',
      { revocation: { endpoint: 'http://demo.example/r', authentication: 'post' } },
    ],
    ['an id that fits no path', { id: 'De mo' as 'demo' }],
    ['no client secret', { clientSecret: '' }],
    ['sign-in without saying who the user is', { canSignIn: true }],
  ])('options that cannot work stop the server at its start: %s', (_, changes) => {
    const provider = oauth2({ ...given, ...changes })
    expect(() => provider.connect({ environment: {} } as never)).toThrow(ConfigurationError)
  })
})

describe('who may sign users in', () => {
  it.each([
    ['slack', slack({ clientId: 'i', clientSecret: 's' })],
    ['notion', notion({ clientId: 'i', clientSecret: 's' })],
  ])('a server that signs users in with %s does not start, and says what to do', async (_, provider) => {
    const server = createServer({
      name: 'test',
      version: '1.0.0',
      signIn: provider,
      environment: { LOG_LEVEL: 'silent', SESSION_PROVIDER: 'memory' },
    })
    await expect(server.fetch(new Request('http://localhost:3000/health'))).rejects.toThrow(
      `${provider.label} connects accounts and signs nobody in: put it into the option providers`,
    )
  })

  it('the others may', () => {
    expect(github().connectOnly).toBeUndefined()
    expect(microsoft().connectOnly).toBeUndefined()
  })
})
