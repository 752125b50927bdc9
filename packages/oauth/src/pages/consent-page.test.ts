import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { type ConsentPage, consentPage } from './consent-page.ts'

const base: ConsentPage = {
  serverName: 'Calendar',
  serverHost: 'mcp.example.com',
  client: {
    clientId: 'https://app.example/client.json',
    clientName: 'Example App',
    kind: 'metadata-document',
    policyUri: undefined,
    tosUri: undefined,
  },
  redirectUri: 'https://return.example/callback?a=1',
  grants: ["Use this server's tools as you"],
  next: [
    { label: 'Google', purpose: 'sign-in', scopes: ['https://www.googleapis.com/auth/calendar.readonly'] },
    { label: 'LinkedIn', purpose: 'connection', scopes: ['w_member_social'] },
  ],
  action: 'https://mcp.example.com/oauth/consent',
  sealedRequest: 's1.key.sealed',
}
const render = async (change: Partial<ConsentPage> = {}) =>
  (await consentPage({ ...base, ...change }, new Headers())).text()
const withClient = (change: Partial<ConsentPage['client']>) =>
  render({ client: { ...base.client, ...change } })

/** Text a reader sees, without markup. */
const readable = (page: string) =>
  page
    .replace(/<style>.*?<\/style>|<wbr>/gs, '')
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')

describe('what the user reads', () => {
  it('R37, R63, R64: the client, its host, where the answer goes, what is granted, and what follows', async () => {
    const page = readable(await render())
    for (const text of [
      'Let Example App use Calendar ?',
      'Identified by app.example',
      'return.example',
      'https://return.example/callback?a=1',
      'tools as you',
      'You sign in with Google.',
      'Google will be asked for:',
      'https://www.googleapis.com/auth/calendar.readonly',
      'You connect your LinkedIn account',
      'w_member_social',
      'mcp.example.com',
    ]) {
      expect(page).toContain(text)
    }
  })

  it.each([
    ['http://127.0.0.1:41234/callback', 'A program on this computer (127.0.0.1)', true],
    ['http://localhost:3118/callback', 'A program on this computer (localhost)', true],
    ['http://[::1]:9/', 'A program on this computer ([::1])', true],
    ['https://app.example/cb', 'app.example', false],
    ['cursor://anysphere.cursor-retrieval/oauth', 'that opens cursor: links', false],
    ['com.example.app:/oauth', 'that opens com.example.app: links', false],
  ])('R37: an answer to %s is called "%s", with a warning: %s', async (redirectUri, words, warns) => {
    const page = readable(await render({ redirectUri }))
    expect(page.replace(/\s+links/, ' links')).toContain(words)
    expect(page).toContain(redirectUri)
    expect(page.includes('Is it really')).toBe(warns)
  })

  it.each([
    ['configured', 'Set up by the operator of this server.'],
    ['registered', 'its name is not verified'],
    ['metadata-document', 'Identified by app.example'],
  ] as const)('R64: how much the name of a %s client is worth', async (kind, words) => {
    expect(readable(await withClient({ kind })).replace(/\s+/g, ' ')).toContain(words)
  })

  it.each([
    ['registered', 'An app without a name'],
    ['metadata-document', 'app.example'],
    ['configured', 'https://app.example/client.json'],
  ] as const)('a %s client without a name is called %s', async (kind, name) => {
    expect(readable(await withClient({ kind, clientName: '\u202e \u0000' }))).toContain(`Let ${name} use`)
  })

  it('R17, R190: a name cannot turn the text around, hide in it, or push it off the page', async () => {
    const page = await withClient({ clientName: `Evil\u202e\u2066\u200b\u0000\r\n${'x'.repeat(500)}` })
    expect(page).not.toMatch(/[\u202a-\u202e\u2066-\u2069\u200b\u0000\r]/)
    expect(page).toContain(`<bdi>Evil ${'x'.repeat(74)}…</bdi>`)
  })
})

describe('R64: hostile values stay text', () => {
  const payloads = [
    '<script>alert(1)</script>',
    '"><img src=x onerror=alert(1)>',
    "' onfocus='alert(1)",
    '</style><script>alert(1)</script>',
    '<svg/onload=alert(1)>',
    '&lt;script&gt;',
    '`+alert(1)+`',
    '</title><script>',
  ]
  const url = (payload: string) => `https://e.example/${payload}`
  const change = (payload: string): Partial<ConsentPage>[] => [
    { client: { ...base.client, clientName: payload } },
    { client: { ...base.client, kind: 'registered', clientName: payload, clientId: payload } },
    { client: { ...base.client, kind: 'configured', clientName: undefined, clientId: payload } },
    { client: { ...base.client, clientId: url(payload) } },
    { client: { ...base.client, policyUri: url(payload), tosUri: url(payload) } },
    { client: { ...base.client, policyUri: payload, tosUri: payload } },
    { redirectUri: url(payload) },
    { redirectUri: `app.x:/${payload}` },
    { serverName: payload, serverHost: payload },
    { grants: [payload] },
    { next: [{ label: payload, purpose: 'sign-in', scopes: [payload] }] },
    { action: payload, sealedRequest: payload },
  ]

  /** Tags with the names of their attributes, in order; text and values left out. */
  const structure = (page: string) =>
    page
      .replace(/<style>.*?<\/style>|<wbr>/gs, '')
      .replace(/"[^"]*"/g, '""')
      .match(/<[^>]*>/g)

  it.each(payloads)('%s, in every field', async payload => {
    const tame = change('x')
    for (const [at, hostile] of change(payload).entries()) {
      const page = await render(hostile)
      // Harmless words in the same places give the same tags and attributes in the same order.
      expect(structure(page)).toEqual(structure(await render(tame[at])))
    }
  })

  it.each([
    'javascript:alert(1)',
    'data:text/html,<script>',
    'vbscript:x',
    ' javascript:alert(1)',
    'JAVASCRIPT:x',
  ])('R17: %s never becomes a link', async uri => {
    expect(await withClient({ policyUri: uri, tosUri: uri })).not.toContain('<a ')
  })

  it('the links of the app show where they lead', async () => {
    const page = await withClient({ policyUri: 'https://app.example/privacy', tosUri: 'http://t.example/' })
    expect(readable(page)).toContain('Privacy policy (app.example) · Terms of service (t.example)')
  })
})

describe('how it is built', () => {
  it('R71: its style sheet is the one its policy names', async () => {
    const response = consentPage(base, new Headers())
    const [, style] = /<style>(.*?)<\/style>/s.exec(await response.text())!
    const hash = createHash('sha256').update(style!).digest('base64')
    expect(response.headers.get('content-security-policy')).toContain(`style-src 'sha256-${hash}'`)
  })

  it('works with a screen reader and without script: language, viewport, main, one h1, labelled buttons', async () => {
    const page = await render()
    expect(page).toContain('<html lang="en">')
    expect(page).toContain('name="viewport" content="width=device-width, initial-scale=1"')
    expect(page.match(/<h1>/g)).toHaveLength(1)
    expect(page.match(/<main>/g)).toHaveLength(1)
    expect(
      [...page.matchAll(/<button[^>]*value="(\w+)">(\w+)</g)].map(([, value, label]) => [value, label]),
    ).toEqual([
      ['allow', 'Allow'],
      ['deny', 'Deny'],
    ])
    expect(page).not.toMatch(/<script|\sstyle=/)
  })
})
