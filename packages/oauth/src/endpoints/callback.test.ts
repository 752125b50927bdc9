import { describe, expect, it } from 'vitest'
import { developmentSignIn } from '../development-sign-in.ts'
import type { LoginResult, PageLogin } from '../login.ts'
import {
  type Answer,
  approve,
  client,
  createFixture,
  type Fixture,
  parametersOf,
  returnFrom,
  strangerId,
  strangerRedirect,
} from './sign-in.fixture.ts'

const withCode = { code: 'ada' }

async function userOf(fixture: Fixture): Promise<string> {
  const event = fixture.events.findLast(({ type }) => type === 'sign_in_succeeded')
  if (event?.type !== 'sign_in_succeeded') throw new Error('nobody signed in')
  return event.userId
}

describe('sign-in through a provider', () => {
  it('R46, R57, R58: ends with code, state and iss at the client, and only a hash in the store', async () => {
    const fixture = createFixture()
    const browser = fixture.browser()
    const sentTo = await approve(fixture, browser, { scope: 'mcp notes:write' })
    const back = await browser.open(returnFrom(fixture, sentTo, withCode))
    expect(back.status).toBe(303)
    expect(back.location!.startsWith(`${strangerRedirect}?`)).toBe(true)
    const { code, ...rest } = Object.fromEntries(parametersOf(back)) as Record<string, string>
    expect(code).toMatch(/^sp_ac_/)
    expect(rest).toEqual({ state: 'client-state', iss: fixture.context.issuer })

    const now = fixture.time.now
    const [grant] = await fixture.store.listGrants({ userId: await userOf(fixture), now })
    expect(grant).toMatchObject({
      clientId: strangerId,
      redirectUri: strangerRedirect,
      resource: 'https://mcp.example.com/mcp',
      scopes: ['mcp', 'notes:write'],
      createdAt: now,
      endsAt: now + 2_592_000,
      code: { expiresAt: now + 600 },
    })
    expect(JSON.stringify(grant)).not.toContain(code)
    expect([...browser.cookies.keys()]).toEqual(['__Host-sallyport-browser'])
  })

  it('R53: the answer travels in the query, and carries no fragment a browser could pass on', async () => {
    const fixture = createFixture()
    const browser = fixture.browser()
    const back = await browser.open(returnFrom(fixture, await approve(fixture, browser), withCode))
    expect(new URL(back.location!).hash).toBe('')
    expect(new URL(back.location!).searchParams.get('code')).toMatch(/^sp_ac_/)
  })

  it('R39: a second installation of the same client does not end the session of the first', async () => {
    const fixture = createFixture()
    for (const browser of [fixture.browser(), fixture.browser()]) {
      await browser.open(returnFrom(fixture, await approve(fixture, browser), withCode))
    }
    const grants = await fixture.store.listGrants({ userId: await userOf(fixture), now: fixture.time.now })
    expect(grants.map(({ clientId }) => clientId)).toEqual([strangerId, strangerId])
  })

  it('R109: a disabled user does not get in, nothing is kept of the attempt, and the client is told', async () => {
    const fixture = createFixture({ needs: { google: ['calendar'] } })
    const signIn = async (code: string) => {
      const browser = fixture.browser()
      return parametersOf(await browser.open(returnFrom(fixture, await approve(fixture, browser), { code })))
    }
    expect((await signIn('ada')).has('code')).toBe(true)
    const userId = await userOf(fixture)
    const { now } = fixture.time
    await fixture.store.putDisabledUser({ userId, expiresAt: now + 1000, now })
    fixture.google.connections.clear()
    const refused = await signIn('ada')
    expect([refused.get('error'), refused.has('code')]).toEqual(['access_denied', false])
    expect(fixture.google.connections.size).toBe(0)
    expect(fixture.events.at(-1)).toEqual({
      type: 'sign_in_failed',
      loginId: 'google',
      reason: 'disabled',
    })
    expect((await signIn('bob')).has('code')).toBe(true)
    await fixture.store.deleteDisabledUser({ userId, now })
    expect((await signIn('ada')).has('code')).toBe(true)
    expect(await userOf(fixture)).toBe(userId)
  })

  it('a session without absolute end has none', async () => {
    const fixture = createFixture()
    const { lifetimes } = fixture.context
    const other = createFixture({ context: { lifetimes: { ...lifetimes, sessionMaxAgeSeconds: 0 } } })
    const browser = other.browser()
    await browser.open(returnFrom(other, await approve(other, browser), withCode))
    expect(await other.store.listGrants({ clientId: strangerId, now: other.time.now })).toMatchObject([
      { endsAt: 0 },
    ])
  })

  it('R76: the same subject of the same issuer is the same user, and of another issuer somebody else', async () => {
    const fixture = createFixture()
    const signIn = async (issuer: string, subject: string) => {
      const page: PageLogin = {
        kind: 'page',
        id: 'google',
        label: 'Page',
        handle: async () => ({ issuer, subject, name: 'ada@example.com' }),
      }
      const other = createFixture({ signIn: page, context: { store: fixture.store } })
      const browser = other.browser()
      await browser.open((await approve(other, browser)).location!)
      return userOf(other)
    }
    const ada = await signIn('https://a.example', 'ada')
    expect(await signIn('https://a.example', 'ada')).toBe(ada)
    expect(await signIn('https://b.example', 'ada')).not.toBe(ada)
    expect(await signIn('https://a.example', 'Ada')).not.toBe(ada)
    // The pair is hashed as a pair: no subject can run into the issuer.
    expect(await signIn('https://a.exampleada', '-')).not.toBe(await signIn('https://a.example', 'ada-'))
  })

  it('R76: a login that names nobody is nobody, not one user for all', async () => {
    const fixture = createFixture()
    const browser = fixture.browser()
    const back = await browser.open(returnFrom(fixture, await approve(fixture, browser), { code: '' }))
    expect(parametersOf(back).get('error')).toBe('server_error')
    expect(fixture.google.connections.size).toBe(0)
  })

  it('when the user authenticated is told as far as it can be true', async () => {
    const now = 1_800_000_000
    for (const [authTime, expected] of [
      [now - 60, now - 60],
      [now + 60, now],
      [1.5, now],
      [-1, now],
    ] as const) {
      const page: PageLogin = {
        kind: 'page',
        id: 'own',
        label: 'Own',
        handle: async () => ({ issuer: 'i', subject: 's', authTime, amr: ['pwd', ''] }),
      }
      const fixture = createFixture({ signIn: page })
      const browser = fixture.browser()
      await browser.open((await approve(fixture, browser)).location!)
      const grants = await fixture.store.listGrants({ clientId: strangerId, now })
      expect(grants).toMatchObject([{ authTime: expected, amr: ['pwd'] }])
    }
  })
})

describe('a callback that is not what was sent out', () => {
  /** R73: nothing used up, nobody upstream asked, and the real browser still gets through. */
  async function expectUntouched(fixture: Fixture, refused: Answer, status: number) {
    expect([refused.status, refused.location]).toEqual([status, undefined])
    expect([fixture.google.exchanges, fixture.linkedin.exchanges]).toEqual([0, 0])
    expect(refused.headers.getSetCookie()).toEqual([])
  }

  it('R66: approved in the browser of an attacker, finished in that of a victim: no code', async () => {
    const fixture = createFixture()
    const attacker = fixture.browser()
    const victim = fixture.browser()
    const sentTo = await approve(fixture, attacker)
    await approve(fixture, victim)
    const url = returnFrom(fixture, sentTo, { code: 'victim' })
    await expectUntouched(fixture, await victim.open(url), 403)
    expect(fixture.events).toContainEqual({
      type: 'sign_in_failed',
      loginId: 'google',
      reason: 'wrong_browser',
    })
    expect(parametersOf(await attacker.open(url)).get('code')).toMatch(/^sp_ac_/)
  })

  it('R73: without the cookie nothing happens', async () => {
    const fixture = createFixture()
    const browser = fixture.browser()
    const sentTo = await approve(fixture, browser)
    await expectUntouched(fixture, await fixture.browser().open(returnFrom(fixture, sentTo, withCode)), 403)
  })

  it('R73: the cookie of one sign-in does not open another of the same browser', async () => {
    const fixture = createFixture()
    const browser = fixture.browser()
    const first = await approve(fixture, browser)
    await approve(fixture, browser)
    const [one, two] = [...browser.cookies.keys()].filter(name => name.includes('-tx-')) as [string, string]
    browser.cookies.set(one, browser.cookies.get(two)!)
    await expectUntouched(fixture, await browser.open(returnFrom(fixture, first, withCode)), 403)
  })

  it('R73: states swapped between two transactions are refused', async () => {
    const fixture = createFixture()
    const browser = fixture.browser()
    const states = [await approve(fixture, browser), await approve(fixture, browser)].map(
      sentTo => parametersOf(sentTo).get('state')!,
    )
    const [a, b] = states.map(state => state.split('.')) as [[string, string], [string, string]]
    const url = `${fixture.context.issuer}/oauth/callback/google?code=ada&state=${a[0]}.${b[1]}`
    await expectUntouched(fixture, await browser.open(url), 403)
  })

  it.each([
    ['missing', ''],
    ['empty', '&state='],
    ['short', '&state=abc'],
    ['of nobody', `&state=${'a'.repeat(24)}.${'b'.repeat(24)}`],
    ['one of many', `&state=${'a'.repeat(24)}.${'b'.repeat(24)}&state=x`],
    ['longer', `&state=${'a'.repeat(24)}.${'b'.repeat(24)}x`],
  ])('R73: a state that is %s is refused', async (_, state) => {
    const fixture = createFixture()
    const browser = fixture.browser()
    await approve(fixture, browser)
    const url = `${fixture.context.issuer}/oauth/callback/google?code=ada${state}`
    await expectUntouched(fixture, await browser.open(url), 403)
  })

  it('R73: a state given twice is refused, even when it is the right one', async () => {
    const fixture = createFixture()
    const browser = fixture.browser()
    const url = returnFrom(fixture, await approve(fixture, browser), withCode)
    await expectUntouched(fixture, await browser.open(`${url}&state=x`), 403)
  })

  it.each(['linkedin', 'development', 'GOOGLE', '%67oogle'])(
    'R74: a sign-in begun with Google does not end at the callback of %s',
    async id => {
      const fixture = createFixture({ needs: { linkedin: ['post'] } })
      const browser = fixture.browser()
      const url = returnFrom(fixture, await approve(fixture, browser), withCode, id)
      await expectUntouched(fixture, await browser.open(url), 403)
    },
  )

  it('R73: after ten minutes the state is worth nothing', async () => {
    const fixture = createFixture()
    const browser = fixture.browser()
    const url = returnFrom(fixture, await approve(fixture, browser), withCode)
    fixture.time.now += 600
    await expectUntouched(fixture, await browser.open(url), 403)
  })

  it('R65: a form posted to the callback of a provider is refused', async () => {
    const fixture = createFixture()
    const browser = fixture.browser()
    const url = returnFrom(fixture, await approve(fixture, browser), withCode)
    const page = { html: `<form method="post" action="${url.replaceAll('&', '&amp;')}">` } as Answer
    await expectUntouched(fixture, await browser.submit(page), 403)
  })
})

describe('a callback delivered more than once', () => {
  it('R78: 20 times in parallel: one exchange, one code', async () => {
    const fixture = createFixture()
    const browser = fixture.browser()
    const url = returnFrom(fixture, await approve(fixture, browser), withCode)
    const answers = await Promise.all(Array.from({ length: 20 }, () => browser.open(url)))
    expect(answers.filter(({ location }) => location !== undefined)).toHaveLength(1)
    expect(answers.filter(({ status }) => status === 409 || status === 403)).toHaveLength(19)
    expect(fixture.google.exchanges).toBe(1)
    expect(await fixture.store.listGrants({ clientId: strangerId, now: fixture.time.now })).toHaveLength(1)
  })

  it('R73, R78: again later: refused, and the first code stays good', async () => {
    const fixture = createFixture()
    const browser = fixture.browser()
    const url = returnFrom(fixture, await approve(fixture, browser), withCode)
    const cookies = new Map(browser.cookies)
    await browser.open(url)
    for (const [name, value] of cookies) browser.cookies.set(name, value)
    expect((await browser.open(url)).status).toBe(403)
    expect(fixture.google.exchanges).toBe(1)
  })

  it('R78: the form of a sign-in page sent twice: one code', async () => {
    const fixture = createFixture({ issuer: 'http://localhost:3000', signIn: developmentSignIn() })
    const browser = fixture.browser()
    const page = await browser.open((await approve(fixture, browser)).location!)
    const answers = await Promise.all([1, 2].map(() => browser.submit(page, { name: 'ada' })))
    expect(answers.map(({ status }) => status).sort()).toEqual([303, 409])
  })
})

describe('a sign-in that ends without a user', () => {
  it.each([
    ['access_denied', 'access_denied', 'denied'],
    ['busy', 'temporarily_unavailable', 'unavailable'],
    ['<script>alert(1)</script>', 'server_error', 'failed'],
  ])(
    'R77: the provider says %s: the client hears %s and nothing of its words',
    async (error, code, reason) => {
      const fixture = createFixture()
      const browser = fixture.browser()
      const sentTo = await approve(fixture, browser)
      const upstream = { error, error_description: 'canary <b>words</b>' }
      const back = await browser.open(returnFrom(fixture, sentTo, upstream))
      expect(Object.fromEntries(parametersOf(back))).toEqual({
        error: code,
        error_description: expect.stringMatching(/^The sign-in /),
        state: 'client-state',
        iss: fixture.context.issuer,
      })
      expect(`${back.html}${back.location}${JSON.stringify(fixture.events)}`).not.toMatch(
        /canary|script(?!ion)/,
      )
      expect(fixture.events).toContainEqual({ type: 'sign_in_failed', loginId: 'google', reason })
      expect(await fixture.store.listGrants({ clientId: strangerId, now: fixture.time.now })).toEqual([])
    },
  )

  it('what the operator can mend is in the event, and nobody else hears of it', async () => {
    const fixture = createFixture()
    const browser = fixture.browser()
    const sentTo = await approve(fixture, browser)
    fixture.google.failsBecause = 'client_refused'
    const back = await browser.open(returnFrom(fixture, sentTo, { error: 'unauthorized_client' }))
    const told = { reason: 'failed', errorClass: 'client_refused' }
    expect(fixture.events).toContainEqual({ type: 'sign_in_failed', loginId: 'google', ...told })
    expect(`${back.html}${back.location}`).not.toContain('client_refused')
  })

  it.each(['code', 'error'])('R79: a client deleted during the sign-in is sent no %s', async name => {
    const fixture = createFixture()
    const browser = fixture.browser()
    const sentTo = await approve(fixture, browser)
    fixture.clients.delete(strangerId)
    const back = await browser.open(returnFrom(fixture, sentTo, { [name]: 'access_denied' }))
    expect([back.status, back.location]).toEqual([403, undefined])
    expect(await fixture.store.listGrants({ clientId: strangerId, now: fixture.time.now })).toEqual([])
  })

  it('R79: a client that gave up its redirect URI during the sign-in is sent nothing', async () => {
    const fixture = createFixture()
    const browser = fixture.browser()
    const sentTo = await approve(fixture, browser)
    fixture.clients.set(strangerId, client({ redirectUris: ['https://app.example/other'] }))
    expect((await browser.open(returnFrom(fixture, sentTo, withCode))).location).toBeUndefined()
  })
})

describe('connections that tools need', () => {
  const needs = { google: ['calendar'], linkedin: ['post'] }

  it('one sign-in brings them all, and each belongs to the user who signed in', async () => {
    const fixture = createFixture({ needs })
    const browser = fixture.browser()
    const toGoogle = await approve(fixture, browser)
    const toLinkedin = await browser.open(returnFrom(fixture, toGoogle, withCode))
    expect(toLinkedin.location).toMatch(/^https:\/\/linkedin\.example\//)
    const back = await browser.open(returnFrom(fixture, toLinkedin, { code: 'ada-at-linkedin' }))
    expect(parametersOf(back).get('code')).toMatch(/^sp_ac_/)
    const user = await userOf(fixture)
    expect([...fixture.google.connections]).toEqual([[user, ['calendar']]])
    expect([...fixture.linkedin.connections]).toEqual([[user, ['post']]])
    expect(fixture.linkedin.starts).toMatchObject([{ userId: user, scopes: ['post'] }])
  })

  it('a sign-in that brought no refresh token is followed by one trip more, which names the user, and no third', async () => {
    const fixture = createFixture({ needs: { google: ['calendar'] } })
    fixture.google.withholds = true
    const browser = fixture.browser()
    const again = await browser.open(returnFrom(fixture, await approve(fixture, browser), withCode))
    expect(fixture.google.starts.map(({ userId }) => userId)).toEqual([undefined, await userOf(fixture)])
    const end = await browser.open(returnFrom(fixture, again, withCode))
    expect(parametersOf(end).get('code')).toMatch(/^sp_ac_/)
    expect(fixture.google.connections.get(await userOf(fixture))).toEqual(['calendar'])
  })

  it('a sign-in whose tools need nothing of the provider is one trip, refresh token or not', async () => {
    const fixture = createFixture()
    fixture.google.withholds = true
    const browser = fixture.browser()
    const end = await browser.open(returnFrom(fixture, await approve(fixture, browser), withCode))
    expect(parametersOf(end).get('code')).toMatch(/^sp_ac_/)
  })

  it('what is connected already is not asked for again', async () => {
    const fixture = createFixture({ needs })
    const browser = fixture.browser()
    await browser.open(returnFrom(fixture, await approve(fixture, browser), withCode))
    fixture.linkedin.connections.set(await userOf(fixture), ['post', 'more'])
    const back = await browser.open(returnFrom(fixture, await approve(fixture, browser), withCode))
    expect(parametersOf(back).get('code')).toMatch(/^sp_ac_/)
    expect(fixture.linkedin.starts).toHaveLength(1)
  })

  it.each(['access_denied', 'busy', 'other'])(
    'a connection that ends with %s does not cost the user the sign-in',
    async error => {
      const fixture = createFixture({ needs })
      const browser = fixture.browser()
      const toLinkedin = await browser.open(returnFrom(fixture, await approve(fixture, browser), withCode))
      const back = await browser.open(returnFrom(fixture, toLinkedin, { error }))
      expect(parametersOf(back).get('code')).toMatch(/^sp_ac_/)
      expect(fixture.linkedin.connections.size).toBe(0)
    },
  )

  it('a provider that cannot be reached when its turn comes does not cost the user the sign-in', async () => {
    const fixture = createFixture({ needs })
    const browser = fixture.browser()
    const sentTo = await approve(fixture, browser)
    fixture.linkedin.startFails = 'unavailable'
    const back = await browser.open(returnFrom(fixture, sentTo, withCode))
    expect(parametersOf(back).get('code')).toMatch(/^sp_ac_/)
  })

  it('R73, R74: each leg has a state of its own; that of an earlier one is no good any more', async () => {
    const fixture = createFixture({ needs })
    const browser = fixture.browser()
    const toGoogle = await approve(fixture, browser)
    const toLinkedin = await browser.open(returnFrom(fixture, toGoogle, withCode))
    const exchanges = fixture.google.exchanges
    for (const id of ['google', 'linkedin']) {
      expect((await browser.open(returnFrom(fixture, toGoogle, { code: 'eve' }, id))).status).toBe(403)
    }
    expect((await browser.open(returnFrom(fixture, toLinkedin, { code: 'eve' }, 'google'))).status).toBe(403)
    expect([fixture.google.exchanges, fixture.linkedin.exchanges]).toEqual([exchanges, 0])
    expect((await browser.open(returnFrom(fixture, toLinkedin, withCode))).status).toBe(303)
  })

  it('R66: a later leg finished in another browser gives that browser no code and the user no foreign account', async () => {
    const fixture = createFixture({ needs })
    const browser = fixture.browser()
    const toLinkedin = await browser.open(returnFrom(fixture, await approve(fixture, browser), withCode))
    const other = fixture.browser()
    expect((await other.open(returnFrom(fixture, toLinkedin, { code: 'eve' }))).status).toBe(403)
    expect(fixture.linkedin.connections.size).toBe(0)
  })
})

describe('a sign-in page', () => {
  const own = (handle: PageLogin['handle']): PageLogin => ({ kind: 'page', id: 'own', label: 'Own', handle })
  const ada: LoginResult = { issuer: 'i', subject: 'ada' }

  it('R50, R51: a page the application made keeps its own policy, and no cache, frame or referrer gets it', async () => {
    const fixture = createFixture({
      signIn: own(
        async () =>
          new Response('<p>hello', {
            headers: {
              'Content-Type': 'text/html',
              'Content-Security-Policy': "default-src 'self'",
              'Referrer-Policy': 'unsafe-url',
            },
          }),
      ),
    })
    const browser = fixture.browser()
    const page = await browser.open((await approve(fixture, browser)).location!)
    expect(page.html).toBe('<p>hello')
    expect(page.headers.get('content-security-policy')).toBe("default-src 'self', frame-ancestors 'none'")
    expect(page.headers.get('x-frame-options')).toBe('DENY')
    expect(page.headers.get('referrer-policy')).toBe('no-referrer')
    expect(page.headers.get('cache-control')).toBe('no-store')
  })

  it('may be shown as often as it takes, and gets its form parsed', async () => {
    const forms: (string | null | undefined)[] = []
    const fixture = createFixture({
      signIn: own(async ({ form, url, serverName }) => {
        forms.push(form?.get('pin'))
        return form?.get('pin') === '1'
          ? ada
          : new Response(`<form method="post" action="${url}">${serverName}</form>`)
      }),
    })
    const browser = fixture.browser()
    const page = await browser.open((await approve(fixture, browser)).location!)
    expect((await browser.submit(page, { pin: '0' })).status).toBe(200)
    expect(parametersOf(await browser.submit(page, { pin: '1' })).get('code')).toMatch(/^sp_ac_/)
    expect(forms).toEqual([undefined, '0', '1'])
  })

  it('R65: a form sent from another site signs nobody in', async () => {
    let calls = 0
    const fixture = createFixture({
      signIn: own(async ({ form, url }) => {
        calls++
        return form ? ada : new Response(`<form method="post" action="${url}">`)
      }),
    })
    const browser = fixture.browser()
    const page = await browser.open((await approve(fixture, browser)).location!)
    expect((await browser.submit(page, {}, { 'Sec-Fetch-Site': 'cross-site' })).status).toBe(403)
    expect(calls).toBe(1)
  })

  it('R66: opened in another browser it is not even shown', async () => {
    const fixture = createFixture({ signIn: own(async () => ada) })
    const sentTo = await approve(fixture, fixture.browser())
    expect((await fixture.browser().open(sentTo.location!)).status).toBe(403)
    expect(await fixture.store.listGrants({ clientId: strangerId, now: fixture.time.now })).toEqual([])
  })

  it('R189: one that fails shows a page without its reason', async () => {
    const fixture = createFixture({
      signIn: own(async () => {
        throw new Error('canary: ldap://10.0.0.1')
      }),
    })
    const browser = fixture.browser()
    const page = await browser.open((await approve(fixture, browser)).location!)
    expect(page.status).toBe(500)
    expect(page.html + JSON.stringify(fixture.events)).not.toContain('canary')
  })
})

it('R56, R188: what is stored during a sign-in is sealed, and no event carries a secret', async () => {
  const fixture = createFixture()
  const browser = fixture.browser()
  const sentTo = await approve(fixture, browser, { state: 'canary-state' })
  const state = parametersOf(sentTo).get('state')!
  const record = await fixture.store.findPendingAuthorization({
    id: state.split('.')[0]!,
    now: fixture.time.now,
  })
  const cookie = [...browser.cookies].find(([name]) => name.includes('-tx-'))![1]
  const back = await browser.open(returnFrom(fixture, sentTo, { code: 'canary-code' }))
  const said = JSON.stringify([record, fixture.events])
  for (const secret of ['canary-', state, cookie, 'memory-of', parametersOf(back).get('code')!]) {
    expect(said).not.toContain(secret)
  }
})
