import { describe, expect, it } from 'vitest'
import { anotherAccount } from '../login.ts'
import { hashIdentity } from '../storage/find-user.ts'
import { createConnectLink } from './connect.ts'
import { type Answer, type Browser, createFixture, hiddenFields, returnFrom } from './sign-in.fixture.ts'

const scopes = ['post']

/** A user who has signed in before, and the link a tool gave them. */
async function setUp(options: { signInWith?: 'google' | 'linkedin' } = {}) {
  const fixture = createFixture({ needs: { google: ['calendar'], linkedin: scopes } })
  const identity = `https://${options.signInWith ?? 'google'}.example`
  const { signInUser } = await import('./sign-in-user.ts')
  const goal = { kind: 'authorize', request: {} } as never
  const { user } = await signInUser(
    fixture.context,
    fixture.google,
    { leg: {}, startedAt: undefined },
    { issuer: identity, subject: 'ada' },
    goal,
  )
  const userId = user.id
  return {
    fixture,
    userId,
    link: createConnectLink(fixture.context, { userId, providerId: 'linkedin', scopes }),
  }
}

const follow = async (browser: Browser, link: string): Promise<Answer> =>
  browser.submit(await browser.open(link))

describe('a link to connect a provider', () => {
  it('its user signs in, connects, and is told so', async () => {
    const { fixture, userId, link } = await setUp()
    const browser = fixture.browser()
    const page = await browser.open(link)
    expect(page.status).toBe(200)
    expect(page.html).toContain('Connect LinkedIn to')
    expect(page.html).toContain('<code>post</code>')
    const toGoogle = await browser.submit(page)
    expect([toGoogle.status, fixture.google.starts[0]?.scopes]).toEqual([303, []])
    const toLinkedin = await browser.open(returnFrom(fixture, toGoogle, { code: 'ada' }))
    const end = await browser.open(returnFrom(fixture, toLinkedin, { code: 'ada-at-linkedin' }))
    expect(end.html).toContain('You can close this window and go back to your app.')
    expect([...fixture.linkedin.connections]).toEqual([[userId, scopes]])
    expect([...browser.cookies.keys()]).toEqual(['__Host-sallyport-browser'])
    expect(await fixture.store.listGrants({ userId, now: fixture.time.now })).toEqual([])
  })

  it('one trip does both where users sign in with that provider', async () => {
    const { fixture, userId } = await setUp()
    const link = createConnectLink(fixture.context, { userId, providerId: 'google', scopes: ['calendar'] })
    const browser = fixture.browser()
    const toGoogle = await follow(browser, link)
    expect(fixture.google.starts).toMatchObject([{ userId, scopes: ['calendar'] }])
    const end = await browser.open(returnFrom(fixture, toGoogle, { code: 'ada' }))
    expect([end.status, [...fixture.google.connections]]).toEqual([200, [[userId, ['calendar']]]])
  })

  it('another account takes a trip of its own where users sign in with that provider', async () => {
    const { fixture, userId } = await setUp()
    const wish = { userId, providerId: 'google', scopes: ['calendar'], account: anotherAccount }
    const link = createConnectLink(fixture.context, wish)
    const browser = fixture.browser()
    const page = await browser.open(link)
    expect(page.html).toContain('Connect another Google account to')
    const toSignIn = await browser.submit(page)
    expect(fixture.google.starts.at(-1)).toMatchObject({ scopes: [] })
    expect(fixture.google.starts.at(-1)).not.toHaveProperty('account')
    const toGoogle = await browser.open(returnFrom(fixture, toSignIn, { code: 'ada' }))
    expect(fixture.google.starts.at(-1)).toMatchObject({
      userId,
      scopes: ['calendar'],
      account: anotherAccount,
    })
    const end = await browser.open(returnFrom(fixture, toGoogle, { code: 'ada-at-work' }))
    expect([end.status, end.html]).toEqual([200, expect.stringContaining('<h1>Connected</h1>')])
    expect([...fixture.google.connections]).toEqual([[userId, ['calendar']]])
  })

  it('R80: for another account too, only the user the link is for gets that far', async () => {
    const { fixture, userId } = await setUp()
    const wish = { userId, providerId: 'google', scopes: ['calendar'], account: anotherAccount }
    const mallory = fixture.browser()
    const toSignIn = await follow(mallory, createConnectLink(fixture.context, wish))
    const end = await mallory.open(returnFrom(fixture, toSignIn, { code: 'mallory' }))
    expect([end.status, fixture.google.connections.size]).toEqual([403, 0])
    expect(fixture.google.starts).toHaveLength(1)
  })

  it('an account that is not the one the user signs in with is connected again on a trip of its own', async () => {
    const { fixture, userId } = await setUp()
    const { now } = fixture.time
    const put = (account: string, subject: string) =>
      fixture.store.putConnection({
        record: {
          version: 1,
          userId,
          provider: 'google',
          account,
          accountHash: hashIdentity(['https://google.example', subject]),
          writtenBy: account,
          state: 'dead',
          scopes: [],
          sealed: 'sealed',
          accessEndsAt: 0,
          updatedAt: now,
          expiresAt: now + 600,
        },
        now,
      })
    await put('own', 'ada')
    await put('work', 'ada-at-work')
    const wish = { userId, providerId: 'google', scopes: ['calendar'] }
    const own = fixture.browser()
    await follow(own, createConnectLink(fixture.context, { ...wish, account: 'own' }))
    expect(fixture.google.starts.at(-1)).toMatchObject({ userId, account: 'own', scopes: ['calendar'] })
    const work = fixture.browser()
    const toSignIn = await follow(work, createConnectLink(fixture.context, { ...wish, account: 'work' }))
    expect(fixture.google.starts.at(-1)).toMatchObject({ scopes: [] })
    await work.open(returnFrom(fixture, toSignIn, { code: 'ada' }))
    expect(fixture.google.starts.at(-1)).toMatchObject({ userId, account: 'work', scopes: ['calendar'] })
  })

  it('R80: opened by somebody else it connects nothing to anybody', async () => {
    const { fixture, link } = await setUp()
    const mallory = fixture.browser()
    const end = await mallory.open(returnFrom(fixture, await follow(mallory, link), { code: 'mallory' }))
    expect([end.status, end.location]).toEqual([403, undefined])
    expect([fixture.google.connections.size, fixture.linkedin.starts]).toEqual([0, []])
    expect(fixture.events).toContainEqual({ type: 'sign_in_failed', loginId: 'google', reason: 'wrong_user' })
  })

  it('R80, R142: what somebody else brought is let go, as theirs, and they are told the same if that fails', async () => {
    const { fixture, userId, link } = await setUp()
    const open = async (who: string) => {
      const browser = fixture.browser()
      return browser.open(returnFrom(fixture, await follow(browser, link), { code: who }))
    }
    expect((await open('mallory')).status).toBe(403)
    const [owner] = fixture.google.unkept
    expect([fixture.google.unkept.length, owner === userId]).toEqual([1, false])
    const again = createConnectLink(fixture.context, { userId, providerId: 'linkedin', scopes: [] })
    fixture.google.letsGo = false
    const browser = fixture.browser()
    const end = await browser.open(returnFrom(fixture, await follow(browser, again), { code: 'mallory' }))
    expect([end.status, fixture.google.unkept]).toEqual([403, [owner, owner]])
  })

  it('R142: what is one account too many is let go', async () => {
    const { fixture, userId, link } = await setUp()
    fixture.linkedin.isFull = true
    const browser = fixture.browser()
    const toLinkedin = await browser.open(returnFrom(fixture, await follow(browser, link), { code: 'ada' }))
    const end = await browser.open(returnFrom(fixture, toLinkedin, { code: 'ada-at-linkedin' }))
    expect([end.status, fixture.linkedin.unkept, fixture.google.unkept]).toEqual([409, [userId], []])
  })

  it('R80: where one trip does both, the account of somebody else is not kept either', async () => {
    const { fixture, userId } = await setUp()
    const link = createConnectLink(fixture.context, { userId, providerId: 'google', scopes: ['calendar'] })
    const mallory = fixture.browser()
    const end = await mallory.open(returnFrom(fixture, await follow(mallory, link), { code: 'mallory' }))
    expect([end.status, fixture.google.connections.size]).toEqual([403, 0])
  })

  it('R109: a disabled user connects nothing, and is told why', async () => {
    const { fixture, userId, link } = await setUp()
    const { now } = fixture.time
    await fixture.store.putDisabledUser({ userId, expiresAt: now + 1000, now })
    const browser = fixture.browser()
    const end = await browser.open(returnFrom(fixture, await follow(browser, link), { code: 'ada' }))
    expect(end.status).toBe(403)
    expect(end.html).toContain('Your account is disabled')
    expect([fixture.google.connections.size, fixture.linkedin.starts]).toEqual([0, []])
    expect(fixture.events).toContainEqual({ type: 'sign_in_failed', loginId: 'google', reason: 'disabled' })
  })

  it('R109: a user who is disabled between the two trips connects nothing, and the provider is not asked', async () => {
    const { fixture, userId, link } = await setUp()
    const { now } = fixture.time
    const browser = fixture.browser()
    const toLinkedin = await browser.open(returnFrom(fixture, await follow(browser, link), { code: 'ada' }))
    await fixture.store.putDisabledUser({ userId, expiresAt: now + 1000, now })
    const end = await browser.open(returnFrom(fixture, toLinkedin, { code: 'ada-at-linkedin' }))
    expect([end.status, fixture.linkedin.connections.size, fixture.linkedin.exchanges]).toEqual([403, 0, 0])
    expect(end.html).toContain('Your account is disabled')
    expect(fixture.events).toContainEqual({
      type: 'sign_in_failed',
      loginId: 'linkedin',
      reason: 'disabled',
    })
  })

  it('R60, R80: one link, however often it is sent, does not use up what its user may do', async () => {
    const { fixture, userId, link } = await setUp()
    const stranger = fixture.browser()
    const page = await stranger.open(link)
    const answers = await Promise.all(Array.from({ length: 60 }, () => stranger.submit(page)))
    expect(answers.filter(({ status }) => status === 303)).toHaveLength(1)
    const another = createConnectLink(fixture.context, { userId, providerId: 'linkedin', scopes })
    expect((await follow(fixture.browser(), another)).status).toBe(303)
  })

  it('R60: thirty links of one user are as many as are followed in ten minutes', async () => {
    const { fixture, userId } = await setUp()
    const followed = async () => {
      const link = createConnectLink(fixture.context, { userId, providerId: 'linkedin', scopes })
      return (await follow(fixture.browser(), link)).status
    }
    for (let i = 0; i < 30; i++) expect(await followed()).toBe(303)
    expect(await followed()).toBe(429)
  })

  it('R80: works once', async () => {
    const { fixture, link } = await setUp()
    const browser = fixture.browser()
    const page = await browser.open(link)
    const answers = await Promise.all([1, 2, 3].map(() => browser.submit(page)))
    expect(answers.map(({ status }) => status).sort()).toEqual([303, 403, 403])
    expect((await follow(fixture.browser(), link)).status).toBe(403)
  })

  it('a preview of the link does not use it up', async () => {
    const { fixture, link } = await setUp()
    for (let call = 0; call < 3; call++) await fixture.browser().open(link)
    expect((await follow(fixture.browser(), link)).status).toBe(303)
  })

  it('R80: ends after ten minutes, however late its page was opened', async () => {
    const { fixture, link } = await setUp()
    const browser = fixture.browser()
    fixture.time.now += 599
    const page = await browser.open(link)
    expect(page.status).toBe(200)
    fixture.time.now += 1
    expect((await browser.open(link)).status).toBe(403)
    expect((await browser.submit(page)).status).toBe(403)
  })

  it('R80: tells nobody whose it is, and is good for its own provider only', async () => {
    const { fixture, userId, link } = await setUp()
    const page = await fixture.browser().open(link)
    for (const text of [link, page.html]) expect(text).not.toContain(userId)
    const ticket = Buffer.from(link.split('.').at(-1)!, 'base64url').toString('latin1')
    expect(ticket).not.toContain(userId)
    expect((await fixture.browser().open(link.replace('/linkedin?', '/google?'))).status).toBe(403)
    expect((await fixture.browser().open(link.replace(/.{9}$/, 'AAAAAAAAA'))).status).toBe(403)
    expect((await fixture.browser().open(link.replace('/linkedin?', '/nobody?'))).status).toBe(403)
  })

  it.each([
    [
      'another site',
      (page: Answer, mine: Browser) => mine.submit(page, {}, { 'Sec-Fetch-Site': 'cross-site' }),
    ],
    ['another browser', (page: Answer, _: Browser, other: Browser) => other.submit(page)],
    ['a changed form', (page: Answer, mine: Browser) => mine.submit(page, { request: changed(page) })],
  ])('R65: its page answered from %s uses nothing up', async (_, answer) => {
    const { fixture, link } = await setUp()
    const browser = fixture.browser()
    const page = await browser.open(link)
    expect((await answer(page, browser, fixture.browser())).status).toBe(403)
    expect((await browser.submit(page)).status).toBe(303)
  })

  it.each([
    ['access_denied', 200, 'nothing was changed'],
    ['busy', 503, 'cannot be reached'],
    ['other', 502, 'cannot be used'],
  ])('the provider answers %s: the user is told, and nothing is connected', async (error, status, words) => {
    const { fixture, link } = await setUp()
    const browser = fixture.browser()
    const toLinkedin = await browser.open(returnFrom(fixture, await follow(browser, link), { code: 'ada' }))
    const end = await browser.open(returnFrom(fixture, toLinkedin, { error }))
    expect([end.status, fixture.linkedin.connections.size]).toEqual([status, 0])
    expect(end.html).toContain(words)
  })

  it('a provider that grants less than was asked is not called connected', async () => {
    const { fixture, link } = await setUp()
    const browser = fixture.browser()
    const toLinkedin = await browser.open(returnFrom(fixture, await follow(browser, link), { code: 'ada' }))
    fixture.linkedin.connections.set = () => fixture.linkedin.connections
    const end = await browser.open(returnFrom(fixture, toLinkedin, { code: 'ada' }))
    expect(end.html).toContain('did not grant all')
  })

  it('a sign-in that cannot start is told to the user', async () => {
    const { fixture, link } = await setUp()
    fixture.google.startFails = 'unavailable'
    const end = await follow(fixture.browser(), link)
    expect([end.status, end.location]).toEqual([503, undefined])
  })

  it('a link for a provider that no tool needs is a mistake of the caller', async () => {
    const { fixture, userId } = await setUp()
    expect(() => createConnectLink(fixture.context, { userId, providerId: 'nobody', scopes: [] })).toThrow(
      TypeError,
    )
  })
})

function changed(page: Answer): string {
  const [[, sealed]] = hiddenFields(page) as [[string, string]]
  const at = Math.floor(sealed.length / 2)
  return sealed.slice(0, at) + (sealed[at] === 'A' ? 'B' : 'A') + sealed.slice(at + 1)
}
