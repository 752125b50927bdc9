import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ConfigurationError } from '../errors.ts'
import { createMemoryStore } from '../storage/memory-store.ts'
import { metadataUrls } from './issuer-metadata.ts'
import { createResourceServer, type ResourceServerOptions } from './resource-server.ts'

const issuer = 'https://login.example.com/realms/main'
const resource = 'https://mcp.example.com/mcp'
const start = 1_900_000_000

type Claims = Record<string, unknown>
type Keys = Awaited<ReturnType<typeof generateKeyPair>>
let keys: Keys
let otherKeys: Keys
let now: number
/** Everything the issuer serves, by URL; a number is a status without a body. */
let site: Record<string, unknown>
let requests: { url: string; init: RequestInit }[]

const metadataUrl = 'https://login.example.com/.well-known/oauth-authorization-server/realms/main'
const jwksUri = `${issuer}/keys`
const introspectionEndpoint = `${issuer}/introspect`

const fetch = async (url: string, init: RequestInit) => {
  requests.push({ url, init })
  const found = site[url] ?? 404
  if (found === 'down') throw new Error('connection refused')
  return typeof found === 'number' ? new Response('{}', { status: found }) : Response.json(found)
}

beforeAll(async () => {
  keys = await generateKeyPair('RS256')
  otherKeys = await generateKeyPair('RS256')
})
beforeEach(async () => {
  now = start
  requests = []
  site = {
    [metadataUrl]: { issuer, jwks_uri: jwksUri, introspection_endpoint: introspectionEndpoint },
    [jwksUri]: { keys: [{ ...(await exportJWK(keys.publicKey)), kid: 'one', alg: 'RS256', use: 'sig' }] },
  }
})

const server = (over: Partial<ResourceServerOptions> = {}) =>
  createResourceServer({ issuer, fetch, clock: () => now, ...over })
const claims = (): Claims => ({
  iss: issuer,
  sub: 'f:1:ada',
  aud: resource,
  azp: 'client',
  scope: 'openid notes:read',
  iat: now,
  exp: now + 300,
  jti: 'jti',
  sid: 'session',
})
const sign = (over: Claims = {}, header: object = {}, key = keys.privateKey) =>
  new SignJWT({ ...claims(), ...over })
    .setProtectedHeader({ alg: 'RS256', kid: 'one', typ: 'JWT', ...header })
    .sign(key)
const refusal = (value: string, from = server(), at = resource) =>
  from.verifyAccessToken(value, at).then(
    token => ({ accepted: token }),
    error => ({ code: error.code, status: error.status, name: error.name }),
  )
const invalid = { code: 'invalid_token', status: 401, name: 'OAuthError' }
const unavailable = { code: 'temporarily_unavailable', status: 503, name: 'OAuthError' }

describe('a token of a foreign issuer', () => {
  it('says who calls, through which client, allowed to do what', async () => {
    expect(await server().verifyAccessToken(await sign(), resource)).toEqual({
      principal: 'user',
      userId: expect.stringMatching(/^[\w-]{43}$/),
      subject: 'f:1:ada',
      clientId: 'client',
      scopes: ['openid', 'notes:read'],
      resource,
      issuer,
      grantId: 'session',
      jti: 'jti',
      expiresAt: now + 300,
      authTime: undefined,
    })
  })

  it.each<[string, Claims, object]>([
    ['Keycloak', { aud: ['account', resource], typ: 'Bearer' }, { typ: 'JWT' }],
    ['RFC 9068', { client_id: 'client', azp: undefined }, { typ: 'at+jwt' }],
    ['Entra', { scp: 'notes:read', scope: undefined, sid: undefined, jti: undefined }, { typ: 'JWT' }],
    ['Okta', { scp: ['notes:read'], scope: undefined, azp: undefined, cid: 'client' }, { typ: undefined }],
  ])('reads what %s writes', async (_, over, header) => {
    const token = await server().verifyAccessToken(await sign(over, header), resource)
    expect(token).toMatchObject({ principal: 'user', clientId: 'client' })
    expect(token.scopes).toContain('notes:read')
    expect(token.grantId).not.toBe('')
  })

  it.each<[string, Claims]>([
    ['its own subject', { sub: 'client' }],
    ['Auth0’s', { sub: 'client@clients' }],
    ['marked by gty', { gty: 'client-credentials' }],
    ['marked by idtyp', { idtyp: 'app' }],
  ])('R115: a client that acts for itself is no user: %s', async (_, over) => {
    const token = await server().verifyAccessToken(await sign(over), resource)
    expect(token).toMatchObject({ principal: 'client', userId: undefined })
  })

  it('R76: the same subject at two issuers is two users', async () => {
    const other = 'https://other.example.com'
    site['https://other.example.com/.well-known/oauth-authorization-server'] = {
      issuer: other,
      jwks_uri: jwksUri,
    }
    const ours = await server().verifyAccessToken(await sign(), resource)
    const theirs = await server({ issuer: other }).verifyAccessToken(await sign({ iss: other }), resource)
    expect(theirs.userId).not.toBe(ours.userId)
  })

  it('has the user id of the store, where there is one, and ends when the user is disabled', async () => {
    const store = createMemoryStore()
    const { userId: hash } = await server().verifyAccessToken(await sign(), resource)
    await store.findOrPutUser({ identityHash: hash!, userId: 'from-sign-in', expiresAt: now + 999, now })
    const joined = server({ users: store })
    const value = await sign()
    expect((await joined.verifyAccessToken(value, resource)).userId).toBe('from-sign-in')
    await store.putDisabledUser({ userId: 'from-sign-in', expiresAt: now + 999, now })
    expect(await refusal(await sign({ jti: 'next' }), joined)).toEqual(invalid)
  })

  it('costs the issuer two requests, however often tokens come', async () => {
    const it = server()
    const value = await sign()
    await Promise.all(Array.from({ length: 20 }, () => it.verifyAccessToken(value, resource)))
    await it.verifyAccessToken(await sign({ jti: 'next' }), resource)
    expect(requests.map(({ url }) => url)).toEqual([metadataUrl, jwksUri])
    expect(requests.every(({ init }) => init.redirect === 'manual')).toBe(true)
  })

  it('ends with its exp, also when it was verified before', async () => {
    const it = server()
    const value = await sign()
    await it.verifyAccessToken(value, resource)
    now += 311
    expect(await refusal(value, it)).toEqual(invalid)
  })
})

describe('tokens that are not for us', () => {
  it.each<[string, Claims, object?]>([
    ['R153: for another resource', { aud: 'https://mcp.example.com/mcp-v2' }],
    ['R153: for nobody', { aud: undefined }],
    ['R154: of another issuer', { iss: 'https://evil.example' }],
    ['R154: with the issuer and a slash', { iss: `${issuer}/` }],
    ['R154: without an end', { exp: undefined }],
    ['R154: without a subject', { sub: undefined }],
    ['R154: with an empty subject', { sub: '' }],
    ['R154: without a client', { azp: undefined }],
    ['R154: that begins later', { nbf: start + 60 }],
    ['R155: an ID token by its nonce', { nonce: 'n' }],
    ['R155: an ID token by its at_hash', { at_hash: 'h' }],
    ['R155: Keycloak’s ID token', { typ: 'ID' }],
    ['R155: Keycloak’s refresh token', { typ: 'Refresh' }],
    ['R155: Cognito’s ID token', { token_use: 'id' }],
    ['R155: a logout token', { events: {} }, { typ: 'logout+jwt' }],
    ['R155: an ID-JAG', {}, { typ: 'oauth-id-jag+jwt' }],
    ['R155: a client assertion', {}, { typ: 'client-authentication+jwt' }],
    ['R159: bound to a key', { cnf: { jkt: 'k' } }],
  ])('%s: refused', async (_, over, header) => {
    expect(await refusal(await sign(over, header))).toEqual(invalid)
  })

  it('R154: another key, another algorithm, no signature: refused', async () => {
    expect(await refusal(await sign({}, {}, otherKeys.privateKey))).toEqual(invalid)
    const secret = new TextEncoder().encode('a secret that is long enough for HMAC')
    const hmac = await new SignJWT(claims()).setProtectedHeader({ alg: 'HS256', kid: 'one' }).sign(secret)
    expect(await refusal(hmac)).toEqual(invalid)
    const [, payload] = (await sign()).split('.')
    const none = Buffer.from('{"alg":"none"}').toString('base64url')
    expect(await refusal(`${none}.${payload}.`)).toEqual(invalid)
    expect(await refusal('opaque')).toEqual(invalid)
    expect(await refusal(`${await sign()}${'a'.repeat(20_000)}`)).toEqual(invalid)
  })

  it('R153: verified for one resource is not verified for another', async () => {
    const it = server()
    const value = await sign()
    await it.verifyAccessToken(value, resource)
    expect(await refusal(value, it, 'https://mcp.example.com/other')).toEqual(invalid)
  })

  it('an audience by another name is one that is configured', async () => {
    const value = await sign({ aud: 'api://calendar' })
    expect(await refusal(value)).toEqual(invalid)
    const token = await server({ audience: 'api://calendar' }).verifyAccessToken(value, resource)
    expect(token.resource).toBe(resource)
  })
})

describe('keys of the issuer', () => {
  it('R154: a new key is found, and unknown ones cost a request per 30 s at most', async () => {
    const it = server()
    await it.verifyAccessToken(await sign(), resource)
    const rotated = { ...(await exportJWK(otherKeys.publicKey)), kid: 'two' }
    const value = await sign({}, { kid: 'two' }, otherKeys.privateKey)
    now += 31
    const guesses = Array.from({ length: 5 }, (_, n) => sign({}, { kid: `guess-${n}` }))
    for (const guess of await Promise.all(guesses)) expect(await refusal(guess, it)).toEqual(invalid)
    expect(requests.filter(({ url }) => url === jwksUri)).toHaveLength(2)
    site[jwksUri] = { keys: [rotated] }
    now += 31
    expect((await it.verifyAccessToken(value, resource)).clientId).toBe('client')
  })

  it('a symmetric key in the set verifies nothing', async () => {
    const secret = Buffer.from('a secret that is long enough for HMAC')
    site[jwksUri] = { keys: [{ kty: 'oct', k: secret.toString('base64url'), kid: 'one', alg: 'HS256' }] }
    const value = await new SignJWT(claims()).setProtectedHeader({ alg: 'HS256', kid: 'one' }).sign(secret)
    expect(await refusal(value)).toEqual(invalid)
  })

  it('an issuer that is down: 503 at first, and no effect once its keys are known', async () => {
    const it = server()
    const value = await sign()
    const metadata = site[metadataUrl]
    for (const url of metadataUrls(issuer)) site[url] = 'down'
    expect(await refusal(value, it)).toEqual(unavailable)
    site[metadataUrl] = metadata
    now += 6
    await it.verifyAccessToken(value, resource)
    site[jwksUri] = 'down'
    site[metadataUrl] = 503
    now += 7_000
    expect(await it.verifyAccessToken(await sign({ jti: 'next' }), resource)).toMatchObject({ jti: 'next' })
  })
})

describe('at start', () => {
  it('looks where RFC 8414 and OpenID Connect put the document', async () => {
    expect(metadataUrls(issuer)).toEqual([
      'https://login.example.com/.well-known/oauth-authorization-server/realms/main',
      'https://login.example.com/realms/main/.well-known/openid-configuration',
      'https://login.example.com/.well-known/openid-configuration/realms/main',
    ])
    site = {
      [`${issuer}/.well-known/openid-configuration`]: { issuer, jwks_uri: jwksUri },
    }
    await expect(server().start()).resolves.toBeUndefined()
  })

  it.each<[string, () => Record<string, unknown>, Partial<ResourceServerOptions>, RegExp]>([
    ['another issuer', () => ({ [metadataUrl]: { issuer: `${issuer}/` } }), {}, /is of another issuer/],
    ['nothing there', () => ({}), {}, /there is no authorization server metadata/],
    ['no keys', () => ({ [metadataUrl]: { issuer } }), {}, /publishes no jwks_uri/],
    [
      'keys over http',
      () => ({ [metadataUrl]: { issuer, jwks_uri: 'http://login.example.com/keys' } }),
      {},
      /no https URLs/,
    ],
    [
      'no introspection',
      () => ({ [metadataUrl]: { issuer, jwks_uri: jwksUri } }),
      { introspection: { clientId: 'us', clientSecret: 'secret' } },
      /no introspection_endpoint/,
    ],
  ])('%s is one clear sentence', async (_, metadata, over, sentence) => {
    site = metadata()
    const error = await server(over)
      .start()
      .catch(error => error)
    expect(error).toBeInstanceOf(ConfigurationError)
    expect(error.message).toMatch(sentence)
  })

  it.each(['http://login.example.com', 'login.example.com', 'javascript:alert(1)', 'https://a:b@x.example'])(
    'an issuer %s is refused',
    bad => {
      expect(() => server({ issuer: bad })).toThrow(/option issuer must be the https URL/)
    },
  )
})

describe('introspection', () => {
  const credentials = { clientId: 'us', clientSecret: 's e:cret' }
  const active = () => ({
    active: true,
    sub: 'ada',
    aud: resource,
    client_id: 'client',
    scope: 'notes:read',
    exp: now + 300,
    iss: issuer,
  })

  it('an opaque token is asked about, once a minute, with our credentials and not in the URL', async () => {
    site[introspectionEndpoint] = active()
    const it = server({ introspection: credentials })
    for (let call = 0; call < 5; call++) await it.verifyAccessToken('opaque', resource)
    const asked = () => requests.filter(({ url }) => url === introspectionEndpoint)
    expect(asked()).toHaveLength(1)
    expect(asked()[0]!.init.body).toBe('token=opaque&token_type_hint=access_token')
    const { authorization } = asked()[0]!.init.headers as Record<string, string>
    expect(Buffer.from(authorization!.slice(6), 'base64').toString()).toBe('us:s+e%3Acret')
    now += 60
    await it.verifyAccessToken('opaque', resource)
    expect(asked()).toHaveLength(2)
  })

  it('R157: what ends there ends here within a minute', async () => {
    site[introspectionEndpoint] = active()
    const it = server({ introspection: credentials })
    await it.verifyAccessToken('opaque', resource)
    site[introspectionEndpoint] = { active: false }
    now += 60
    expect(await refusal('opaque', it)).toEqual(invalid)
  })

  it('a guess is asked about once, and does not push out what is good', async () => {
    site[introspectionEndpoint] = { active: false }
    const it = server({ introspection: credentials })
    for (let call = 0; call < 5; call++) expect(await refusal('guess', it)).toEqual(invalid)
    expect(requests.filter(({ url }) => url === introspectionEndpoint)).toHaveLength(1)
  })

  it.each<[string, object]>([
    ['R153: no audience', { aud: undefined }],
    ['R153: another audience', { aud: ['https://other.example'] }],
    ['another issuer', { iss: 'https://evil.example' }],
    ['R159: bound to a key', { token_type: 'DPoP' }],
    ['R159: bound to a certificate', { cnf: { 'x5t#S256': 'x' } }],
    ['over', { exp: start }],
  ])('an answer with %s: refused', async (_, over) => {
    site[introspectionEndpoint] = { ...active(), ...over }
    expect(await refusal('opaque', server({ introspection: credentials }))).toEqual(invalid)
  })

  it('an issuer that is down or refuses us: 503, not 401', async () => {
    for (const answer of ['down', 500, 401]) {
      site[introspectionEndpoint] = answer
      expect(await refusal('opaque', server({ introspection: credentials }))).toEqual(unavailable)
    }
  })
})
