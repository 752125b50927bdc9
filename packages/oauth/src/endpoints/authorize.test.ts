import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { StoreUnavailableError } from '../errors.ts'
import {
  approve,
  challenge,
  client,
  configuredId,
  configuredRedirect,
  createFixture,
  parametersOf,
  returnFrom,
  strangerId,
} from './sign-in.fixture.ts'

const configured = { client_id: configuredId, redirect_uri: configuredRedirect }

describe('before client and redirect URI are proven', () => {
  it.each([
    ['no client_id', { client_id: undefined }],
    ['an unknown client', { client_id: 'nobody' }],
    [
      'an unknown client with a hostile redirect URI',
      { client_id: 'nobody', redirect_uri: 'https://evil.example/' },
    ],
    ['a redirect URI of nobody', { redirect_uri: 'https://evil.example/' }],
    ['a redirect URI with one more byte', { redirect_uri: 'https://app.example/callback/' }],
    [
      'a configured client with a redirect URI that differs in case',
      { ...configured, redirect_uri: 'https://desktop.example/CB?keep=%2F+x' },
    ],
    [
      'a redirect URI decoded once more',
      { ...configured, redirect_uri: 'https://desktop.example/cb?keep=/+x' },
    ],
  ])('R40, R41: %s is told to the user, and nobody is redirected', async (_, change) => {
    const answer = await createFixture().browser().open(createFixture().authorizeUrl(change))
    expect([answer.status, answer.location]).toEqual([400, undefined])
    expect(answer.html).not.toContain('evil.example')
  })

  it('R42: a client with several redirect URIs has to name one; a client with one need not', async () => {
    const fixture = createFixture()
    expect((await fixture.browser().open(fixture.authorizeUrl({ redirect_uri: undefined }))).status).toBe(200)
    fixture.clients.set(
      strangerId,
      client({ redirectUris: ['https://app.example/a', 'https://app.example/b'] }),
    )
    expect((await fixture.browser().open(fixture.authorizeUrl({ redirect_uri: undefined }))).status).toBe(400)
  })

  it.each(['client_id', 'redirect_uri'])('R45: %s given twice is a page', async name => {
    const fixture = createFixture()
    const url = `${fixture.authorizeUrl(configured)}&${name}=https://evil.example/`
    const answer = await fixture.browser().open(url)
    expect([answer.status, answer.location]).toEqual([400, undefined])
  })

  it('R41: a loopback redirect URI matches on any port, and on no other host', async () => {
    const fixture = createFixture()
    fixture.clients.set(strangerId, client({ redirectUris: ['http://localhost/callback'] }))
    const open = (redirect_uri: string) => fixture.browser().open(fixture.authorizeUrl({ redirect_uri }))
    expect((await open('http://localhost:51000/callback')).status).toBe(200)
    expect((await open('http://127.0.0.1:51000/callback')).status).toBe(400)
  })
})

const refused: [string, Record<string, string | undefined>, string][] = [
  ['R43: no challenge', { code_challenge: undefined }, 'invalid_request'],
  ['R43: no method, which means plain', { code_challenge_method: undefined }, 'invalid_request'],
  ['R43: plain', { code_challenge_method: 'plain' }, 'invalid_request'],
  ['R43: s256', { code_challenge_method: 's256' }, 'invalid_request'],
  ['R43: S512', { code_challenge_method: 'S512' }, 'invalid_request'],
  ['R43: a challenge of 42 characters', { code_challenge: challenge.slice(1) }, 'invalid_request'],
  ['R43: a challenge of 129 characters', { code_challenge: 'a'.repeat(129) }, 'invalid_request'],
  [
    'R43: a challenge with a character of none',
    { code_challenge: `${challenge.slice(1)}+` },
    'invalid_request',
  ],
  ['R44: no response_type', { response_type: undefined }, 'invalid_request'],
  ['R44: token', { response_type: 'token' }, 'unsupported_response_type'],
  ['R44: code token', { response_type: 'code token' }, 'unsupported_response_type'],
  ['R44: code id_token', { response_type: 'code id_token' }, 'unsupported_response_type'],
  ['R44: none', { response_type: 'none' }, 'unsupported_response_type'],
  ['R44: response_mode fragment', { response_mode: 'fragment' }, 'invalid_request'],
  ['R44: response_mode form_post', { response_mode: 'form_post' }, 'invalid_request'],
  ['R54: an unknown resource', { resource: 'https://other.example/mcp' }, 'invalid_target'],
  ['R54: a resource that is no URL', { resource: 'mcp' }, 'invalid_target'],
  ['R55: a scope that nobody offers', { scope: 'admin' }, 'invalid_scope'],
  ['R55: a malformed scope', { scope: 'mcp "x"' }, 'invalid_scope'],
  ['R59: prompt=none', { prompt: 'none' }, 'login_required'],
  ['R59: prompt=none with another', { prompt: 'none login' }, 'invalid_request'],
  [
    'R59: max_age, where nobody knows when users signed in',
    { max_age: '60' },
    'unmet_authentication_requirements',
  ],
  ['a max_age that is no number', { max_age: '1e3' }, 'invalid_request'],
  ['a nonce that nobody would send', { nonce: 'x'.repeat(513) }, 'invalid_request'],
  ['acr_values that nobody would send', { acr_values: 'x'.repeat(1025) }, 'invalid_request'],
  ['R61: a request object', { request: 'eyJhbGciOiJub25lIn0.e30.' }, 'request_not_supported'],
  ['R61: a request_uri', { request_uri: 'https://canary.example/r' }, 'request_uri_not_supported'],
  ['a state nobody could carry', { state: 'x'.repeat(4097) }, 'invalid_request'],
]

describe('a request that cannot be accepted', () => {
  it.each(refused)(
    '%s: a configured client is told, with its state and our issuer',
    async (_, change, code) => {
      const fixture = createFixture()
      const answer = await fixture.browser().open(fixture.authorizeUrl({ ...configured, ...change }))
      expect(answer.status).toBe(303)
      expect(answer.location!.startsWith(`${configuredRedirect}&`)).toBe(true)
      const parameters = parametersOf(answer)
      expect(parameters.getAll('error')).toEqual([code])
      expect(parameters.getAll('state')).toEqual([change.state ?? 'client-state'])
      expect(parameters.getAll('iss')).toEqual([fixture.context.issuer])
      expect(answer.headers.getSetCookie()).toEqual([])
    },
  )

  it.each(refused)(
    'R48: %s: for a stranger the user sees a page, and goes nowhere',
    async (_, change, code) => {
      const fixture = createFixture()
      const answer = await fixture.browser().open(fixture.authorizeUrl(change))
      expect([answer.status, answer.location]).toEqual([400, undefined])
      expect(answer.html).toContain(code)
    },
  )

  it('a client that is not registered for codes gets none', async () => {
    const fixture = createFixture()
    fixture.clients.set(strangerId, client({ grantTypes: ['refresh_token'] }))
    expect((await fixture.browser().open(fixture.authorizeUrl())).html).toContain('unauthorized_client')
  })

  it.each(['response_type', 'state', 'code_challenge', 'code_challenge_method', 'scope', 'prompt', 'foo'])(
    'R45: %s given twice is refused, whichever value comes first',
    async name => {
      const fixture = createFixture()
      const url = `${fixture.authorizeUrl({ ...configured, [name]: 'a' })}&${name}=a`
      expect(parametersOf(await fixture.browser().open(url)).get('error')).toBe('invalid_request')
    },
  )

  it('R54: two different resources are refused; the same one twice, in another spelling, is one', async () => {
    const fixture = createFixture()
    const url = fixture.authorizeUrl({ resource: 'https://mcp.example.com/mcp' })
    const open = (more: string) => fixture.browser().open(`${url}&resource=${encodeURIComponent(more)}`)
    expect((await open('https://MCP.example.com/mcp')).status).toBe(200)
    expect((await open('https://other.example/mcp')).html).toContain('invalid_target')
  })

  it('a page says nothing of a failure inside, and clients keep their registration', async () => {
    const fixture = createFixture({
      context: {
        clients: {
          isKnown: async () => true,
          resolveClient: async () => {
            throw new StoreUnavailableError('canary-host:6379')
          },
        },
      },
    })
    const answer = await fixture.browser().open(fixture.authorizeUrl())
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '30'])
    expect(answer.html).not.toContain('canary')
    expect(fixture.events).toEqual([{ type: 'store_unavailable', step: '/oauth/authorize' }])
  })

  it('R189: an unexpected error is a page without its message', async () => {
    const fixture = createFixture({
      context: {
        clients: {
          isKnown: async () => true,
          resolveClient: async () => {
            throw new TypeError('canary at /home/secret')
          },
        },
      },
    })
    const answer = await fixture.browser().open(fixture.authorizeUrl())
    expect(answer.status).toBe(500)
    expect(answer.html + JSON.stringify(fixture.events)).not.toContain('canary')
  })
})

describe('a request that can be accepted', () => {
  it.each([
    ['only what is needed', {}, ['mcp']],
    ['unknown parameters and empty ones', { foo: 'bar', nonce: 'n', scope: '', prompt: '' }, ['mcp']],
    [
      'prompt=consent and offline_access, as clients add them',
      { scope: 'mcp offline_access', prompt: 'consent' },
      ['mcp'],
    ],
    ['nothing but offline_access', { scope: 'offline_access' }, ['mcp']],
    ['known and unknown scopes', { scope: 'notes:write admin __proto__ constructor' }, ['notes:write']],
    ['a scope twice', { scope: 'mcp mcp' }, ['mcp']],
    ['response_mode=query', { response_mode: 'query' }, ['mcp']],
  ])('R45, R55: %s: the user is asked for exactly the scopes that are offered', async (_, change, scopes) => {
    const fixture = createFixture()
    const browser = fixture.browser()
    const sentTo = await approve(fixture, browser, change)
    await browser.open(returnFrom(fixture, sentTo, { code: 'ada' }))
    expect(await grants(fixture)).toMatchObject([{ scopes, resource: 'https://mcp.example.com/mcp' }])
  })

  it('R55: a client never gets more than it is allowed', async () => {
    const fixture = createFixture()
    fixture.clients.set(strangerId, client({ scopes: ['mcp'] }))
    const page = await fixture.browser().open(fixture.authorizeUrl({ scope: 'mcp notes:write' }))
    expect(page.html).toContain('tools as you')
    expect(page.html).not.toContain('Add notes')
  })

  it('a request may come as a form (OpenID Connect Core §3.1.2.1)', async () => {
    const fixture = createFixture()
    const [url, body] = fixture.authorizeUrl().split('?')
    const response = await fixture.handle(
      new Request(url!, {
        method: 'POST',
        headers: { 'Content-Type': 'application/x-www-form-urlencoded', 'Sec-Fetch-Site': 'cross-site' },
        body: body!,
      }),
    )
    expect(response.status).toBe(200)
  })

  it('R63, R68, R69: the page is shown each time, to a browser that has approved before too', async () => {
    const fixture = createFixture()
    const browser = fixture.browser()
    await browser.open(returnFrom(fixture, await approve(fixture, browser), { code: 'ada' }))
    const again = await browser.open(fixture.authorizeUrl())
    expect([again.status, again.location]).toEqual([200, undefined])
    expect(again.html).toContain('>Allow</button>')
  })

  it('R60: 50 000 requests that nobody approves leave nothing behind, and a running sign-in goes on', async () => {
    const fixture = createFixture()
    const browser = fixture.browser()
    const sentTo = await approve(fixture, browser)
    const { size } = fixture.store
    const url = fixture.authorizeUrl()
    for (let call = 0; call < 50_000; call++) await fixture.handle(new Request(url))
    expect(fixture.store.size).toBe(size)
    const back = await browser.open(returnFrom(fixture, sentTo, { code: 'ada' }))
    expect(parametersOf(back).get('code')).toMatch(/^sp_ac_/)
  }, 120_000)
})

describe('what the user is told', () => {
  it('R31: nothing of a client is loaded into the page, neither its logo nor anything else', async () => {
    const { html } = await createFixture().browser().open(createFixture().authorizeUrl())
    expect(html).not.toMatch(/<(img|link|script|iframe|object|embed)\b[^>]*\s(src|href)="(?!data:)/)
    expect(html).not.toMatch(/url\(/)
  })

  it('R23: a scope for configured clients only is not there for a client that registered itself', async () => {
    const fixture = createFixture({ context: { sensitiveScopes: ['notes:write'] } })
    const dropped = await fixture.browser().open(fixture.authorizeUrl({ scope: 'mcp notes:write' }))
    expect(dropped.status).toBe(200)
    expect(dropped.html).not.toContain('Add notes to your notebook')
    const refused = await fixture.browser().open(fixture.authorizeUrl({ scope: 'notes:write' }))
    expect(refused.status).toBe(400)
    const configured = { client_id: configuredId, redirect_uri: configuredRedirect, scope: 'notes:write' }
    expect((await fixture.browser().open(fixture.authorizeUrl(configured))).html).toContain(
      'Add notes to your notebook',
    )
  })

  it('R64: names every scope the provider will be asked for, those that identify the user included', async () => {
    const fixture = createFixture({ needs: { google: ['calendar'] } })
    const { html } = await fixture.browser().open(fixture.authorizeUrl())
    expect(html).toContain('Google will be asked for:')
    expect(html).toContain('<code>email</code>')
    expect(html).toContain('<code>calendar</code>')
  })
})

describe('state', () => {
  const bytes = fc.string({ unit: 'binary', minLength: 1, maxLength: 200 })

  it('R46, R47: comes back as it was, in success, denial and error, beside the untouched registered query', async () => {
    const fixture = createFixture()
    await fc.assert(
      fc.asyncProperty(bytes, async state => {
        const browser = fixture.browser()
        const sent = new URL(fixture.authorizeUrl({ ...configured, state })).searchParams.get('state')!
        const denied = await browser.submit(
          await browser.open(fixture.authorizeUrl({ ...configured, state })),
          { decision: 'deny' },
        )
        const sentTo = await approve(fixture, browser, { ...configured, state })
        const back = await browser.open(returnFrom(fixture, sentTo, { code: 'ada' }))
        const error = await browser.open(fixture.authorizeUrl({ ...configured, state, response_type: 'x' }))
        for (const answer of [denied, back, error]) {
          expect(answer.location!.startsWith(`${configuredRedirect}&`)).toBe(true)
          expect(parametersOf(answer).getAll('state')).toEqual([sent])
        }
        expect(JSON.stringify(fixture.events)).not.toContain('client-state')
      }),
      { numRuns: 60 },
    )
  })

  it('R46: a client that sends none gets none', async () => {
    const fixture = createFixture()
    const browser = fixture.browser()
    const page = await browser.open(fixture.authorizeUrl({ state: undefined }))
    const denied = await browser.submit(page, { decision: 'deny' })
    expect(parametersOf(denied).has('state')).toBe(false)
  })

  it('R46: malformed UTF-8 is refused, not repaired', async () => {
    const fixture = createFixture()
    const answer = await fixture.browser().open(`${fixture.authorizeUrl({ state: undefined })}&state=%FF`)
    expect([answer.status, answer.location]).toEqual([400, undefined])
  })
})

describe('every page', () => {
  it('R50, R51, R52, R71, R198: has its headers, whatever it says', async () => {
    const fixture = createFixture()
    const browser = fixture.browser()
    const pages = [
      await browser.open(fixture.authorizeUrl(), { Origin: 'https://evil.example' }),
      await browser.open(fixture.authorizeUrl({ client_id: 'nobody' })),
      await browser.open(fixture.authorizeUrl({ response_type: 'x' })),
      await browser.open(`${fixture.context.issuer}/oauth/callback/google?state=x`),
      await browser.open(`${fixture.context.issuer}/oauth/connect/google?ticket=x`),
    ]
    for (const { headers, html } of pages) {
      const policy = headers.get('content-security-policy')!
      expect(policy).toContain("default-src 'none'")
      expect(policy).toContain("frame-ancestors 'none'")
      expect(policy).not.toContain('form-action')
      expect(policy).not.toContain('unsafe-inline')
      expect(headers.get('x-frame-options')).toBe('DENY')
      expect(headers.get('referrer-policy')).toBe('no-referrer')
      expect(headers.get('cache-control')).toBe('no-store')
      expect(headers.get('x-content-type-options')).toBe('nosniff')
      expect(headers.get('content-type')).toBe('text/html; charset=utf-8')
      expect([...headers.keys()].filter(name => name.startsWith('access-control'))).toEqual([])
      expect(html).not.toMatch(/<script|\son\w+=|\sstyle=|src=/)
      expect([...html.matchAll(/https?:\/\/[^"'\s<]+/g)].map(([url]) => new URL(url).host)).not.toContain(
        'evil.example',
      )
    }
  })
})

async function grants(fixture: ReturnType<typeof createFixture>) {
  const issued = fixture.events.find(event => event.type === 'code_issued')
  if (issued?.type !== 'code_issued') throw new Error('no code was issued')
  return fixture.store.listGrants({ userId: issued.userId, now: fixture.time.now })
}
