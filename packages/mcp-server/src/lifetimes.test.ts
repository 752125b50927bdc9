import {
  type ConfiguredClient,
  createMemoryStore,
  developmentSignIn,
  type TokenLifetimes,
} from '@sallyport/oauth'
import { describe, expect, it } from 'vitest'
import { createServer } from './create-server.ts'
import { createTestClient, redirectUri } from './sign-in.fixture.ts'

const origin = 'http://localhost:3000'
const day = 86_400

interface Own {
  client?: Partial<TokenLifetimes>
  scopes?: Record<string, Partial<TokenLifetimes>>
}

/** A server that knows its lifetimes from the environment alone, a client, and a clock in its owner's hand. */
function setUp(environment: Record<string, string>, own: Own = {}) {
  let now = 1_800_000_000
  const configured: ConfiguredClient = {
    clientId: 'configured',
    redirectUris: [redirectUri],
    ...(own.client && { lifetimes: own.client }),
  }
  const server = createServer({
    name: 'lifetimes',
    version: '1.0.0',
    signIn: developmentSignIn(),
    store: createMemoryStore(),
    clients: [configured],
    ...(own.scopes && { scopeLifetimes: own.scopes }),
    secrets: 'a-secret-for-tests-that-is-long-enough-0123456789',
    environment: { LOG_LEVEL: 'silent', ...environment },
    clock: () => now,
  })
  server.tool('whoami', { description: 'Names you', auth: {}, run: (_, { caller }) => caller.userId })
  server.tool('pay', { description: 'Pays', auth: { scopes: ['pay'] }, run: () => 'paid' })
  const client = createTestClient(request => server.fetch(request), origin, 'configured')
  const refresh = (token: unknown, more: Record<string, string> = {}) =>
    client.token({ grant_type: 'refresh_token', refresh_token: String(token), ...more })
  return {
    client,
    refresh,
    advance: (seconds: number) => {
      now += seconds
    },
    calls: async (tool: string, tokens: Record<string, unknown>) =>
      (await client.call(tool, {}, tokens.access_token)).status,
    /** Refreshes every `stepSeconds` until it is refused; seconds from the sign-in to the last success. */
    async chain(tokens: Record<string, unknown>, stepSeconds: number, atMost: number): Promise<number> {
      let last = 0
      for (let token = tokens.refresh_token; last + stepSeconds <= atMost; last += stepSeconds) {
        now += stepSeconds
        const answer = await refresh(token)
        if (answer.error !== undefined) break
        token = answer.refresh_token
      }
      return last
    },
  }
}

describe('a variable of the environment is the life of the thing', () => {
  it.each([
    ['OAUTH_AUTH_CODE_TTL=40', { OAUTH_AUTH_CODE_TTL: '40' }, 40],
    ['the default', {}, 600],
  ])('an authorization code: %s', async (_, environment, seconds) => {
    for (const [wait, isGood] of [
      [seconds - 1, true],
      [seconds, false],
    ] as const) {
      const { client, advance } = setUp(environment)
      const late = {
        ...client,
        token: (parameters: Record<string, string>) => {
          advance(wait)
          return client.token(parameters)
        },
      }
      const answer = await late.signIn()
      expect(isGood ? answer.token_type : answer.error).toBe(isGood ? 'Bearer' : 'invalid_grant')
    }
  })

  it.each([
    ['OAUTH_ACCESS_TOKEN_TTL=50', { OAUTH_ACCESS_TOKEN_TTL: '50' }, 50],
    ['the default', {}, 900],
  ])('an access token: %s', async (_, environment, seconds) => {
    const { client, advance, calls } = setUp(environment)
    const tokens = await client.signIn()
    expect(tokens.expires_in).toBe(seconds)
    advance(seconds - 1)
    expect(await calls('whoami', tokens)).toBe(200)
    advance(1)
    expect(await calls('whoami', tokens)).toBe(401)
  })

  it.each([
    ['OAUTH_REFRESH_TOKEN_TTL=1000', { OAUTH_REFRESH_TOKEN_TTL: '1000' }, 1000],
    ['the default', {}, day],
  ])(
    'R110: a refresh token ends when it was idle too long, and slides: %s',
    async (_, environment, seconds) => {
      const { client, refresh, advance } = setUp(environment)
      const first = await client.signIn()
      advance(seconds - 1)
      const second = await refresh(first.refresh_token)
      advance(seconds - 1)
      const third = await refresh(second.refresh_token)
      expect(third.token_type).toBe('Bearer')
      advance(seconds)
      expect((await refresh(third.refresh_token)).error).toBe('invalid_grant')
    },
  )

  it.each<[string, Record<string, string>, number]>([
    ['OAUTH_SESSION_MAX_AGE=5000', { OAUTH_SESSION_MAX_AGE: '5000' }, 4000],
    ['the default of 30 days', {}, 30 * day - 8 * 3600],
    ['0 is none', { OAUTH_SESSION_MAX_AGE: '0' }, 40 * day],
  ])('R110: no chain of refreshes outlives the session: %s', async (_, environment, last) => {
    const { client, chain } = setUp(environment)
    const step = last === 4000 ? 1000 : 8 * 3600
    expect(await chain(await client.signIn(), step, 40 * day)).toBe(last)
  })

  it('R110: the last access token ends with the session', async () => {
    const { client, refresh, advance } = setUp({ OAUTH_SESSION_MAX_AGE: '1000' })
    const { refresh_token } = await client.signIn()
    advance(900)
    expect((await refresh(refresh_token)).expires_in).toBe(100)
  })

  it.each<[string, Record<string, string>, number]>([
    ['OAUTH_REFRESH_GRACE=5', { OAUTH_REFRESH_GRACE: '5' }, 5],
    ['the default', {}, 10],
    ['0 is none', { OAUTH_REFRESH_GRACE: '0' }, 0],
  ])('R105: the grace of a refresh token: %s', async (_, environment, seconds) => {
    const { client, refresh, advance } = setUp(environment)
    const { refresh_token } = await client.signIn()
    const successor = await refresh(refresh_token)
    if (seconds > 0) {
      advance(seconds - 1)
      expect(await refresh(refresh_token)).toEqual(successor)
      advance(1)
    }
    expect((await refresh(refresh_token)).error).toBe('invalid_grant')
    expect((await refresh(successor.refresh_token)).error).toBe('invalid_grant')
  })
})

describe('lifetimes of one client and of one scope: the shortest wins', () => {
  const client = { accessTokenSeconds: 300, refreshTokenSeconds: 2000, sessionMaxAgeSeconds: 6000 }
  const scopes = { pay: { accessTokenSeconds: 60, refreshTokenSeconds: 1000, sessionMaxAgeSeconds: 3000 } }

  it.each<[string, Own, string, number]>([
    ['of the server', {}, 'mcp pay', 900],
    ['of the client', { client }, 'mcp', 300],
    ['of the scope', { scopes }, 'mcp pay', 60],
    ['of a scope that was not asked for', { scopes }, 'mcp', 900],
    ['of both', { client, scopes }, 'mcp pay', 60],
    ['of neither, when they are longer', { client: { accessTokenSeconds: 3600 } }, 'mcp', 900],
  ])('an access token: that %s', async (_, own, scope, seconds) => {
    const { client, refresh } = setUp({}, own)
    const tokens = await client.signIn({ scope })
    expect(tokens.expires_in).toBe(seconds)
    expect((await refresh(tokens.refresh_token)).expires_in).toBe(seconds)
  })

  it('an access token narrowed to other scopes lives as long as those allow', async () => {
    const { client, refresh } = setUp({}, { scopes })
    const tokens = await client.signIn({ scope: 'mcp pay' })
    const narrow = await refresh(tokens.refresh_token, { scope: 'mcp' })
    expect(narrow.expires_in).toBe(900)
    expect((await refresh(narrow.refresh_token)).expires_in).toBe(60)
  })

  it.each<[string, Own, number]>([
    ['of the client', { client }, 2000],
    ['of the scope', { client, scopes }, 1000],
  ])('R110: idle time: that %s', async (_, own, seconds) => {
    const { client, refresh, advance } = setUp({}, own)
    const first = await client.signIn({ scope: 'mcp pay' })
    advance(seconds - 1)
    // Narrowing the access token does not make the refresh token live longer.
    const second = await refresh(first.refresh_token, { scope: 'mcp' })
    expect(second.token_type).toBe('Bearer')
    advance(seconds)
    expect((await refresh(second.refresh_token)).error).toBe('invalid_grant')
  })

  it.each<[string, Own, Record<string, string>, number]>([
    ['of the client', { client }, {}, 5500],
    ['of the scope', { client, scopes }, {}, 2500],
    ['of the scope, where the server has none', { scopes }, { OAUTH_SESSION_MAX_AGE: '0' }, 2500],
    [
      'of the server, where the client says none',
      { client: { sessionMaxAgeSeconds: 0 } },
      { OAUTH_SESSION_MAX_AGE: '1600' },
      1500,
    ],
  ])('R110: age of a session: that %s', async (_, own, environment, last) => {
    const { client, chain } = setUp(environment, own)
    expect(await chain(await client.signIn({ scope: 'mcp pay' }), 500, 10_000)).toBe(last)
  })

  it.each<[string, Own, RegExp]>([
    ['a scope nobody has', { scopes: { nobody: {} } }, /^The option scopeLifetimes names "nobody",/],
    [
      'a life that is none',
      { scopes: { pay: { accessTokenSeconds: 0 } } },
      /^The accessTokenSeconds of the scope pay in the option scopeLifetimes must be a whole number/,
    ],
    [
      'a client whose sessions are too long',
      { client: { sessionMaxAgeSeconds: 1e9 } },
      /^The sessionMaxAgeSeconds of the client "configured" of the option clients must be/,
    ],
  ])('%s is one sentence at start', async (_, own, sentence) => {
    const { client } = setUp({}, own)
    await expect(client.signIn()).rejects.toThrow(sentence)
  })
})
