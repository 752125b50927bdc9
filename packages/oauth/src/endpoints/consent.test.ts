import { describe, expect, it } from 'vitest'
import { developmentSignIn } from '../development-sign-in.ts'
import {
  type Answer,
  approve,
  client,
  createFixture,
  hiddenFields,
  parametersOf,
  strangerId,
  strangerRedirect,
} from './sign-in.fixture.ts'

const allow = { decision: 'allow' }
const sealedOf = (page: Answer) => Object.fromEntries(hiddenFields(page)).request!

/** Changes one character in the middle, where every bit counts. */
const tampered = (sealed: string) => {
  const at = Math.floor(sealed.length / 2)
  return sealed.slice(0, at) + (sealed[at] === 'A' ? 'B' : 'A') + sealed.slice(at + 1)
}

describe('approval', () => {
  it('R49, R66: leads to the provider by 303, with a cookie for this sign-in that was not there before', async () => {
    const fixture = createFixture()
    const browser = fixture.browser()
    const page = await browser.open(fixture.authorizeUrl())
    expect([...browser.cookies.keys()]).toEqual(['__Host-sallyport-browser'])
    expect(fixture.google.starts).toEqual([])
    const sentTo = await browser.submit(page, allow)
    expect(sentTo.status).toBe(303)
    expect(sentTo.location).toMatch(/^https:\/\/google\.example\/authorize\?state=[\w-]{24}\.[\w-]{24}$/)
    expect([...browser.cookies.keys()]).toEqual([
      '__Host-sallyport-browser',
      expect.stringMatching(/^__Host-sallyport-tx-[\w-]{24}$/),
    ])
    expect(fixture.google.starts[0]).toMatchObject({
      callbackUrl: 'https://mcp.example.com/oauth/callback/google',
      scopes: [],
    })
  })

  it('leads to the page of a sign-in that has one', async () => {
    const fixture = createFixture({ issuer: 'http://localhost:3000', signIn: developmentSignIn() })
    const sentTo = await approve(fixture, fixture.browser())
    expect(sentTo.location).toMatch(
      /^http:\/\/localhost:3000\/oauth\/callback\/development\?state=[\w.-]{49}$/,
    )
  })

  it('asks a provider that signs in for the scopes of the tools on the same trip', async () => {
    const fixture = createFixture({ needs: { google: ['calendar'], linkedin: ['post'] } })
    await approve(fixture, fixture.browser())
    expect(fixture.google.starts[0]?.scopes).toEqual(['calendar'])
    expect(fixture.google.starts[0]).not.toHaveProperty('userId')
  })

  it('going back and pressing Allow again starts a sign-in of its own and spoils nothing', async () => {
    const fixture = createFixture()
    const browser = fixture.browser()
    const page = await browser.open(fixture.authorizeUrl())
    const [first, second] = [await browser.submit(page, allow), await browser.submit(page, allow)]
    expect(first.location).not.toBe(second.location)
    expect(browser.cookies.size).toBe(3)
  })

  it('R60: beyond the limit nobody new gets in and nobody under way is thrown out', async () => {
    const fixture = createFixture({ context: { maxPendingAuthorizations: 2 } })
    await approve(fixture, fixture.browser())
    await approve(fixture, fixture.browser())
    const size = fixture.store.size
    const third = await approve(fixture, fixture.browser())
    expect([third.status, third.headers.get('retry-after'), third.location]).toEqual([503, '30', undefined])
    expect(third.headers.getSetCookie()).toEqual([])
    expect(fixture.store.size).toBe(size)
    fixture.time.now += 601
    expect((await approve(fixture, fixture.browser())).status).toBe(303)
  })

  it.each([
    ['unavailable', 'temporarily_unavailable'],
    ['failed', 'server_error'],
  ] as const)(
    'a provider that is %s when the sign-in starts is told to the client',
    async (reason, error) => {
      const fixture = createFixture()
      fixture.google.startFails = reason
      const answer = await approve(fixture, fixture.browser())
      expect(Object.fromEntries(parametersOf(answer))).toEqual({
        error,
        error_description: expect.stringMatching(/^The sign-in /),
        state: 'client-state',
        iss: fixture.context.issuer,
      })
      expect(fixture.store.size).toBe(0)
      expect(fixture.events).toContainEqual({ type: 'sign_in_failed', loginId: 'google', reason })
    },
  )
})

describe('denial', () => {
  it('R58, R70: tells the client, asks nobody upstream, leaves nothing, and is final', async () => {
    const fixture = createFixture()
    const browser = fixture.browser()
    const page = await browser.open(fixture.authorizeUrl())
    const denied = await browser.submit(page, { decision: 'deny' })
    expect(denied.status).toBe(303)
    expect(denied.location!.startsWith(`${strangerRedirect}?`)).toBe(true)
    expect(Object.fromEntries(parametersOf(denied))).toEqual({
      error: 'access_denied',
      error_description: 'The sign-in was declined; nothing was changed.',
      state: 'client-state',
      iss: fixture.context.issuer,
    })
    expect((await browser.submit(page, allow)).status).toBe(403)
    expect([fixture.store.size, fixture.google.starts]).toEqual([0, []])
  })
})

describe('R65: a form that its user did not send from our page', () => {
  it.each([
    ['another site', { 'Sec-Fetch-Site': 'cross-site' }],
    ['another port of the same site', { 'Sec-Fetch-Site': 'same-site' }],
    ['an address typed', { 'Sec-Fetch-Site': 'none' }],
    [
      'another site that claims our origin',
      { 'Sec-Fetch-Site': 'cross-site', Origin: 'https://mcp.example.com' },
    ],
  ])('from %s is refused', async (_, headers) => {
    const fixture = createFixture()
    const browser = fixture.browser()
    const answer = await browser.submit(await browser.open(fixture.authorizeUrl()), allow, headers)
    expect([answer.status, answer.location, fixture.store.size]).toEqual([403, undefined, 0])
  })

  it.each([
    ['https://evil.example', 403],
    ['https://mcp.example.com.evil.example', 403],
    ['http://mcp.example.com', 403],
    ['https://mcp.example.com', 303],
    ['null', 303],
    [undefined, 303],
  ])('from a browser without Sec-Fetch-Site, the origin %s is answered %i', async (origin, status) => {
    const fixture = createFixture()
    const browser = fixture.browser()
    const page = await browser.open(fixture.authorizeUrl())
    const response = await fixture.handle(
      new Request(`${fixture.context.issuer}/oauth/consent`, {
        method: 'POST',
        headers: {
          'Content-Type': 'application/x-www-form-urlencoded',
          Cookie: [...browser.cookies].map(pair => pair.join('=')).join('; '),
          ...(origin !== undefined && { Origin: origin }),
        },
        body: new URLSearchParams({ request: sealedOf(page), decision: 'allow' }).toString(),
      }),
    )
    expect(response.status).toBe(status)
  })

  it('R65: GET never approves', async () => {
    const fixture = createFixture()
    const browser = fixture.browser()
    const page = await browser.open(fixture.authorizeUrl())
    const url = `${fixture.context.issuer}/oauth/consent?request=${sealedOf(page)}&decision=allow`
    expect((await browser.open(url)).status).toBe(405)
    expect(fixture.google.starts).toEqual([])
  })

  it('R65: with the cookie of another browser, or none, is refused', async () => {
    const fixture = createFixture()
    const page = await fixture.browser().open(fixture.authorizeUrl())
    const other = fixture.browser()
    expect((await other.submit(page, allow)).status).toBe(403)
    await other.open(fixture.authorizeUrl())
    expect((await other.submit(page, allow)).status).toBe(403)
    expect(fixture.google.starts).toEqual([])
  })
})

describe('R56: the form carries what was shown, and nothing else counts', () => {
  it.each([
    ['changed', (sealed: string) => ({ request: tampered(sealed), decision: 'allow' })],
    ['missing', () => ({ request: '', decision: 'allow' })],
    ['not ours', () => ({ request: 's1.AAAAAAAA.AAAA', decision: 'allow' })],
    ['without a decision', (sealed: string) => ({ request: sealed, decision: '' })],
    ['with a decision of no button', (sealed: string) => ({ request: sealed, decision: 'yes' })],
  ])('a sealed field that is %s is refused', async (_, fields) => {
    const fixture = createFixture()
    const browser = fixture.browser()
    const page = await browser.open(fixture.authorizeUrl())
    const answer = await browser.submit(page, fields(sealedOf(page)))
    expect([answer.status, answer.location, fixture.store.size]).toEqual([403, undefined, 0])
    expect(answer.html).toContain('start again')
  })

  it('fields, query and cookies that name another redirect URI, scope or state change nothing', async () => {
    const fixture = createFixture()
    const browser = fixture.browser()
    const page = await browser.open(fixture.authorizeUrl())
    const hostile = {
      redirect_uri: 'https://evil.example/',
      state: 'other',
      scope: 'notes:write',
      client_id: 'x',
    }
    const denied = await browser.submit(
      {
        ...page,
        html: page.html.replace('/oauth/consent"', `/oauth/consent?${new URLSearchParams(hostile)}"`),
      },
      { ...hostile, decision: 'deny' },
    )
    expect(denied.location!.startsWith(`${strangerRedirect}?`)).toBe(true)
    expect(parametersOf(denied).get('state')).toBe('client-state')
  })

  it('a page answered after ten minutes is refused, one before is not', async () => {
    const fixture = createFixture()
    const browser = fixture.browser()
    const page = await browser.open(fixture.authorizeUrl())
    fixture.time.now += 599
    expect((await browser.submit(page, allow)).status).toBe(303)
    fixture.time.now += 1
    expect((await browser.submit(page, allow)).status).toBe(403)
  })

  it('a page of another tenant or another kind does not open', async () => {
    const fixture = createFixture()
    const browser = fixture.browser()
    const page = await browser.open(fixture.authorizeUrl())
    const answer = await browser.submit({
      ...page,
      html: page.html.replace('/oauth/consent', '/oauth/connect/google'),
    })
    expect(answer.status).toBe(403)
  })

  it('nobody can read from the page what the client keeps secret', async () => {
    const page = await createFixture()
      .browser()
      .open(createFixture().authorizeUrl({ state: 'canary-state' }))
    expect(page.html).not.toContain('canary-state')
  })
})

describe('R36, R79: a client that changed while the user was reading', () => {
  it.each([
    ['was deleted', undefined],
    ['took another name', client({ clientName: 'Your Bank' })],
    ['gave up the redirect URI', client({ redirectUris: ['https://app.example/other'] })],
  ])('one that %s gets nothing', async (_, changed) => {
    const fixture = createFixture()
    const browser = fixture.browser()
    const page = await browser.open(fixture.authorizeUrl())
    if (changed) fixture.clients.set(strangerId, changed)
    else fixture.clients.delete(strangerId)
    for (const decision of ['allow', 'deny']) {
      const answer = await browser.submit(page, { decision })
      expect([answer.status, answer.location]).toEqual([403, undefined])
    }
    expect(fixture.google.starts).toEqual([])
  })
})

it('R188: no event carries a state, a cookie or a sealed value', async () => {
  const fixture = createFixture()
  const browser = fixture.browser()
  const page = await browser.open(fixture.authorizeUrl({ state: 'canary-state' }))
  const sentTo = await browser.submit(page, allow)
  const said = JSON.stringify(fixture.events)
  expect(fixture.events.map(({ type }) => type)).toEqual(['consent_shown', 'consent_granted'])
  const secrets = [
    'canary-state',
    sealedOf(page),
    parametersOf(sentTo).get('state')!,
    ...browser.cookies.values(),
  ]
  for (const secret of secrets) expect(said).not.toContain(secret)
})
