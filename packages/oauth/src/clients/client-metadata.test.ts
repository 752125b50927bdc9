import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { OAuthError } from '../errors.ts'
import { parseClientMetadata } from './client-metadata.ts'

const redirectUri = 'https://client.example/cb'
const parse = (members: Record<string, unknown>, schemes: readonly string[] = []) =>
  parseClientMetadata({ redirect_uris: [redirectUri], ...members }, { schemes })
const refusal = (members: Record<string, unknown>): string => {
  try {
    parse(members)
  } catch (error) {
    if (error instanceof OAuthError) {
      // R89: constant sentences, nothing of the input.
      expect(error.description).toMatch(/^[\x20\x21\x23-\x5b\x5d-\x7e]+$/)
      expect(error.description).not.toContain('canary')
      return error.code
    }
    throw error
  }
  return 'accepted'
}
const jwk = (...parameters: unknown[]) =>
  (
    generateKeyPairSync as (...parameters: unknown[]) => {
      publicKey: { export(format: object): object }
      privateKey: { export(format: object): object }
    }
  )(...parameters)
const rsa = (modulusLength: number) => jwk('rsa', { modulusLength }).publicKey.export({ format: 'jwk' })
const rsa2048 = rsa(2048)
const ec = jwk('ec', { namedCurve: 'P-256' })

describe('parseClientMetadata', () => {
  it('R19: what a client leaves out is filled in, with refresh, so that its users need not sign in again', () => {
    expect(parse({})).toEqual({
      redirect_uris: [redirectUri],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'client_secret_basic',
    })
  })

  it.each<[string, Record<string, unknown>]>([
    [
      'VS Code',
      {
        client_name: 'Visual Studio Code',
        client_uri: 'https://code.visualstudio.com',
        grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
        response_types: ['code'],
        redirect_uris: [
          'https://insiders.vscode.dev/redirect',
          'https://vscode.dev/redirect',
          'http://127.0.0.1/',
          'http://127.0.0.1:33418/',
        ],
        token_endpoint_auth_method: 'none',
      },
    ],
    [
      'an MCP SDK 2.x client with a mixed set',
      {
        redirect_uris: ['http://localhost:3000/cb', 'https://client.example/cb'],
        application_type: 'native',
        token_endpoint_auth_method: 'none',
      },
    ],
    [
      'Cursor',
      {
        client_name: 'Cursor',
        redirect_uris: ['cursor://anysphere.cursor-retrieval/oauth/user-x/callback'],
        token_endpoint_auth_method: 'none',
      },
    ],
    [
      'an MCP SDK 1.x client with empty members',
      {
        client_name: 'SDK',
        client_uri: '',
        logo_uri: null,
        tos_uri: '',
        scope: 'notes:read',
        contacts: ['a@b.example'],
      },
    ],
    ['a client with a Persian name', { client_name: 'می\u200cخواهم', 'client_name#fa': 'می\u200cخواهم' }],
  ])('R16, R24: %s can register', (_, members) => {
    expect(refusal(members)).toBe('accepted')
  })

  it('R15, R26: identity, secrets, privileges and statements a client sends for itself are ignored', () => {
    const registered = parse({
      client_id: 'https://claude.ai/canary',
      client_secret: 'canary',
      client_secret_expires_at: 9,
      skip_consent: true,
      trusted: true,
      scope: 'admin',
      software_statement: 'canary',
      ttl: 9,
    })
    expect(registered).toEqual(parse({}))
  })

  it('addresses for after a sign-out are kept, each once', () => {
    const uri = 'https://client.example/out'
    expect(parse({ post_logout_redirect_uris: [uri, uri] }).post_logout_redirect_uris).toEqual([uri])
    expect(parse({ post_logout_redirect_uris: [] })).toEqual(parse({}))
  })

  it('R19: grants and responses that are not offered are left out, and the client can see so', () => {
    const registered = parse({
      grant_types: ['implicit', 'refresh_token', 'authorization_code', 'password'],
      response_types: ['token', 'code'],
    })
    expect(registered.grant_types).toEqual(['authorization_code', 'refresh_token'])
    expect(registered.response_types).toEqual(['code'])
    expect(parse({ grant_types: ['authorization_code'] }).grant_types).toEqual(['authorization_code'])
    expect(parse({ grant_types: [], response_types: [] })).toEqual(parse({}))
  })

  it.each<[string, string, Record<string, unknown>]>([
    [
      'R16: a script for after a sign-out',
      'invalid_client_metadata',
      { post_logout_redirect_uris: ['javascript:canary'] },
    ],
    [
      'R16: plain http for after a sign-out',
      'invalid_client_metadata',
      { post_logout_redirect_uris: ['http://client.example/out'] },
    ],
    [
      'R16: 21 addresses for after a sign-out',
      'invalid_client_metadata',
      { post_logout_redirect_uris: Array.from({ length: 21 }, (_, i) => `${redirectUri}/${i}`) },
    ],
    ['R16: no redirect URIs', 'invalid_redirect_uri', { redirect_uris: undefined }],
    ['R16: an empty list of redirect URIs', 'invalid_redirect_uri', { redirect_uris: [] }],
    ['R16: one redirect URI that is no list', 'invalid_redirect_uri', { redirect_uris: redirectUri }],
    ['R16: a redirect URI that is no string', 'invalid_redirect_uri', { redirect_uris: [redirectUri, 1] }],
    [
      'R16: a bad redirect URI behind a good one',
      'invalid_redirect_uri',
      { redirect_uris: [redirectUri, 'javascript:canary'] },
    ],
    [
      'R16: 21 redirect URIs',
      'invalid_redirect_uri',
      { redirect_uris: Array.from({ length: 21 }, (_, i) => `${redirectUri}/${i}`) },
    ],
    [
      'R47: a redirect URI with a code',
      'invalid_redirect_uri',
      { redirect_uris: [`${redirectUri}?code=canary`] },
    ],
    [
      'R19: client credentials',
      'invalid_client_metadata',
      { grant_types: ['client_credentials'], token_endpoint_auth_method: 'none' },
    ],
    ['R19: refresh without a code', 'invalid_client_metadata', { grant_types: ['refresh_token'] }],
    [
      'R19: the implicit flow',
      'invalid_client_metadata',
      { grant_types: ['implicit'], response_types: ['token'] },
    ],
    ['R19: a response type that is not offered', 'invalid_client_metadata', { response_types: ['token'] }],
    ['R19: grant types that are no list', 'invalid_client_metadata', { grant_types: 'authorization_code' }],
    ['R19: grant types that are no strings', 'invalid_client_metadata', { grant_types: [{ canary: 1 }] }],
    [
      'R18: private_key_jwt with no key',
      'invalid_client_metadata',
      { token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [] } },
    ],
    [
      'R18: private_key_jwt with no word on keys',
      'invalid_client_metadata',
      { token_endpoint_auth_method: 'private_key_jwt' },
    ],
    ...[
      'http://client.example/jwks',
      'https://client.example:8443/jwks',
      'https://user@client.example/jwks',
      'https://client.example/jwks#key',
      'https://client.example/a/../jwks',
    ].map((uri): [string, string, Record<string, unknown>] => [
      `R18: private_key_jwt with keys at ${uri}`,
      'invalid_client_metadata',
      { token_endpoint_auth_method: 'private_key_jwt', jwks_uri: uri },
    ]),
    ...['none', 'HS256', 'RS512', 'canary'].map((alg): [string, string, Record<string, unknown>] => [
      `R9: private_key_jwt with ${alg}`,
      'invalid_client_metadata',
      {
        token_endpoint_auth_method: 'private_key_jwt',
        jwks_uri: 'https://client.example/jwks',
        token_endpoint_auth_signing_alg: alg,
      },
    ]),
    [
      'R19: client_secret_jwt',
      'invalid_client_metadata',
      { token_endpoint_auth_method: 'client_secret_jwt' },
    ],
    ['R19: an unknown method', 'invalid_client_metadata', { token_endpoint_auth_method: 'canary' }],
    ['R24: an unknown application type', 'invalid_client_metadata', { application_type: 'canary' }],
    ['R17: a name that is no string', 'invalid_client_metadata', { client_name: { canary: 1 } }],
    ['R17: an endless name', 'invalid_client_metadata', { client_name: 'x'.repeat(201) }],
    ...[
      '\u202e',
      '\u2066',
      '\u200f',
      '\u061c',
      '\u200b',
      '\ufeff',
      '\u00ad',
      '\n',
      '\u0000',
      '\u0085',
      '\u2028',
      '\ue000',
      '\ud800',
      '\u{e0041}',
    ].map((character): [string, string, Record<string, unknown>] => [
      `R17: a name with U+${character.codePointAt(0)!.toString(16)}`,
      'invalid_client_metadata',
      { client_name: `Cla${character}ude` },
    ]),
    [
      'R17: a translated name with a bidi override',
      'invalid_client_metadata',
      { 'client_name#ar': 'x\u202ey' },
    ],
  ])('%s: %s', (_, code, members) => {
    expect(refusal(members)).toBe(code)
  })

  const uris = [
    'javascript:alert(1)',
    'JAVASCRIPT:alert(1)',
    'data:image/svg+xml,x',
    '/logo.png',
    'logo.png',
    '//client.example/x',
    'ftp://client.example/x',
    ' https://client.example',
    'https://client.example/\n',
    'https://client.example/"onload="x',
    'https://client.example/<x>',
    'https://user@client.example/',
    'https://client.example@evil.example/',
    'https:client.example',
    'https://',
    `https://client.example/${'x'.repeat(2000)}`,
  ]
  it.each(
    [
      'client_uri',
      'logo_uri',
      'policy_uri',
      'tos_uri',
      'jwks_uri',
      'client_uri#de',
      'logo_uri#ja-Hani-JP',
      'tos_uri#fr',
    ].flatMap(member => uris.map(uri => [member, uri] as const)),
  )('R17: %s cannot be %j', (member, uri) => {
    expect(refusal({ [member]: uri })).toBe('invalid_client_metadata')
  })

  it('R17: pages of the client are kept for the consent page, its logo is not', () => {
    const pages = {
      client_uri: 'https://client.example',
      policy_uri: 'http://client.example/policy?a=1#b',
      tos_uri: 'https://client.example:8443/tos',
    }
    const registered = parse({
      ...pages,
      logo_uri: 'https://client.example/logo.png',
      'tos_uri#de': 'https://client.example/de',
    })
    expect(registered).toMatchObject(pages)
    expect(JSON.stringify(registered)).not.toMatch(/logo|#de/)
  })

  const publicEc = ec.publicKey.export({ format: 'jwk' })
  it.each<[string, Record<string, unknown>]>([
    ['jwks and jwks_uri', { jwks: { keys: [publicEc] }, jwks_uri: 'https://client.example/jwks' }],
    ['a private key', { jwks: { keys: [ec.privateKey.export({ format: 'jwk' })] } }],
    [
      'a private key behind a public one',
      { jwks: { keys: [publicEc, ec.privateKey.export({ format: 'jwk' })] } },
    ],
    ['a symmetric key', { jwks: { keys: [{ kty: 'oct', k: 'canary' }] } }],
    ['a symmetric member', { jwks: { keys: [{ ...publicEc, k: 'canary' }] } }],
    ...['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth'].map((member): [string, Record<string, unknown>] => [
      `an RSA key with ${member}`,
      { jwks: { keys: [{ ...rsa2048, [member]: 'AA' }] } },
    ]),
    ['an RSA key of 1024 bits', { jwks: { keys: [rsa(1024)] } }],
    ['an RSA key of 2040 bits', { jwks: { keys: [rsa(2040)] } }],
    [
      'a short RSA key behind zeros',
      {
        jwks: {
          keys: [
            {
              kty: 'RSA',
              e: 'AQAB',
              n: Buffer.concat([Buffer.alloc(200), Buffer.alloc(100, 255)]).toString('base64url'),
            },
          ],
        },
      },
    ],
    ['an RSA key without modulus', { jwks: { keys: [{ kty: 'RSA', e: 'AQAB' }] } }],
    ['a JWK set that is a list', { jwks: [publicEc] }],
    ['a JWK set that is a string', { jwks: 'canary' }],
    ['21 keys', { jwks: { keys: Array(21).fill(publicEc) } }],
  ])('R18: %s is refused', (_, members) => {
    expect(refusal(members)).toBe('invalid_client_metadata')
  })

  it('R18: public keys are no reason to refuse a client', () => {
    expect(refusal({ jwks: { keys: [publicEc, rsa2048, rsa(3072)] } })).toBe('accepted')
    expect(refusal({ jwks_uri: 'https://client.example/jwks' })).toBe('accepted')
  })

  it('R18: of the keys of a private_key_jwt client, the public members are kept; of others, nothing', () => {
    const jwks = { keys: [{ ...publicEc, kid: 'a', x5c: ['canary'], canary: 1 }, rsa2048] }
    const alg = { token_endpoint_auth_signing_alg: 'ES256' }
    expect(parse({ token_endpoint_auth_method: 'private_key_jwt', jwks, ...alg })).toMatchObject({
      token_endpoint_auth_method: 'private_key_jwt',
      jwks: { keys: [{ ...publicEc, kid: 'a' }, rsa2048] },
      ...alg,
    })
    expect(JSON.stringify(parse({ token_endpoint_auth_method: 'private_key_jwt', jwks }))).not.toContain(
      'canary',
    )
    const uri = { jwks_uri: 'https://client.example/jwks' }
    expect(parse({ token_endpoint_auth_method: 'private_key_jwt', ...uri })).toMatchObject(uri)
    expect(JSON.stringify(parse({ ...uri, ...alg }))).not.toMatch(/jwks|alg/)
  })

  const https = 'https://client.example/cb'
  const kinds: readonly [string, string[], boolean, boolean][] = [
    // redirect URIs, web, native
    ['https', [https], true, false],
    ['loopback', ['http://127.0.0.1/cb'], false, true],
    ['localhost', ['http://localhost:1/cb'], false, true],
    ['IPv6 loopback', ['http://[::1]/cb'], false, true],
    ['another loopback address', ['http://127.9.9.9/cb'], false, true],
    ['https on loopback', ['https://localhost/cb'], false, true],
    ['a name below localhost', ['https://app.localhost/cb'], false, true],
    ['localhost with a dot', ['https://localhost./cb'], false, true],
    ['a private-use scheme', ['com.example.app:/cb'], false, true],
    ['https and loopback', [https, 'http://127.0.0.1/cb'], false, true],
    ['https and an app', [https, 'cursor://x/cb'], false, true],
  ]
  it.each(
    kinds.flatMap(([name, redirect_uris, web, native]) => [
      [name, 'web', redirect_uris, web] as const,
      [name, 'native', redirect_uris, native] as const,
      [name, undefined, redirect_uris, true] as const,
    ]),
  )('R24: redirect URIs with %s, application type %s', (_, application_type, redirect_uris, isAccepted) => {
    expect(refusal({ redirect_uris, application_type })).toBe(
      isAccepted ? 'accepted' : 'invalid_redirect_uri',
    )
  })

  it('R16: a scheme the deployer allows is allowed', () => {
    expect(parse({ redirect_uris: ['myapp://cb'] }, ['myapp']).redirect_uris).toEqual(['myapp://cb'])
    expect(refusal({ redirect_uris: ['myapp://cb'] })).toBe('invalid_redirect_uri')
  })
})
