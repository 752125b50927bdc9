import { describe, expect, it } from 'vitest'
import {
  createFixture,
  type Fixture,
  issuer,
  publicClient,
  redirectUri,
} from '../authorization-server.fixture.ts'
import { type Browser, createBrowser, parametersOf } from './sign-in.fixture.ts'

const signedOut = 'https://client.example/signed-out?from=notes'
const clients = [
  { clientId: 'public', redirectUris: [redirectUri], postLogoutRedirectUris: [signedOut] },
  { clientId: 'other', redirectUris: [redirectUri], postLogoutRedirectUris: ['https://other.example/out'] },
]

async function setUp() {
  const fixture = createFixture({ clients })
  const { code, grantId } = await fixture.placeCode(publicClient, { scopes: ['openid', 'notes:read'] })
  const tokens = (await (await fixture.redeem(publicClient, code)).json()) as Record<string, string>
  return {
    fixture,
    grantId,
    idToken: tokens.id_token!,
    access: tokens.access_token!,
    browser: newBrowser(fixture),
  }
}

const newBrowser = (fixture: Fixture): Browser =>
  createBrowser(async request => {
    const response = await fixture.server.handle(request)
    if (!response) throw new Error('no such path')
    return response
  })

const address = (parameters: Record<string, string>) =>
  `${issuer}/oauth/end-session?${new URLSearchParams(parameters)}`

describe('a client signs its user out', () => {
  it('asks first, ends this session and goes where the client registered, with its state', async () => {
    const { fixture, idToken, access, browser, grantId } = await setUp()
    const other = await fixture.session(publicClient)
    const page = await browser.open(
      address({
        id_token_hint: idToken,
        post_logout_redirect_uri: signedOut,
        state: 'a b&c',
        client_id: 'public',
      }),
    )
    expect(page.html).toContain('Stay signed in')
    expect(page.html).not.toContain(idToken)
    expect(await fixture.isLive(access)).toBe(true)

    const end = await browser.submit(page, { decision: 'sign-out' })
    expect(end.status).toBe(303)
    expect(end.location!.startsWith(`${signedOut}&`)).toBe(true)
    expect([...parametersOf(end)]).toEqual([
      ['from', 'notes'],
      ['state', 'a b&c'],
    ])
    expect([await fixture.isLive(access), await fixture.isLive(other.access)]).toEqual([false, true])
    expect(fixture.events).toContainEqual({ type: 'family_revoked', grantId, by: 'user' })
    expect((await browser.submit(page, { decision: 'sign-out' })).status).toBe(403)
  })

  it('works with an id_token that has ended, and without an address to go to', async () => {
    const { fixture, idToken, browser, grantId } = await setUp()
    fixture.time.now += 4000
    const page = await browser.open(address({ id_token_hint: idToken, state: 'x' }))
    const end = await browser.submit(page, { decision: 'sign-out' })
    expect([end.status, end.location]).toEqual([200, undefined])
    expect(end.html).toContain('Signed out')
    expect((await fixture.store.findGrant({ id: grantId, now: fixture.time.now }))?.revokedBy).toBe('user')
  })

  it('may come as a form of another site: that only shows the page', async () => {
    const { fixture, idToken, access } = await setUp()
    const response = await fixture.server.handle(
      new Request(`${issuer}/oauth/end-session`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/x-www-form-urlencoded', 'Sec-Fetch-Site': 'cross-site' },
        body: new URLSearchParams({ id_token_hint: idToken }).toString(),
      }),
    )
    expect([response?.status, await fixture.isLive(access)]).toEqual([200, true])
  })

  it('who stays keeps the session and goes nowhere', async () => {
    const { fixture, idToken, access, browser } = await setUp()
    const url = address({ id_token_hint: idToken, post_logout_redirect_uri: signedOut })
    const end = await browser.submit(await browser.open(url), { decision: 'stay' })
    expect([end.status, end.location, await fixture.isLive(access)]).toEqual([200, undefined, true])
  })

  it.each([
    ['of nobody', 'https://evil.example/'],
    ['of another client', 'https://other.example/out'],
    ['in another case', signedOut.replace('signed', 'Signed')],
    ['with something added', `${signedOut}&x`],
    ['without its query', signedOut.split('?')[0]!],
    ['of a sign-in', redirectUri],
  ])('R41: is no open redirect: an address %s is refused on a page', async (_, uri) => {
    const { fixture, idToken, access, browser } = await setUp()
    const page = await browser.open(address({ id_token_hint: idToken, post_logout_redirect_uri: uri }))
    expect([page.status, page.location]).toEqual([400, undefined])
    expect(page.html).not.toContain('<form')
    expect(await fixture.isLive(access)).toBe(true)
  })

  it('R119: without an id_token of ours, or with another client_id, nothing is offered', async () => {
    const { access, idToken, browser } = await setUp()
    for (const parameters of [
      {},
      { post_logout_redirect_uri: signedOut, client_id: 'public' },
      { id_token_hint: access },
      { id_token_hint: `${idToken}x` },
      { id_token_hint: idToken, client_id: 'other' },
    ] as Record<string, string>[]) {
      const page = await browser.open(address(parameters))
      expect([page.status, page.location, page.html.includes('<form')]).toEqual([400, undefined, false])
    }
  })

  it('R65: the answer counts in the browser that was asked, from our own page', async () => {
    const { fixture, idToken, access, browser } = await setUp()
    const page = await browser.open(address({ id_token_hint: idToken }))
    const stranger = newBrowser(fixture)
    await stranger.open(address({ id_token_hint: idToken }))
    expect((await stranger.submit(page, { decision: 'sign-out' })).status).toBe(403)
    const crossSite = { 'Sec-Fetch-Site': 'cross-site' }
    expect((await browser.submit(page, { decision: 'sign-out' }, crossSite)).status).toBe(403)
    expect((await browser.submit(page, {})).status).toBe(403)
    expect(await fixture.isLive(access)).toBe(true)
  })

  it('an address the client has taken back meanwhile is not used', async () => {
    const { fixture, idToken, browser } = await setUp()
    const url = address({ id_token_hint: idToken, post_logout_redirect_uri: signedOut })
    const page = await browser.open(url)
    await fixture.server.admin.revokeClient('public')
    const end = await browser.submit(page, { decision: 'sign-out' })
    expect([end.status, end.location]).toEqual([400, undefined])
  })
})
