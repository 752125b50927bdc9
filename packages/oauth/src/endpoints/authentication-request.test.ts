import { describe, expect, it } from 'vitest'
import { developmentSignIn } from '../development-sign-in.ts'
import type { PageLogin, PageLoginRequest } from '../login.ts'
import {
  approve,
  createFixture,
  type Fixture,
  parametersOf,
  returnFrom,
  strangerId,
} from './sign-in.fixture.ts'

/** A provider that can ask its users anew, and says when it did. */
function setUp(): Fixture {
  const fixture = createFixture({ context: { scopes: { mcp: 'Use the tools', openid: 'Recognise you' } } })
  fixture.google.prompts = ['login']
  return fixture
}

async function signIn(fixture: Fixture, change: Record<string, string>) {
  const browser = fixture.browser()
  const sentTo = await approve(fixture, browser, change)
  return browser.open(returnFrom(fixture, sentTo, { code: 'ada' }))
}
const grants = (fixture: Fixture) => fixture.store.listGrants({ clientId: strangerId, now: fixture.time.now })

describe('what a client asks of the authentication', () => {
  it('goes to a provider that can do it', async () => {
    const fixture = setUp()
    const browser = fixture.browser()
    await approve(fixture, browser, { max_age: '300', prompt: 'login consent', acr_values: 'gold silver' })
    expect(fixture.google.starts[0]).toMatchObject({
      maxAgeSeconds: 300,
      prompts: ['login'],
      acrValues: 'gold silver',
    })
  })

  it('R59: is not asked of a provider that cannot', async () => {
    const fixture = createFixture()
    fixture.google.prompts = ['select_account']
    await approve(fixture, fixture.browser(), { prompt: 'login select_account', acr_values: 'gold' })
    const [start] = fixture.google.starts
    expect(start?.prompts).toEqual(['select_account'])
    expect(start).not.toHaveProperty('acrValues')
    expect(start).not.toHaveProperty('maxAgeSeconds')
  })

  it('is told to a page of the application too', async () => {
    const asked: PageLoginRequest[] = []
    const page: PageLogin = {
      ...developmentSignIn(),
      id: 'own',
      handle: async request => {
        asked.push(request)
        return { issuer: 'i', subject: 's' }
      },
    }
    const fixture = createFixture({ signIn: page })
    const browser = fixture.browser()
    const sentTo = await approve(fixture, browser, { max_age: '60' })
    const back = await browser.open(sentTo.location!)
    expect(asked).toMatchObject([{ maxAgeSeconds: 60 }])
    // Its user has just answered the page.
    expect(parametersOf(back).get('code')).not.toBeNull()
    expect(await grants(fixture)).toMatchObject([{ authTime: fixture.time.now }])
  })

  it.each([
    ['just now, for prompt=login', { prompt: 'login' }, 0, true],
    ['before, for prompt=login', { prompt: 'login' }, 61, false],
    ['within max_age', { max_age: '300' }, 300, true],
    ['too long ago', { max_age: '300' }, 361, false],
    ['just now, for max_age=0', { max_age: '0' }, 0, true],
    ['too long ago, for max_age=0', { max_age: '0' }, 61, false],
  ] as const)('R59: a user who authenticated %s', async (_, change, secondsAgo, isAccepted) => {
    const fixture = setUp()
    fixture.google.says = { authTime: fixture.time.now - secondsAgo }
    const back = await signIn(fixture, change)
    const error = isAccepted ? null : 'unmet_authentication_requirements'
    expect(parametersOf(back).get('error')).toBe(error)
    expect(parametersOf(back).get('state')).toBe('client-state')
    expect(await grants(fixture)).toHaveLength(isAccepted ? 1 : 0)
    // Nothing is kept of a sign-in that does not count.
    expect(fixture.google.connections.size).toBe(isAccepted ? 1 : 0)
    if (!isAccepted) {
      expect(fixture.events.at(-1)).toEqual({ type: 'sign_in_failed', loginId: 'google', reason: 'too_old' })
    }
  })

  it('R59: a provider that does not say when cannot meet max_age', async () => {
    const fixture = setUp()
    const back = await signIn(fixture, { max_age: '86400' })
    expect(parametersOf(back).get('error')).toBe('unmet_authentication_requirements')
  })

  it('who is slow at the provider does not have to sign in twice', async () => {
    const fixture = setUp()
    const browser = fixture.browser()
    const sentTo = await approve(fixture, browser, { max_age: '0' })
    fixture.google.says = { authTime: fixture.time.now + 5 }
    fixture.time.now += 500
    const back = await browser.open(returnFrom(fixture, sentTo, { code: 'ada' }))
    expect(parametersOf(back).get('code')).not.toBeNull()
  })

  it('a second trip to the same provider does not ask for the password again', async () => {
    const fixture = createFixture({ needs: { google: ['calendar'] } })
    fixture.google.prompts = ['login']
    fixture.google.withholds = true
    fixture.google.says = { authTime: fixture.time.now }
    await signIn(fixture, { prompt: 'login', acr_values: 'gold' })
    expect(fixture.google.starts.map(({ prompts, maxAgeSeconds }) => [prompts, maxAgeSeconds])).toEqual([
      [['login'], 0],
      [undefined, undefined],
    ])
  })
})

describe('what is known of the authentication', () => {
  it('the class the user met is kept, and the nonce for the id_token', async () => {
    const fixture = setUp()
    fixture.google.says = { authTime: fixture.time.now - 60, acr: 'gold', amr: ['pwd'] }
    await signIn(fixture, { scope: 'openid mcp', nonce: 'n-1' })
    expect(await grants(fixture)).toMatchObject([
      { authTime: fixture.time.now - 60, acr: 'gold', amr: ['pwd'], code: { nonce: 'n-1' } },
    ])
  })

  it('when a provider does not say when, nobody claims to know', async () => {
    const fixture = createFixture()
    await signIn(fixture, { nonce: 'n-1' })
    const [grant] = await grants(fixture)
    expect(grant).not.toHaveProperty('authTime')
    // No id_token was asked for, so that nothing is kept for one.
    expect(grant?.code).not.toHaveProperty('nonce')
  })
})

describe('openid', () => {
  const scopesOf = async (scope: string, change: Partial<Fixture['context']> = {}) => {
    const words = { mcp: 'Use the tools', 'notes:write': 'Add notes', openid: 'Recognise you' }
    const fixture = createFixture({ context: { scopes: words, ...change } })
    await signIn(fixture, { scope })
    return (await grants(fixture))[0]?.scopes
  }

  it('R64: alone, it brings the default scopes, which the page then names', async () => {
    expect(await scopesOf('openid')).toEqual(['openid', 'mcp'])
    // What mcp-remote asks for when nobody tells it anything.
    expect(await scopesOf('openid email profile')).toEqual(['openid', 'mcp'])
    const words = { mcp: 'Use the tools', openid: 'Recognise you' }
    const fixture = createFixture({ context: { scopes: words } })
    const page = await fixture.browser().open(fixture.authorizeUrl({ scope: 'openid' }))
    for (const text of Object.values(words)) expect(page.html).toContain(text)
  })

  it('beside another scope it adds nothing', async () => {
    expect(await scopesOf('notes:write openid')).toEqual(['notes:write', 'openid'])
  })
})
