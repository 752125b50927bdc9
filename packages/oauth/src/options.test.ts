import { describe, expect, it } from 'vitest'
import { ConfigurationError } from './errors.ts'
import type { PageLogin } from './login.ts'
import { type AuthorizationServerOptions, checkOptions } from './options.ts'

const signIn: PageLogin = {
  kind: 'page',
  id: 'test',
  label: 'Development',
  handle: async () => new Response(),
}
const valid = {
  issuer: 'https://mcp.example.com',
  serverName: 'Notes',
  resources: ['https://mcp.example.com/mcp'],
  scopes: { 'notes:read': 'Read your notes' },
  defaultScopes: ['notes:read'],
  signIn,
} as unknown as AuthorizationServerOptions

const check = (change: Record<string, unknown>) => () => checkOptions({ ...valid, ...change })

describe('checkOptions', () => {
  it.each([
    'https://mcp.example.com',
    'https://mcp.example.com/auth',
    'https://mcp.example.com/a/b',
    'https://mcp.example.com:8443',
    'http://localhost:3000',
    'http://127.0.0.1:3000',
    'http://[::1]:3000',
  ])('R4: %s can be an issuer', issuer => {
    expect(check({ issuer })).not.toThrow()
  })

  it.each([
    ['plain http to the world', 'http://public.example'],
    ['http to a name that only begins like loopback', 'http://localhost.evil.example'],
    ['http to an address that only begins like loopback', 'http://127.0.0.1.evil.example'],
    ['http to all interfaces', 'http://0.0.0.0:3000'],
    ['a query', 'https://mcp.example.com?a=b'],
    ['an empty query', 'https://mcp.example.com?'],
    ['a fragment', 'https://mcp.example.com#a'],
    ['a user', 'https://user:canary@mcp.example.com'],
    ['a trailing slash', 'https://mcp.example.com/'],
    ['a trailing slash after a path', 'https://mcp.example.com/auth/'],
    ['upper case, which a URL parser would lower', 'https://MCP.example.com'],
    ['the default port, which a URL parser would drop', 'https://mcp.example.com:443'],
    ['dot segments', 'https://mcp.example.com/a/../b'],
    ['a leading space', ' https://mcp.example.com'],
    ['a line break', 'https://mcp.example.com\n'],
    ['another scheme', 'ftp://mcp.example.com'],
    ['no URL', 'mcp.example.com'],
    ['nothing', ''],
  ])('R2, R4: the server does not start with an issuer that has %s', (_, issuer) => {
    expect(check({ issuer })).toThrow(ConfigurationError)
    expect(check({ issuer })).toThrow(/^PUBLIC_URL [^\n]*\.$/)
    expect(check({ issuer })).not.toThrow(/canary/)
  })

  it.each([
    ['no resource', { resources: [] }, /resources/],
    ['a relative resource', { resources: ['/mcp'] }, /PUBLIC_URL/],
    ['a resource with a fragment', { resources: ['https://mcp.example.com/mcp#a'] }, /resources/],
    ['a resource over plain http', { resources: ['http://mcp.example.com/mcp'] }, /https/],
    ['a scope with a space', { scopes: { 'a b': 'words' } }, /scope "a b"/],
    ['a scope with a quote', { scopes: { 'a"b': 'words' } }, /scope/],
    ['a scope nobody can understand', { scopes: { a: ' ' } }, /description/],
    ['a promise of id_tokens', { scopes: { openid: 'Sign in' } }, /openid/],
    ['a default scope that does not exist', { defaultScopes: ['notes:write'] }, /"notes:write"/],
    ['a default scope that only every object has', { defaultScopes: ['constructor'] }, /"constructor"/],
    ['a sign-in id that is no path segment', { signIn: { ...signIn, id: 'a/b' } }, /signIn/],
    ['a token format nobody knows', { accessTokenFormat: 'jwe' as 'jwt' }, /^OAUTH_ACCESS_TOKEN_FORMAT must/],
    ['no room for a sign-in', { maxPendingAuthorizations: 0 }, /maxPendingAuthorizations/],
  ])('the server does not start with %s, and says what to change', (_, change, message) => {
    expect(check(change)).toThrow(ConfigurationError)
    expect(check(change)).toThrow(message)
  })

  it.each([
    ['authorizationCodeSeconds', 'OAUTH_AUTH_CODE_TTL', [0, -1, 1.5, Number.NaN, 3601]],
    ['accessTokenSeconds', 'OAUTH_ACCESS_TOKEN_TTL', [0, -1, 0.5, Number.POSITIVE_INFINITY]],
    ['refreshTokenSeconds', 'OAUTH_REFRESH_TOKEN_TTL', [0, -1, Number.NaN]],
    ['sessionMaxAgeSeconds', 'OAUTH_SESSION_MAX_AGE', [-1, 1.5]],
    ['refreshGraceSeconds', 'OAUTH_REFRESH_GRACE', [-1, 61, 1.5]],
  ])('R105: a lifetime that cannot be meant is refused: %s', (name, variable, values) => {
    for (const value of values) expect(check({ lifetimes: { [name]: value } })).toThrow(variable)
  })

  it('a session without absolute end and a grace of nothing are choices, not mistakes', () => {
    expect(check({ lifetimes: { sessionMaxAgeSeconds: 0, refreshGraceSeconds: 0 } })).not.toThrow()
  })
})
