import { describe, expect, it } from 'vitest'
import { type Admin, createAdmin } from '../admin.ts'
import { LoginError, type PageLogin } from '../login.ts'
import type { Connection } from '../storage/records.ts'
import {
  type Answer,
  approve,
  type Browser,
  client,
  createFixture,
  type Fixture,
  returnFrom,
  strangerId,
} from './sign-in.fixture.ts'

const url = 'https://mcp.example.com/account'
const sessionCookie = '__Host-sallyport-account'

/** A button of the page, by its name for screen readers or its text. */
function button({ html }: Answer, name: string): { request: string } {
  for (const [form] of html.matchAll(/<form.*?<\/form>/gs)) {
    if (form.includes(`aria-label="${name}"`) || form.includes(`>${name}</button>`)) {
      return { request: /name="request" value="([^"]*)"/.exec(form)![1]! }
    }
  }
  throw new Error(`no button "${name}" on ${html}`)
}
const press = (browser: Browser, page: Answer, name: string, headers: Record<string, string> = {}) =>
  browser.submit(page, button(page, name), headers)

/** Lets a client in for a user; the id of the user. */
async function allow(fixture: Fixture, who: string): Promise<string> {
  const browser = fixture.browser()
  let at = await approve(fixture, browser)
  while (/^https:\/\/(google|linkedin)\./.test(at.location!)) {
    at = await browser.open(returnFrom(fixture, at, { code: who }))
  }
  const event = fixture.events.findLast(({ type }) => type === 'sign_in_succeeded')
  const userId = event?.type === 'sign_in_succeeded' ? event.userId : ''
  const { now } = fixture.time
  for (const { id, code } of await fixture.store.listGrants({ userId, now })) {
    const refresh = { hash: 'refresh', idleEndsAt: now + 86_400 }
    const step = { id, codeHash: code.hash, refresh, accessEndsAt: now + 900, operationId: id, now }
    if (code.redeemedAt === undefined) await fixture.store.redeemCode(step)
  }
  return userId
}

async function signIn(fixture: Fixture, who: string, browser = fixture.browser()) {
  const sentTo = await press(browser, await browser.open(url), 'Sign in with Google')
  const back = await browser.open(returnFrom(fixture, sentTo, { code: who }))
  expect([back.status, back.location]).toEqual([303, url])
  return { browser, back, page: await browser.open(url) }
}

async function connect(
  fixture: Fixture,
  userId: string,
  provider: string,
  state: 'active' | 'dead' = 'active',
  over: Partial<Connection> = {},
) {
  const { now } = fixture.time
  const record = {
    version: 1 as const,
    userId,
    provider,
    account: 'default',
    writtenBy: 'test',
    state,
    scopes: ['post:write'],
    sealed: 'canary-sealed',
    accessEndsAt: 0,
    updatedAt: now,
    expiresAt: now + 86_400,
    ...over,
  }
  await fixture.store.putConnection({ record, now })
}

const liveGrants = (fixture: Fixture, userId: string) =>
  fixture.store.listGrants({ userId, now: fixture.time.now })

describe('R72: the account page', () => {
  it('shows a user which apps have access and what is connected, of nobody else', async () => {
    const fixture = createFixture({ needs: { linkedin: ['post:write'] } })
    const ada = await allow(fixture, 'ada')
    fixture.clients.set(strangerId, client({ clientName: 'App of Bob' }))
    const bob = await allow(fixture, 'bob')
    await connect(fixture, ada, 'linkedin')
    await connect(fixture, ada, 'elsewhere', 'dead')
    await connect(fixture, bob, 'google')
    fixture.time.now += 600
    const { page } = await signIn(fixture, 'ada')
    expect(page.status).toBe(200)
    expect(page.html).toContain('Example App')
    expect(page.html).toContain('app.')
    // What the scope allows, in words.
    expect(page.html).toContain('Use this server&#39;s tools as you')
    expect(page.html).toContain('<h3>LinkedIn</h3>')
    expect(page.html).toContain('Ended by elsewhere')
    expect(page.html).toContain('<time datetime="2027-01-15T08:00:00.000Z">15 Jan 2027</time>')
    for (const foreign of ['App of Bob', 'Disconnect Google account', 'canary-sealed']) {
      expect(page.html).not.toContain(foreign)
    }
    const [grant] = await liveGrants(fixture, ada)
    for (const secret of [ada, grant!.id, grant!.code.hash]) expect(page.html).not.toContain(secret)
  })

  it('tells a user what they must do about a connection, and nothing that others must mend', async () => {
    const fixture = createFixture()
    const ada = await allow(fixture, 'ada')
    const { now } = fixture.time
    const news = async (over: Partial<Connection>) => {
      await connect(fixture, ada, 'linkedin', 'active', over)
      const { page } = await signIn(fixture, 'ada')
      const [, text] = page.html.replace(/<[^>]*>/g, '').split('post:write')
      return text?.split('Disconnect')[0]?.trim()
    }
    const failure = { errorClass: 'transient', at: now, count: 9, nextAttemptAt: now + 20 } as const
    expect(await news({ failure })).toBe('Last renewed 15 Jan 2027')
    expect(await news({ consentEndsAt: now + 3 * 86_400 })).toBe(
      'Last renewed 15 Jan 2027; on 18 Jan 2027 it ends, and a tool that needs it will ask you to connect again',
    )
    expect(await news({ consentEndsAt: now })).toBe(
      'Ended: a tool that needs it will ask you to connect again',
    )
  })

  it('speaks of no apps where they get their access from another issuer', async () => {
    const fixture = createFixture({
      needs: { linkedin: ['post:write'] },
      context: { connectionsOnly: true },
    })
    const before = await fixture.browser().open(url)
    expect(before.html).toContain('which accounts you have connected to')
    const { page } = await signIn(fixture, 'ada')
    expect(page.html).toContain('Accounts you have connected')
    expect(before.html + page.html).not.toMatch(/\bapps?\b/i)
  })

  it('ends the access of one app, at once, and says by whom', async () => {
    const fixture = createFixture()
    const ada = await allow(fixture, 'ada')
    await allow(fixture, 'ada')
    const bob = await allow(fixture, 'bob')
    const { browser, page } = await signIn(fixture, 'ada')
    const answer = await press(browser, page, 'End access of Example App')
    expect([answer.status, answer.location]).toEqual([303, url])
    expect(await liveGrants(fixture, ada)).toHaveLength(1)
    expect(await liveGrants(fixture, bob)).toHaveLength(1)
    expect(fixture.events.at(-1)).toEqual({
      type: 'family_revoked',
      grantId: expect.any(String),
      by: 'user',
    })
    await press(browser, page, 'End access of Example App')
    expect(await liveGrants(fixture, ada), 'pressed twice, ended once').toHaveLength(1)
    await press(browser, await browser.open(url), 'End access of Example App')
    expect((await browser.open(url)).html).toContain('None.')
  })

  it('disconnects one account', async () => {
    const fixture = createFixture({ needs: { linkedin: ['post:write'] } })
    const ada = await allow(fixture, 'ada')
    await connect(fixture, ada, 'linkedin')
    await connect(fixture, ada, 'google')
    const { browser, page } = await signIn(fixture, 'ada')
    await press(browser, page, 'Disconnect LinkedIn account')
    await press(browser, page, 'Disconnect LinkedIn account')
    const left = await fixture.store.listConnections({ userId: ada, now: fixture.time.now })
    expect(left.map(({ provider }) => provider)).toEqual(['google'])
    expect(fixture.events.filter(({ type }) => type === 'connection_ended')).toEqual([
      { type: 'connection_ended', userId: ada, provider: 'linkedin', account: 'default', by: 'user' },
    ])
  })

  it('tells several accounts of one provider apart, and which one tools use', async () => {
    const labels = new Map([['home', 'ada@home.example<b>']])
    const fixture = createFixture({ needs: { linkedin: ['post:write'] } })
    fixture.context.connections.accountLabels = async () => labels
    const ada = await allow(fixture, 'ada')
    await connect(fixture, ada, 'linkedin', 'active', { account: 'home', connectedAt: 1 })
    await connect(fixture, ada, 'linkedin', 'active', { account: 'work', connectedAt: 2 })
    const { browser, page } = await signIn(fixture, 'ada')
    expect(page.html).toContain('ada@home.example&lt;b&gt;')
    expect(page.html).toMatch(/home\.example.*Tools use this account.*LinkedIn account 2.*Use by default/s)
    await press(browser, page, 'Use by default: LinkedIn account 2')
    const after = await browser.open(url)
    expect(after.html).toMatch(/LinkedIn account 1.*Tools use this account.*home\.example/s)
    await press(browser, after, 'Disconnect ada@home.example&lt;b&gt;')
    const left = await fixture.store.listConnections({ userId: ada, now: fixture.time.now })
    expect(left.map(({ account }) => account)).toEqual(['work'])
  })

  it('connects another account with a link that is for this user and one account more', async () => {
    const fixture = createFixture({ needs: { linkedin: ['post:write'] } })
    const ada = await allow(fixture, 'ada')
    await connect(fixture, ada, 'linkedin')
    const { browser, page } = await signIn(fixture, 'ada')
    const sent = await press(browser, page, 'Connect another LinkedIn account')
    expect(sent.location).toMatch(/^https:\/\/mcp\.example\.com\/oauth\/connect\/linkedin\?ticket=/)
    const toGoogle = await browser.submit(await browser.open(sent.location!))
    await browser.open(returnFrom(fixture, toGoogle, { code: 'ada' }))
    expect(fixture.linkedin.starts.at(-1)).toMatchObject({ scopes: ['post:write'], account: 'another' })
  })

  it.each<[string, Partial<Connection>, string[], string[]]>([
    ['what tools need of what it has', { scopes: ['post:write', 'profile'] }, [], ['post:write']],
    ['what it can do by a scope that is wider', { scopes: ['post:all'] }, ['post:write'], ['post:write']],
    [
      'what a tool has missed',
      { scopes: ['post:write'], missingScopes: ['post:read'] },
      [],
      ['post:write', 'post:read'],
    ],
    ['what it had, once it has ended', { state: 'dead', scopes: ['post:write'] }, [], ['post:write']],
    ['nothing in particular', { scopes: [] }, [], []],
  ])('asks another account for %s, and not for what other tools need', async (_, over, covered, asked) => {
    const fixture = createFixture({ needs: { linkedin: ['post:write', 'post:read', 'post:delete'] } })
    const ada = await allow(fixture, 'ada')
    await connect(fixture, ada, 'linkedin', 'active', over)
    const { isConnected } = fixture.context.connections
    fixture.context.connections.isConnected = async (userId, provider, scopes, account) =>
      account === 'default'
        ? scopes.every(scope => covered.includes(scope))
        : isConnected(userId, provider, scopes, account)
    const { browser, page } = await signIn(fixture, 'ada')
    const sent = await press(browser, page, 'Connect another LinkedIn account')
    const toGoogle = await browser.submit(await browser.open(sent.location!))
    await browser.open(returnFrom(fixture, toGoogle, { code: 'ada' }))
    expect(fixture.linkedin.starts.at(-1)).toMatchObject({ scopes: asked, account: 'another' })
  })

  it('offers no other account where a user can have one only: it would take the place of the first', async () => {
    const fixture = createFixture({ needs: { linkedin: ['post:write'] } })
    const ada = await allow(fixture, 'ada')
    await connect(fixture, ada, 'linkedin')
    const { browser, page } = await signIn(fixture, 'ada')
    const linkedin = Object.assign(fixture.linkedin, { hasOneAccount: true })
    expect((await browser.open(url)).html).not.toContain('Connect another')
    // A page from before says so too late.
    const sent = await press(browser, page, 'Connect another LinkedIn account')
    expect([sent.status, sent.location]).toEqual([303, url])
    expect(linkedin.starts).toHaveLength(1)
  })

  it('R64: an app cannot write into the page with its name', async () => {
    const fixture = createFixture()
    fixture.clients.set(strangerId, client({ clientName: '<script>alert(1)</script>" onclick="x\u202e' }))
    await allow(fixture, 'ada')
    const { page } = await signIn(fixture, 'ada')
    expect(page.html).toContain('&lt;script&gt;alert(1)&lt;/script&gt;&quot; onclick=&quot;x')
    expect(page.html).not.toMatch(/<script|" onclick|\u202e/)
    expect(page.headers.get('Content-Security-Policy')).toContain("default-src 'none'")
    expect(page.headers.get('Cache-Control')).toBe('no-store')
  })
})

describe('sign-in to the account page', () => {
  it('R60: nothing is stored for whoever opens the page, and nobody upstream is asked', async () => {
    const fixture = createFixture()
    const page = await fixture.browser().open(url)
    expect(page.status).toBe(200)
    expect(page.html).toContain('Sign in with Google')
    expect([fixture.store.size, fixture.google.starts]).toEqual([0, []])
  })

  it('R67: its session is in a cookie of this host that scripts cannot read, sealed, for 15 minutes', async () => {
    const fixture = createFixture()
    const ada = await allow(fixture, 'ada')
    const { browser, back, page } = await signIn(fixture, 'ada')
    const cookie = back.headers.getSetCookie().find(line => line.startsWith(`${sessionCookie}=s1.`))!
    expect(cookie).toMatch(/; Path=\/; Max-Age=900; HttpOnly; SameSite=Lax; Secure$/)
    expect(cookie).not.toContain(ada)
    fixture.time.now += 899
    expect((await browser.open(url)).html).toContain('Example App')
    fixture.time.now += 1
    expect((await browser.open(url)).html).toContain('Sign in with Google')
    await press(browser, page, 'End access of Example App')
    expect(await liveGrants(fixture, ada)).toHaveLength(1)
  })

  it('R66: the way back from the provider opens it in the browser that began alone', async () => {
    const fixture = createFixture()
    const victim = fixture.browser()
    const mallory = fixture.browser()
    const sentTo = await press(mallory, await mallory.open(url), 'Sign in with Google')
    const answer = await victim.open(returnFrom(fixture, sentTo, { code: 'mallory' }))
    expect(answer.status).toBe(403)
    expect(victim.cookies.has(sessionCookie)).toBe(false)
  })

  it('a cookie that was changed, or was sealed for something else, is no session', async () => {
    const fixture = createFixture()
    await allow(fixture, 'ada')
    const { browser, page } = await signIn(fixture, 'ada')
    const value = browser.cookies.get(sessionCookie)!
    // Not the last character: some of its bits mean nothing.
    const changed = value.at(-5) === 'A' ? 'B' : 'A'
    for (const other of [
      `${value.slice(0, -5)}${changed}${value.slice(-4)}`,
      button(page, 'Sign out of this page').request,
      's1.x.y',
      'x',
    ]) {
      browser.cookies.set(sessionCookie, other)
      expect((await browser.open(url)).html).toContain('Sign in with Google')
    }
  })

  it('ends when the user signs out', async () => {
    const fixture = createFixture()
    const { browser, page } = await signIn(fixture, 'ada')
    await press(browser, page, 'Sign out of this page')
    expect(browser.cookies.has(sessionCookie)).toBe(false)
    expect((await browser.open(url)).html).toContain('Sign in with Google')
  })

  it.each<[string, (admin: Admin, userId: string) => Promise<unknown>]>([
    ['an administrator ends all sessions of the user', (admin, userId) => admin.revokeUser(userId)],
    [
      'the user is disabled, also once they are enabled again',
      async (admin, userId) => {
        await admin.disableUser(userId)
        await admin.enableUser(userId)
      },
    ],
    ['an administrator ends all sessions of everybody', admin => admin.revokeAll()],
  ])('R157: ends when %s; a later sign-in works', async (_, end) => {
    const fixture = createFixture()
    const ada = await allow(fixture, 'ada')
    const { browser, page } = await signIn(fixture, 'ada')
    fixture.time.now += 5
    await end(createAdmin(fixture.context), ada)
    await allow(fixture, 'ada')
    // Neither what is shown nor a button of a page from before.
    await press(browser, page, 'End access of Example App')
    expect(await liveGrants(fixture, ada)).toHaveLength(1)
    expect((await browser.open(url)).html).toContain('Sign in with Google')
    fixture.time.now += 1
    expect((await signIn(fixture, 'ada', browser)).page.html).toContain('Example App')
    // The mark is forgotten when no session from before it is left.
    fixture.time.now += 900
    expect((await signIn(fixture, 'ada', browser)).page.html).toContain('Example App')
  })

  it('R157: goes on when somebody else’s sessions end, or one app’s', async () => {
    const fixture = createFixture()
    const ada = await allow(fixture, 'ada')
    const bob = await allow(fixture, 'bob')
    const { browser } = await signIn(fixture, 'ada')
    fixture.time.now += 5
    const admin = createAdmin(fixture.context)
    await admin.revokeUser(bob)
    const [grant] = await liveGrants(fixture, ada)
    await admin.revokeGrant(grant!.id)
    expect((await browser.open(url)).html).toContain('Sign out of this page')
  })

  it('R109: ends when the user is disabled, and they are told so when they try again', async () => {
    const fixture = createFixture()
    const ada = await allow(fixture, 'ada')
    const { browser } = await signIn(fixture, 'ada')
    const { now } = fixture.time
    await fixture.store.putDisabledUser({ userId: ada, expiresAt: now + 1000, now })
    const page = await browser.open(url)
    expect(page.html).toContain('Sign in with Google')
    const sentTo = await press(browser, page, 'Sign in with Google')
    const answer = await browser.open(returnFrom(fixture, sentTo, { code: 'ada' }))
    expect(answer.status).toBe(403)
    expect(answer.html).toContain('Your account is disabled')
    expect((await browser.open(url)).html).toContain('Sign in with Google')
  })

  it.each<[string, Record<string, string>, number, string]>([
    ['declines', { error: 'access_denied' }, 200, 'You declined'],
    ['gets an answer nobody can use', { error: 'nonsense' }, 502, 'cannot be used'],
    ['finds the provider busy', { error: 'busy' }, 503, 'cannot be reached'],
  ])('a user who %s is told so, and is not signed in', async (_, parameters, status, words) => {
    const fixture = createFixture()
    const browser = fixture.browser()
    const sentTo = await press(browser, await browser.open(url), 'Sign in with Google')
    const answer = await browser.open(returnFrom(fixture, sentTo, parameters))
    expect(answer.status).toBe(status)
    expect(answer.html).toContain(words)
    expect(answer.html).toContain(`<a href="${url}">Open your account page</a>`)
    expect(browser.cookies.has(sessionCookie)).toBe(false)
    expect(fixture.store.size, 'the transaction is over').toBeLessThanOrEqual(2)
  })

  it('a provider that cannot be reached is said to be so', async () => {
    const fixture = createFixture()
    fixture.google.startFails = 'unavailable'
    const browser = fixture.browser()
    const answer = await press(browser, await browser.open(url), 'Sign in with Google')
    expect([answer.status, answer.headers.get('Retry-After')]).toEqual([503, '30'])
    expect(fixture.store.size).toBe(0)
  })

  it('works with a sign-in on a page of the application', async () => {
    const page: PageLogin = {
      kind: 'page',
      id: 'own',
      label: 'a name',
      async handle({ form }) {
        if (!form) return new Response('<form method="post" action="/"></form>')
        if (form.get('name') === 'nobody') throw new LoginError('denied')
        return { issuer: 'https://own.example', subject: 'ada' }
      },
    }
    const fixture = createFixture({ signIn: page })
    const browser = fixture.browser()
    const sentTo = await press(browser, await browser.open(url), 'Sign in with a name')
    const asked = await browser.open(sentTo.location!)
    const form = asked.html.replace('action="/"', `action="${sentTo.location}"`)
    const back = await browser.submit({ ...asked, html: form }, { name: 'ada' })
    expect(back.location).toBe(url)
    expect((await browser.open(url)).html).toContain('Sign out of this page')
  })
})

describe('R65: a button works for whom it was shown to', () => {
  const setUp = async () => {
    const fixture = createFixture()
    const ada = await allow(fixture, 'ada')
    return { fixture, ada, ...(await signIn(fixture, 'ada')) }
  }

  it('a form of another site is refused', async () => {
    const { fixture, ada, browser, page } = await setUp()
    const answer = await press(browser, page, 'End access of Example App', { 'Sec-Fetch-Site': 'cross-site' })
    expect(answer.status).toBe(403)
    expect(await liveGrants(fixture, ada)).toHaveLength(1)
  })

  it.each<[string, (fixture: Fixture, browser: Browser) => Promise<Browser>]>([
    ['another browser', async fixture => fixture.browser()],
    [
      'another browser in which somebody else is signed in',
      async fixture => (await signIn(fixture, 'bob')).browser,
    ],
    [
      'a browser in which somebody else has signed in since',
      async (fixture, browser) => (await signIn(fixture, 'bob', signedOut(browser))).browser,
    ],
    ['a browser that is signed out', async (_, browser) => signedOut(browser)],
  ])('in %s it does nothing', async (_, other) => {
    const { fixture, ada, browser, page } = await setUp()
    const answer = await press(await other(fixture, browser), page, 'End access of Example App')
    expect([answer.status, answer.location]).toEqual([303, url])
    expect(await liveGrants(fixture, ada)).toHaveLength(1)
  })

  it('a form that was made up does nothing', async () => {
    const { fixture, ada, browser, page } = await setUp()
    for (const request of ['', 'x', 's1.a.b', browser.cookies.get(sessionCookie)!]) {
      expect((await browser.submit(page, { request })).location).toBe(url)
    }
    expect(await liveGrants(fixture, ada)).toHaveLength(1)
  })
})

function signedOut(browser: Browser): Browser {
  browser.cookies.delete(sessionCookie)
  return browser
}
