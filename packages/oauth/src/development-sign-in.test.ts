import { describe, expect, it } from 'vitest'
import { assertDevelopmentSignInAllowed, developmentSignIn } from './development-sign-in.ts'
import { ConfigurationError } from './errors.ts'
import { type AuthorizationServerOptions, checkOptions } from './options.ts'

const url = 'http://localhost:3000/oauth/callback/development?state=a.b'
const handle = (name?: string) =>
  developmentSignIn().handle({
    request: new Request(url),
    url,
    serverName: 'Calendar',
    form: name === undefined ? undefined : new URLSearchParams({ name }),
  })

describe('developmentSignIn', () => {
  it('asks for a name, and says loudly what it is', async () => {
    const page = (await handle()) as Response
    const html = await page.text()
    expect(page.status).toBe(200)
    expect(html).toContain('For development only')
    expect(html).toContain('<label for="name">')
    expect(html).toContain(`action="${url}"`)
    expect(html).not.toContain('type="password"')
  })

  it.each(['ada', 'Ada', ' ADA ', 'ａｄａ', 'a\u0064a'])('%j is the same user', async name => {
    expect(await handle(name)).toMatchObject({ issuer: 'urn:sallyport:development', subject: 'ada' })
  })

  it('keeps the name as it was written, for its owner to recognise', async () => {
    expect(await handle('Ada  Lovelace')).toMatchObject({ subject: 'ada lovelace', name: 'Ada Lovelace' })
  })

  it.each(['', '   ', 'x'.repeat(65), 'a\u0000b', 'a\u202eb', '\u200b'])(
    '%j is not taken: the page comes back with what to do',
    async name => {
      const page = (await handle(name)) as Response
      expect(page.status).toBe(400)
      expect(await page.text()).toContain('Enter a name of 1 to 64 ordinary characters.')
    },
  )

  it('R64: what was typed stays text', async () => {
    const page = (await handle(`"><script>${'x'.repeat(64)}`)) as Response
    expect(await page.text()).not.toContain('<script')
  })
})

describe('outside this machine', () => {
  it.each([
    'http://localhost:3000',
    'http://127.0.0.1:3000',
    'http://127.9.9.9',
    'http://[::1]:3000',
    'https://localhost',
  ])('%s may use it', issuer => {
    expect(() => assertDevelopmentSignInAllowed(issuer)).not.toThrow()
  })

  it.each([
    'https://mcp.example.com',
    'https://localhost.example.com',
    'https://127.0.0.1.example.com',
    'http://192.168.1.2:3000',
    'https://xn--localhost.example',
  ])('a sign-in without password does not start on %s', issuer => {
    const options = {
      issuer,
      resources: ['https://mcp.example.com/mcp'],
      scopes: {},
      defaultScopes: [],
      signIn: developmentSignIn(),
    } as unknown as AuthorizationServerOptions
    expect(() => assertDevelopmentSignInAllowed(issuer)).toThrow(ConfigurationError)
    expect(() => checkOptions(options)).toThrow(ConfigurationError)
  })
})
