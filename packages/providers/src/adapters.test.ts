import { calendar } from '@googleapis/calendar'
import { Octokit } from '@octokit/core'
import { ConnectionRequiredError } from '@sallyport/mcp-server'
import { OAuth2Client } from 'google-auth-library'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { googleAuth } from './google-auth.ts'
import { octokitAuth } from './octokit-auth.ts'
import { type FakeUpstream, type Script, startFakeUpstream } from './testing/fake-upstream.ts'
import { createHarness, createTestClock, type Harness, providerAt, user } from './testing/harness.ts'
import type { UserAccess } from './user-access.ts'

let upstream: FakeUpstream
let elsewhere: FakeUpstream
let harness: Harness
let access: UserAccess

beforeEach(async () => {
  const clock = createTestClock()
  // The library looks at the system's clock.
  clock.now = Math.floor(Date.now() / 1000)
  upstream = await startFakeUpstream(clock)
  elsewhere = await startFakeUpstream(clock)
  harness = createHarness(providerAt.google(upstream.origin), { upstream, clock })
  await harness.connect({ scopes: ['email'] })
  upstream.script('/token', { body: { access_token: 'access-2', expires_in: 3600 } })
  const { connected } = harness
  access = {
    token: () => connected.token(user, ['email']),
    fetch: (input, init) => connected.fetch(user, ['email'], input, init),
  }
})
afterEach(() => Promise.all([upstream.close(), elsewhere.close()]))

const seenTokens = (path: string) => upstream.seen(path).map(({ headers }) => headers.authorization)
/** 401 to the first token, and this to any other. */
const rejectsFirst =
  (body: object): Script =>
  ({ headers }) =>
    headers.authorization === 'Bearer access-1' ? { status: 401 } : { body }

describe('google-auth-library and googleapis', () => {
  const path = '/calendar/v3/calendars/primary/events'
  const list = () =>
    calendar({
      version: 'v3',
      auth: googleAuth(new OAuth2Client(), access),
      rootUrl: `${upstream.origin}/`,
      retry: false,
    }).events.list({ calendarId: 'primary' })

  it('calls are made with the token of the user', async () => {
    upstream.script(path, { body: { items: [{ summary: 'Stand-up' }] } })
    expect((await list()).data.items).toEqual([{ summary: 'Stand-up' }])
    expect(seenTokens(path)).toEqual(['Bearer access-1'])
  })

  it('a token the API rejects is renewed, and the call goes on', async () => {
    upstream.script(path, rejectsFirst({ items: [] }))
    expect((await list()).data.items).toEqual([])
    expect(seenTokens(path)).toEqual(['Bearer access-1', 'Bearer access-2'])
  })

  it('whoever asks the client for the token gets a fresh one', async () => {
    const client = googleAuth(new OAuth2Client(), access)
    expect((await client.getAccessToken()).token).toBe('access-1')
  })

  it('R184: a client that is sent elsewhere does not take the token along', async () => {
    const client = googleAuth(new OAuth2Client(), access)
    elsewhere.script('/stolen', { body: {} })
    upstream.script('/away', { status: 302, headers: { location: `${elsewhere.origin}/stolen` } })
    await client.request({ url: `${upstream.origin}/away` })
    expect(elsewhere.seen('/stolen')[0]?.headers).not.toHaveProperty('authorization')
    await expect(client.request({ url: `${elsewhere.origin}/stolen`, retry: false })).rejects.toThrow()
    expect(elsewhere.seen('/stolen')).toHaveLength(1)
  })
})

describe('a user who must connect', () => {
  const causesOf = (error: unknown): unknown[] =>
    error instanceof Error ? [error.name, ...causesOf(error.cause)] : []
  /** The API rejects the token and there is no other. */
  const failing: UserAccess = {
    token: () => access.token(),
    fetch: () => Promise.reject(new ConnectionRequiredError('google', 'dead', [])),
  }

  it.each<[string, () => Promise<unknown>]>([
    [
      'googleapis',
      () => {
        const auth = googleAuth(new OAuth2Client(), failing)
        return calendar({ version: 'v3', auth, retry: false }).events.list({ calendarId: 'primary' })
      },
    ],
    ['Octokit', () => new Octokit({ authStrategy: octokitAuth, auth: failing }).request('GET /user')],
  ])('is found in the causes of what %s throws', async (_, call) => {
    const error = await call().then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    expect(causesOf(error)).toContain('ConnectionRequiredError')
  })
})

describe('Octokit', () => {
  const octokit = () => new Octokit({ authStrategy: octokitAuth, auth: access, baseUrl: upstream.origin })

  it('calls are made with the token of the user', async () => {
    upstream.script('/user', { body: { login: 'octocat' } })
    const { data } = await octokit().request('GET /user')
    expect(data).toEqual({ login: 'octocat' })
    expect(seenTokens('/user')).toEqual(['Bearer access-1'])
  })

  it('takes the context of a call, whose functions are those of a class', async () => {
    class Context {
      get token() {
        return access.token
      }
      get fetch() {
        return access.fetch
      }
    }
    upstream.script('/user', { body: { login: 'octocat' } })
    const auth = new Context()
    const octokit = new Octokit({ authStrategy: octokitAuth, auth, baseUrl: upstream.origin })
    expect((await octokit.request('GET /user')).data).toEqual({ login: 'octocat' })
    expect(await octokit.auth()).toMatchObject({ token: 'access-1' })
  })

  it('a token the API rejects is renewed, and the call goes on', async () => {
    upstream.script('/issues', rejectsFirst([]))
    expect((await octokit().request('GET /issues')).data).toEqual([])
    expect(seenTokens('/issues')).toEqual(['Bearer access-1', 'Bearer access-2'])
  })

  it('GraphQL, whose body is sent again, too', async () => {
    upstream.script('/graphql', rejectsFirst({ data: { viewer: { login: 'octocat' } } }))
    expect(await octokit().graphql('{ viewer { login } }')).toEqual({ viewer: { login: 'octocat' } })
    const bodies = upstream.seen('/graphql').map(({ body }) => body)
    expect(bodies).toEqual([bodies[0], bodies[0]])
  })

  it('whoever asks for the authentication gets a fresh token', async () => {
    expect(await octokit().auth()).toEqual({ type: 'token', tokenType: 'oauth', token: 'access-1' })
  })

  it('R184: a base URL of somebody else gets nothing', async () => {
    const other = new Octokit({ authStrategy: octokitAuth, auth: access, baseUrl: elsewhere.origin })
    elsewhere.script('/user', { body: {} })
    await expect(other.request('GET /user')).rejects.toThrow('outside the API origins')
    expect(elsewhere.seen('/user')).toEqual([])
  })

  it('without an adapter: fetch of the call is all it takes', async () => {
    upstream.script('/user', rejectsFirst({ login: 'octocat' }))
    const plain = new Octokit({ baseUrl: upstream.origin, request: { fetch: access.fetch } })
    expect((await plain.request('GET /user')).data).toEqual({ login: 'octocat' })
  })
})
