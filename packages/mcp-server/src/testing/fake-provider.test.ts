import { inspect } from 'node:util'
import { beforeEach, describe, expect, it } from 'vitest'
import type { ProviderHost } from '../provider.ts'
import { type FakeProviderOptions, fakeProvider } from './fake-provider.ts'
import { createTestClock } from './test-clock.ts'

const callbackUrl = 'https://mcp.example.com/oauth/callback/google'
const scopes = ['calendar']
let clock = createTestClock()
beforeEach(() => {
  clock = createTestClock()
})

/** A fake with the server's side of it, and a way to connect. */
function setUp(options: FakeProviderOptions = {}) {
  const google = fakeProvider('google', options)
  const connected = google.connect({ clock } as unknown as ProviderHost)
  const connect = async (userId = 'user-1', account = { sub: 'ada' }) => {
    const { url, memory } = await connected.login.start({ callbackUrl, upstreamState: 'state', scopes })
    expect(google.isAuthorizationUrl(url)).toBe(true)
    const back = new URL(google.approve(url, account))
    expect(back.origin + back.pathname).toBe(callbackUrl)
    expect(back.searchParams.get('state')).toBe('state')
    const result = await connected.login.finish({
      callbackUrl,
      parameters: back.searchParams,
      memory,
      scopes,
    })
    await result.onUser?.(userId)
    return result
  }
  const token = async (userId = 'user-1', wanted = scopes) => (await connected.token(userId, wanted)).value
  return { google, connected, connect, token }
}

describe('a user who connects', () => {
  it('is who the test says, with the scopes that were asked for', async () => {
    const { google, connect, connected } = setUp()
    expect(await connect('user-1', { sub: 'ada' })).toMatchObject({
      issuer: 'https://google.example',
      subject: 'ada',
    })
    expect(google.users.get('ada')).toBe('user-1')
    expect(google.trips).toEqual([{ scopes }])
    expect(google.connections.get('user-1')).toEqual(scopes)
    expect(await connected.isConnected('user-1', scopes)).toBe(true)
    expect(await connected.isConnected('user-1', ['mail'])).toBe(false)
    expect(await connected.isConnected('user-2', [])).toBe(false)
  })

  it('tells when they authenticated only where the real one would', async () => {
    expect((await setUp().connect()).authTime).toBeUndefined()
    expect((await setUp({ prompts: ['login'] }).connect()).authTime).toBe(clock())
    const longAgo = { sub: 'ada', authTime: 5 }
    expect((await setUp({ prompts: ['login'] }).connect('user-1', longAgo)).authTime).toBe(5)
  })
})

describe('its tokens', () => {
  it('stay until they are nearly at their end, and are refreshed then', async () => {
    const { google, connect, token } = setUp({ accessTokenSeconds: 1000 })
    await connect()
    const first = await token()
    clock.advance(899)
    expect(await token()).toBe(first)
    clock.advance(1)
    const second = await token()
    expect(google.tokens).toEqual([first, second])
    expect(second).not.toBe(first)
  })

  it('end the connection where there is nothing to refresh them with', async () => {
    const { connect, token } = setUp({ refreshes: false })
    await connect()
    clock.advance(3600)
    await expect(token()).rejects.toMatchObject({ name: 'ConnectionRequiredError', reason: 'dead' })
    await connect()
    expect(await token()).toMatch(/google/)
  })

  it('may have no end', async () => {
    const { connect, connected } = setUp({ accessTokenSeconds: 0 })
    await connect()
    clock.advance(1_000_000)
    expect(await connected.token('user-1', scopes)).toMatchObject({ expiresAt: 0, scopes })
  })

  it('R192: show themselves to nobody by accident, as real ones', async () => {
    const { connect, connected } = setUp()
    await connect()
    const token = await connected.token('user-1', scopes)
    for (const shown of [JSON.stringify(token), inspect(token), `${token}`]) {
      expect(shown).not.toContain(token.value)
    }
  })
})

describe('what is scripted', () => {
  it.each([
    ['dead', 'dead'],
    ['not_connected', 'not_connected'],
    ['missing_scope', 'missing_scope'],
  ] as const)('%s stays so until the user connects again', async (fault, reason) => {
    const { google, connect, connected, token } = setUp()
    await connect()
    google.script('ok', fault)
    await token()
    for (const _ of [1, 2]) {
      await expect(token()).rejects.toMatchObject({ provider: 'google', reason, scopes })
      expect(await connected.isConnected('user-1', scopes)).toBe(false)
    }
    await connect()
    expect(await token()).toMatch(/google/)
  })

  it.each([
    ['unavailable', 30],
    ['rate_limited', 30],
    [{ fault: 'rate_limited', retryAfterSeconds: 7 }, 7],
  ] as const)('%j passes', async (fault, retryAfterSeconds) => {
    const { google, connect, token } = setUp()
    await connect()
    google.script(fault)
    await expect(token()).rejects.toMatchObject({ name: 'ProviderUnavailableError', retryAfterSeconds })
    expect(await token()).toMatch(/google/)
  })

  it('expired is refreshed before anybody notices', async () => {
    const { google, connect, token } = setUp()
    await connect()
    const first = await token()
    google.script('expired')
    expect(await token()).not.toBe(first)
  })

  it('for one user leaves the others alone, and comes first', async () => {
    const { google, connect, token } = setUp()
    await connect('user-1', { sub: 'ada' })
    await connect('user-2', { sub: 'bob' })
    google.script('unavailable')
    google.scriptFor('user-1', 'dead')
    await expect(token('user-1')).rejects.toMatchObject({ reason: 'dead' })
    await expect(token('user-2')).rejects.toMatchObject({ name: 'ProviderUnavailableError' })
    expect(await token('user-2')).toMatch(/google/)
  })

  it('cannot be a scope that the tool does not name', async () => {
    const { google, connect, token } = setUp()
    await connect()
    google.script('missing_scope')
    await expect(token('user-1', [])).rejects.toThrow(/names no scope/)
  })

  it('may be a connection that the test sets itself', async () => {
    const { google, token } = setUp()
    await expect(token()).rejects.toMatchObject({ reason: 'not_connected' })
    google.connections.set('user-1', ['calendar', 'mail'])
    expect(await token()).toMatch(/google/)
  })
})

describe('the status of a connection', () => {
  const status = (connected: ReturnType<typeof setUp>['connected'], wanted = scopes) =>
    connected.status('user-1', wanted)

  it('is that of a real one: none, active, lacking a scope, revoked', async () => {
    const { google, connect, connected, token } = setUp()
    expect(await status(connected)).toMatchObject({ state: 'needs_consent', missingScopes: scopes })
    await connect()
    expect(await status(connected)).toMatchObject({ state: 'active', scopes, lastSuccessAt: clock() })
    expect(await status(connected, ['mail'])).toMatchObject({
      state: 'needs_consent',
      missingScopes: ['mail'],
    })
    google.script('dead')
    await expect(token()).rejects.toThrow()
    expect(await status(connected)).toMatchObject({ state: 'revoked' })
  })

  it('says what went wrong last and when it is tried again, until it works', async () => {
    const { google, connect, connected, token } = setUp()
    await connect()
    google.script({ fault: 'rate_limited', retryAfterSeconds: 7 })
    await expect(token()).rejects.toThrow()
    expect(await status(connected)).toMatchObject({
      state: 'degraded',
      lastErrorClass: 'rate_limited',
      lastErrorAt: clock(),
      nextAttemptAt: clock() + 7,
    })
    await token()
    expect(await status(connected)).toMatchObject({ state: 'active', lastErrorClass: undefined })
  })

  it('is expiring where the user must come back soon, and wants them afterwards', async () => {
    const { connect, connected, token } = setUp({ refreshes: false })
    await connect()
    const endsAt = clock() + 3600
    expect(await status(connected)).toMatchObject({ state: 'expiring', consentEndsAt: endsAt })
    expect(await connected.keepFresh('user-1', 3600)).toMatchObject({ state: 'expiring' })
    clock.advance(3600)
    await expect(token()).rejects.toThrow()
    expect(await status(connected)).toMatchObject({ state: 'needs_consent' })
  })

  it('comes with a token that is renewed ahead of its end', async () => {
    const { google, connect, connected } = setUp()
    expect(await connected.keepFresh('user-1', 60)).toBeUndefined()
    await connect()
    await connected.keepFresh('user-1', 60)
    expect(google.tokens).toHaveLength(1)
    expect(await connected.keepFresh('user-1', 3300)).toMatchObject({ state: 'active' })
    expect(google.tokens).toHaveLength(2)
  })
})

describe('its API', () => {
  const url = 'https://www.googleapis.com/events'

  it('gets the requests of tools with the user’s token, and the test sees them', async () => {
    const { google, connect, connected } = setUp({
      api: async request => Response.json({ got: await request.text() }),
    })
    await connect()
    const init = { method: 'POST', headers: { 'x-version': '1' }, body: 'hello' }
    const response = await connected.fetch('user-1', scopes, url, init)
    expect(await response.json()).toEqual({ got: 'hello' })
    const [request] = google.requests
    expect(request).toMatchObject({ userId: 'user-1', scopes, method: 'POST', url, body: 'hello' })
    expect(request?.headers.get('authorization')).toBe(`Bearer ${google.tokens[0]}`)
    expect(request?.headers.get('x-version')).toBe('1')
  })

  it('is at the origins the test names, and nowhere else', async () => {
    const { connect, connected } = setUp({
      api: { 'https://www.googleapis.com': () => new Response('api') },
    })
    await connect()
    expect(connected.isApiUrl(new URL(url))).toBe(true)
    expect(connected.isApiUrl(new URL('https://evil.example/'))).toBe(false)
    expect(connected.isApiUrl(new URL('https://www.googleapis.com:444/'))).toBe(false)
    await expect(connected.fetch('user-1', scopes, 'https://evil.example/')).rejects.toThrow(TypeError)
  })

  it('that is not scripted says what is missing', async () => {
    const { connect, connected } = setUp()
    await connect()
    await expect(connected.fetch('user-1', scopes, url)).rejects.toThrow(
      /called https:\/\/www\.googleapis\.com: say in fakeProvider\('google', \{ api \}\)/,
    )
  })

  it('that rejects a token gets the next one, once, with the same body', async () => {
    const { google, connect, connected } = setUp({
      api: request =>
        request.headers.get('authorization') === `Bearer ${google.tokens[0]}`
          ? new Response(null, { status: 401 })
          : new Response('in'),
    })
    await connect()
    const response = await connected.fetch('user-1', scopes, url, { method: 'POST', body: 'hello' })
    expect(await response.text()).toBe('in')
    expect(google.requests.map(({ body }) => body)).toEqual(['hello', 'hello'])
    const never = setUp({ api: () => new Response(null, { status: 401 }) })
    await never.connect()
    expect((await never.connected.fetch('user-1', scopes, url)).status).toBe(401)
    expect(never.google.requests).toHaveLength(2)
  })

  it('ends with the call', async () => {
    const { google, connect, connected } = setUp({ api: () => new Response('x') })
    await connect()
    await expect(
      connected.fetch('user-1', scopes, url, { signal: AbortSignal.abort() }),
    ).rejects.toMatchObject({ name: 'AbortError' })
    expect(google.requests).toEqual([])
  })
})

describe('a user with several accounts', () => {
  it('has them in the order in which they were connected, each with its own token and state', async () => {
    const { google, connect, connected } = setUp({ api: () => new Response('ok') })
    await connect('user-1', { sub: 'ada' })
    await connect('user-1', { sub: 'ada-at-work', name: 'Ada at work' } as { sub: string })
    const [first, second] = await connected.accounts('user-1')
    expect([first?.label, second?.label]).toEqual(['ada', 'Ada at work'])
    expect([first?.isDefault, second?.isDefault]).toEqual([true, false])
    const tokens = [
      (await connected.token('user-1', scopes)).value,
      (await connected.token('user-1', scopes, first?.id)).value,
      (await connected.token('user-1', scopes, second?.id)).value,
    ]
    expect(tokens[1]).toBe(tokens[0])
    expect(tokens[2]).not.toBe(tokens[0])
    await connected.fetch('user-1', scopes, 'https://google.example/', {}, second?.id)
    await connected.fetch('user-1', scopes, 'https://google.example/')
    expect(google.requests.map(({ account }) => account)).toEqual(['ada-at-work', 'ada'])
  })

  it('connects one of them again, and not one more', async () => {
    const { connect, connected, google } = setUp()
    await connect('user-1', { sub: 'ada' })
    await connect('user-1', { sub: 'ada-at-work' })
    const second = (await connected.accounts('user-1'))[1]?.id
    google.script('dead')
    await expect(connected.token('user-1', scopes, second)).rejects.toMatchObject({
      reason: 'dead',
      account: second,
    })
    expect((await connected.status('user-1', scopes, second)).state).toBe('revoked')
    expect((await connected.status('user-1', scopes)).state).toBe('active')
    await connect('user-1', { sub: 'ada-at-work' })
    expect(await connected.accounts('user-1')).toHaveLength(2)
    expect((await connected.token('user-1', scopes, second)).value).toMatch(/^external-token/)
  })

  it('who names an account that there is not is told so, and another user has none of them', async () => {
    const { connect, connected } = setUp()
    await connect('user-1', { sub: 'ada' })
    const [mine] = await connected.accounts('user-1')
    await expect(connected.token('user-2', scopes, mine?.id)).rejects.toThrow(/no google account of this id/)
    expect(await connected.accounts('user-2')).toEqual([])
  })

  it('what is scripted for the user meets all of them', async () => {
    const { connect, connected, google } = setUp()
    await connect('user-1', { sub: 'ada' })
    await connect('user-1', { sub: 'ada-at-work' })
    const second = (await connected.accounts('user-1'))[1]?.id
    google.scriptFor('user-1', 'unavailable')
    await expect(connected.token('user-1', scopes, second)).rejects.toThrow(/not available/)
    expect(await connected.isConnected('user-1', scopes, 'another')).toBe(true)
  })
})
