import { describe, expect, it } from 'vitest'
import {
  createFixture,
  type Fixture,
  issuer,
  jwtKey,
  keyClient,
  otherResource,
  outcome,
  redirectUri,
  resource,
  type TestClient,
} from '../authorization-server.fixture.ts'
import { signAssertion } from '../clients/client-assertion.fixture.ts'
import { createDpopKey, type DpopKey, signProof } from '../dpop.fixture.ts'
import { StoreUnavailableError } from '../errors.ts'
import { sha256 } from '../protocol/hash.ts'
import {
  agent,
  byBasic,
  enterpriseIssuer,
  idJag,
  idp,
  idpKey,
  jwtBearerGrant,
  now,
  present,
  problems,
  register,
  secret,
  setUp,
} from './identity-assertion.fixture.ts'

const agents: readonly TestClient[] = [
  agent,
  {
    name: 'client_secret_post',
    clientId: 'agent-post',
    headers: {},
    body: { client_id: 'agent-post', client_secret: secret },
  },
  keyClient('agent-jwt', jwtKey),
]
const each = agents.map(client => [client.name, client] as const)
const tokenOf = async (response: Response) => (await response.json()) as Record<string, string>
const accessOf = async (fixture: Fixture, assertion = idJag()) => {
  const { access_token: access } = await tokenOf(await present(fixture, assertion))
  return { access: access!, ...(await fixture.server.verifyAccessToken(access!, resource)) }
}

describe('jwt-bearer with ID-JAG', () => {
  it.each(each)('R93, R111, R125: %s: a Bearer token, its scope, and no refresh token', async (_, client) => {
    const fixture = setUp()
    const response = await present(fixture, idJag({}, client.clientId), {}, client)
    expect(response.status).toBe(200)
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(await response.json()).toEqual({
      access_token: expect.any(String),
      token_type: 'Bearer',
      expires_in: 900,
      scope: 'notes:read notes:write',
    })
  })

  it('the token speaks for the user, at the resource, and says how they authenticated', async () => {
    const fixture = setUp()
    const signedIn = { auth_time: now - 100, amr: ['mfa', 'hwk'], acr: 'urn:acme:strong' }
    const { access, ...verified } = await accessOf(fixture, idJag({ claims: signedIn }))
    expect(verified).toMatchObject({
      principal: 'user',
      userId: expect.any(String),
      clientId: 'agent',
      resource,
      scopes: ['notes:read', 'notes:write'],
      authTime: now - 100,
    })
    const claims = JSON.parse(Buffer.from(access.split('.')[1]!, 'base64url').toString())
    expect(claims).toMatchObject({ iss: issuer, aud: resource, amr: ['mfa', 'hwk'], acr: 'urn:acme:strong' })
    expect(JSON.stringify(claims)).not.toContain('canary')
  })

  it('R159: a client that proves a key gets a token for that key', async () => {
    const fixture = setUp()
    const key = createDpopKey()
    const DPoP = signProof(key, { url: `${issuer}/oauth/token`, now })
    const token = await tokenOf(await present(fixture, idJag(), {}, agent, { DPoP }))
    expect(token.token_type).toBe('DPoP')
    const { verifyAccessToken } = fixture.server
    expect(await verifyAccessToken(token.access_token!, resource, key.jkt)).toMatchObject({
      clientId: 'agent',
    })
    expect(await fixture.isLive(token.access_token!)).toBe(false)
  })

  it('R126, R159: an assertion for a key is good with a proof of that key alone, and not used up by others', async () => {
    const fixture = setUp()
    const [key, thief] = [createDpopKey(), createDpopKey()]
    const proofOf = (by: DpopKey) => ({ DPoP: signProof(by, { url: `${issuer}/oauth/token`, now }) })
    const assertion = idJag({ claims: { cnf: { jkt: key.jkt } } })
    for (const headers of [{}, proofOf(thief)]) {
      expect(await outcome(await present(fixture, assertion, {}, agent, headers))).toBe('400 invalid_grant')
    }
    expect(problems(fixture)).toEqual(['constraint', 'constraint'])
    const more = idJag({ claims: { cnf: { jkt: key.jkt, 'x5t#S256': 'x' } } })
    expect(await outcome(await present(fixture, more, {}, agent, proofOf(key)))).toBe('400 invalid_grant')
    const token = await tokenOf(await present(fixture, assertion, {}, agent, proofOf(key)))
    expect(token.token_type).toBe('DPoP')
  })

  it('an authentication that has yet to be counts as one of now', async () => {
    const fixture = setUp()
    const { authTime } = await accessOf(fixture, idJag({ claims: { auth_time: now + 3600 } }))
    expect(authTime).toBe(now)
  })

  it('R123, R127: what fails for another reason uses nothing up', async () => {
    const fixture = setUp()
    const assertion = idJag()
    for (const [body, client, expected] of [
      [{}, byBasic('reader'), '400 invalid_grant'],
      [{}, byBasic('without'), '400 unauthorized_client'],
      [{}, byBasic('agent', 'wrong'), '401 invalid_client'],
      [{ resource: otherResource }, agent, '400 invalid_target'],
      [{ scope: 'notes:admin' }, agent, '400 invalid_scope'],
      [{ scope: 'notes:read  notes:write' }, agent, '400 invalid_scope'],
      [{ grant_type: 'client_credentials' }, agent, '400 unsupported_grant_type'],
    ] as const) {
      expect(await outcome(await present(fixture, assertion, body, client))).toBe(expected)
    }
    expect(await outcome(await present(fixture, assertion))).toBe('200')
  })

  it('R91, R118, R127: a client assertion that was used does not use the other up, and the reverse', async () => {
    const fixture = setUp()
    const client = keyClient('agent-jwt', jwtKey)
    const used = signAssertion({ clientId: 'agent-jwt', key: jwtKey, audience: issuer, now })
    const [first, second] = [idJag({}, 'agent-jwt'), idJag({}, 'agent-jwt')]
    expect(await outcome(await present(fixture, first, { client_assertion: used }, client))).toBe('200')
    const replayed = present(fixture, second, { client_assertion: used }, client)
    expect(await outcome(await replayed)).toBe('401 invalid_client')
    expect(await outcome(await present(fixture, second, {}, client))).toBe('200')
  })

  it('R127: an assertion gives one token, in order and at once, for as long as it could be used', async () => {
    const fixture = setUp()
    const assertion = idJag()
    const answers = await Promise.all(Array.from({ length: 20 }, () => present(fixture, assertion)))
    const outcomes = await Promise.all(answers.map(outcome))
    expect(outcomes.filter(each => each === '200')).toHaveLength(1)
    expect(outcomes.filter(each => each === '400 invalid_grant')).toHaveLength(19)
    fixture.time.now += 359
    expect(await outcome(await present(fixture, assertion))).toBe('400 invalid_grant')
    expect(new Set(problems(fixture))).toEqual(new Set(['replayed']))
  })

  it('R127: the same jti of another issuer is another assertion, and another spelling is the same', async () => {
    const other = { issuer: 'https://other.idp.example', jwks: { keys: [idpKey.publicJwk] } }
    const fixture = setUp({ enterpriseIssuers: [enterpriseIssuer, other] })
    const first = idJag({ claims: { jti: 'same' } })
    expect(await outcome(await present(fixture, first))).toBe('200')
    const theirs = idJag({ claims: { jti: 'same', iss: other.issuer } })
    expect(await outcome(await present(fixture, theirs))).toBe('200')
    const again = idJag({ claims: { jti: 'same', note: 'written anew' } })
    expect(await outcome(await present(fixture, again))).toBe('400 invalid_grant')
  })

  it('R127: public clients get nothing, whatever they bring', async () => {
    const fixture = setUp()
    const registered = await register(fixture, { token_endpoint_auth_method: 'none' })
    expect(registered.grant_types).toEqual(['authorization_code'])
    const { client_id: id = '' } = registered
    const client = { name: 'public', clientId: id, headers: {}, body: { client_id: id } }
    const answer = present(fixture, idJag({}, id), {}, client)
    expect(await outcome(await answer)).toBe('400 unauthorized_client')
  })

  it('R127: clients that registered themselves may when they have a key and asked for it', async () => {
    const fixture = setUp()
    const keys = { token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [jwtKey.publicJwk] } }
    const asked = await register(fixture, keys)
    expect(asked.grant_types).toEqual(['authorization_code', jwtBearerGrant])
    const withKey = keyClient(asked.client_id!, jwtKey)
    expect(await outcome(await present(fixture, idJag({}, withKey.clientId), {}, withKey))).toBe('200')

    const silent = await register(fixture, { ...keys, grant_types: ['authorization_code'] })
    const other = keyClient(silent.client_id!, jwtKey)
    const refused = present(fixture, idJag({}, other.clientId), {}, other)
    expect(await outcome(await refused)).toBe('400 unauthorized_client')

    const named = await register(fixture, { token_endpoint_auth_method: 'client_secret_basic' })
    expect(named.grant_types).toEqual(['authorization_code'])
    const withSecret = byBasic(named.client_id!, named.client_secret)
    const alsoRefused = present(fixture, idJag({}, withSecret.clientId), {}, withSecret)
    expect(await outcome(await alsoRefused)).toBe('400 unauthorized_client')
  })

  it('R13, R127: where no issuer is configured, nobody is registered for it', async () => {
    const keys = { token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [jwtKey.publicJwk] } }
    const { grant_types: registered } = await register(createFixture(), keys)
    expect(registered).toEqual(['authorization_code'])
  })

  it('R123: an issuer can be held to some clients', async () => {
    const fixture = setUp({ enterpriseIssuers: [{ ...enterpriseIssuer, clients: ['agent'] }] })
    expect(await outcome(await present(fixture, idJag()))).toBe('200')
    const refused = present(fixture, idJag({}, 'reader'), {}, byBasic('reader'))
    expect(await outcome(await refused)).toBe('400 invalid_grant')
    expect(problems(fixture)).toEqual(['client'])
  })

  it.each<[string, Record<string, unknown>, Record<string, string>, object, string]>([
    ['all the assertion gives, when the request does not say', {}, {}, {}, 'notes:read notes:write'],
    ['what is asked for', {}, { scope: 'notes:write' }, {}, 'notes:write'],
    [
      'no more than the assertion gives',
      { scope: 'notes:read' },
      { scope: 'notes:read notes:write' },
      {},
      'notes:read',
    ],
    ['no scope the server has not', { scope: 'notes:read admin' }, {}, {}, 'notes:read'],
    ['no openid', { scope: 'openid notes:read' }, { scope: 'openid notes:read' }, {}, 'notes:read'],
    ['the default, when the assertion does not say', { scope: undefined }, {}, {}, 'notes:read'],
    [
      'no more than the default, when the assertion does not say',
      { scope: undefined },
      { scope: 'notes:read notes:write' },
      {},
      'notes:read',
    ],
    ['no more than the issuer may give', {}, {}, { scopes: ['notes:write'] }, 'notes:write'],
  ])('R125: the scope is %s', async (_, claims, body, change, expected) => {
    const fixture = setUp({ enterpriseIssuers: [{ ...enterpriseIssuer, ...change }] })
    const response = await present(fixture, idJag({ claims }), body)
    const { scope, access_token: access } = await tokenOf(response)
    expect(scope).toBe(expected)
    const { scopes } = await fixture.server.verifyAccessToken(access!, resource)
    expect(scopes.join(' ')).toBe(expected)
  })

  it('R125: no more than the client may have, and nothing when that is nothing', async () => {
    const fixture = setUp()
    const client = byBasic('reader')
    const ask = (scope: string) => present(fixture, idJag({}, 'reader'), { scope }, client)
    expect(await tokenOf(await ask('notes:read notes:write'))).toMatchObject({ scope: 'notes:read' })
    expect(await outcome(await ask('notes:write'))).toBe('400 invalid_scope')
    const malformed = idJag({ claims: { scope: 'notes:read  notes:write' } })
    expect(await outcome(await present(fixture, malformed))).toBe('400 invalid_scope')
  })

  it('R23, R125: sensitive scopes are for configured clients, whatever the assertion gives', async () => {
    const fixture = setUp({ sensitiveScopes: ['notes:write'] })
    expect(await tokenOf(await present(fixture, idJag()))).toMatchObject({ scope: 'notes:read notes:write' })
    const keys = { token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [jwtKey.publicJwk] } }
    const { client_id: id = '' } = await register(fixture, keys)
    const answer = await present(fixture, idJag({}, id), {}, keyClient(id, jwtKey))
    expect(await tokenOf(answer)).toMatchObject({ scope: 'notes:read' })
  })

  it('R101, R125: the resource is one of the assertion, named or the only one', async () => {
    const fixture = setUp()
    const both = () => idJag({ claims: { resource: [resource, otherResource] } })
    const audience = async (response: Response) => {
      const { access_token: access } = await tokenOf(response)
      return JSON.parse(Buffer.from(access!.split('.')[1]!, 'base64url').toString()).aud
    }
    expect(await audience(await present(fixture, both(), { resource: otherResource }))).toBe(otherResource)
    expect(await outcome(await present(fixture, both()))).toBe('400 invalid_target')
    expect(await outcome(await present(fixture, idJag(), { resource: otherResource }))).toBe(
      '400 invalid_target',
    )
    expect(await outcome(await present(fixture, idJag(), { resource: 'https://evil.example' }))).toBe(
      '400 invalid_target',
    )
    expect(await audience(await present(fixture, idJag(), { resource }))).toBe(resource)
  })

  describe('R128: who the user is', () => {
    const tenants = [{ ...enterpriseIssuer, tenants: ['acme', 'globex'] }]
    const userOf = async (fixture: Fixture, claims: Record<string, unknown> = {}) =>
      (await accessOf(fixture, idJag({ claims }))).userId

    it('the same issuer and sub are the same user, whatever their e-mail address', async () => {
      const fixture = setUp()
      const first = await userOf(fixture)
      expect(await userOf(fixture, { email: 'new@acme.example' })).toBe(first)
      expect(await userOf(fixture, { sub: 'somebody-else' })).not.toBe(first)
    })

    it('the user who signs in with the same issuer in a browser is the same', async () => {
      const fixture = setUp()
      const userId = await userOf(fixture)
      const signedIn = await fixture.store.findOrPutUser({
        identityHash: sha256(JSON.stringify([idp, 'canary-subject-U0194'])),
        userId: 'another',
        expiresAt: now + 60,
        now,
      })
      expect(signedIn).toBe(userId)
    })

    it('one sub of two tenants is two users, and a tenant that is not trusted has none', async () => {
      const fixture = setUp({ enterpriseIssuers: tenants })
      const acme = await userOf(fixture, { tenant: 'acme' })
      expect(await userOf(fixture, { tenant: 'globex' })).not.toBe(acme)
      expect(await userOf(fixture, { tenant: 'acme' })).toBe(acme)
      for (const tenant of ['initech', undefined]) {
        const refused = present(fixture, idJag({ claims: { tenant } }))
        expect(await outcome(await refused)).toBe('400 invalid_grant')
      }
      expect(problems(fixture)).toEqual(['tenant', 'tenant'])
    })

    it('tenant and sub cannot be shifted into one another', async () => {
      const fixture = setUp({ enterpriseIssuers: [{ ...enterpriseIssuer, tenants: ['a', 'a","b'] }] })
      const first = await userOf(fixture, { tenant: 'a', sub: 'b","c' })
      expect(await userOf(fixture, { tenant: 'a","b', sub: 'c' })).not.toBe(first)
    })
  })

  it('R109: a disabled user gets nothing, and uses nothing up', async () => {
    const fixture = setUp()
    const { userId = '', access } = await accessOf(fixture)
    await fixture.server.admin.disableUser(userId)
    expect(await fixture.isLive(access)).toBe(false)
    const assertion = idJag()
    expect(await outcome(await present(fixture, assertion))).toBe('400 invalid_grant')
    expect(problems(fixture)).toEqual(['disabled'])
    await fixture.server.admin.enableUser(userId)
    expect(await outcome(await present(fixture, assertion))).toBe('200')
  })

  it.each([
    ['client is deleted', (fixture: Fixture) => fixture.server.admin.revokeClient('agent')],
    ['user is disabled', (fixture: Fixture, userId: string) => fixture.server.admin.disableUser(userId)],
  ] as const)('R21, R109: when the %s meanwhile, nothing lives on', async (_, end) => {
    const meanwhile: { end?: () => Promise<unknown> } = {}
    const fixture = setUp({}, store => ({
      ...store,
      async putGrant(step) {
        await meanwhile.end?.()
        await store.putGrant(step)
      },
    }))
    const { userId = '' } = await accessOf(fixture)
    meanwhile.end = () => end(fixture, userId)
    expect(await outcome(await present(fixture, idJag()))).toBe('400 invalid_grant')
    expect(await fixture.server.admin.listGrants(userId)).toEqual([])
  })

  it('R139, R143: the token can be listed, introspected, and revoked by its client and by an administrator', async () => {
    const apiSecret = 'canary-notes-api-secret-0123456789'
    const fixture = setUp({ resourceServers: [{ id: 'api', secret: apiSecret, resources: [resource] }] })
    const first = await accessOf(fixture)
    const second = await accessOf(fixture)
    const third = await accessOf(fixture)
    const userId = first.userId ?? ''
    const listed = await fixture.server.admin.listGrants(userId)
    expect(listed.map(({ grantId }) => grantId).sort()).toEqual(
      [first, second, third].map(({ grantId }) => grantId).sort(),
    )
    expect(listed[0]).toMatchObject({ clientId: 'agent', clientName: 'Agent', resource, endsAt: now + 900 })
    const introspect = async (token: string) => {
      const body = { token, client_id: 'api', client_secret: apiSecret }
      return (await fixture.post('/oauth/introspect', body)).json()
    }
    expect(await introspect(first.access)).toMatchObject({ active: true, sub: userId, client_id: 'agent' })
    await fixture.revoke(byBasic('reader'), first.access)
    expect(await fixture.isLive(first.access)).toBe(true)
    await fixture.revoke(agent, first.access)
    expect(await introspect(first.access)).toEqual({ active: false })
    await fixture.server.admin.revokeGrant(second.grantId)
    expect(await fixture.isLive(second.access)).toBe(false)
    expect(await fixture.isLive(third.access)).toBe(true)
    expect(await fixture.server.admin.revokeUser(userId)).toBe(1)
    expect(await fixture.isLive(third.access)).toBe(false)
  })

  it('R170: the record of a token ends with the token', async () => {
    const fixture = setUp()
    const { grantId } = await accessOf(fixture)
    fixture.time.now += 900
    expect(await fixture.store.findGrant({ id: grantId, now: fixture.time.now })).toBeUndefined()
  })

  it('R191: what happened is told by ids, and without what the issuer says about the user', async () => {
    const fixture = setUp()
    const { grantId, userId } = await accessOf(fixture)
    expect(fixture.events.filter(({ type }) => type !== 'signing_key_created')).toEqual([
      { type: 'sign_in_succeeded', loginId: idp, userId },
      { type: 'token_issued', grantId, userId, clientIdHash: sha256('agent') },
    ])
  })

  it.each([{}, { assertion: '' }])('R90: without an assertion: invalid_request', async body => {
    const request = { grant_type: jwtBearerGrant, ...body }
    expect(await outcome(await setUp().post('/oauth/token', request, agent.headers))).toBe(
      '400 invalid_request',
    )
  })

  it.each(['findOrPutUser', 'isUserDisabled', 'claimSingleUse', 'putGrant', 'listSigningKeys'] as const)(
    'R92: when the store cannot answer %s, no token is handed out: 503',
    async step => {
      const fixture = setUp({}, store => ({
        ...store,
        [step]: () => Promise.reject(new StoreUnavailableError('down')),
      }))
      const response = await present(fixture, idJag())
      expect(await outcome(response)).toBe('503 temporarily_unavailable')
      expect(response.headers.get('retry-after')).toBe('1')
    },
  )

  it('the shortest lifetime wins, of the client or of a scope, and the life of the assertion is not one', async () => {
    const fixture = setUp({ scopeLifetimes: { 'notes:write': { accessTokenSeconds: 60 } } })
    expect(await tokenOf(await present(fixture, idJag()))).toMatchObject({ expires_in: 60 })
    const brief = idJag({ claims: { exp: now + 5 } })
    const answer = await present(fixture, brief, { scope: 'notes:read' })
    expect(await tokenOf(answer)).toMatchObject({ expires_in: 900 })
  })
})

describe('R5, R10: enterprise-managed authorization in the metadata', () => {
  const metadata = async (fixture: Fixture) => {
    const response = await fixture.server.handle(
      new Request(`${issuer}/.well-known/oauth-authorization-server`),
    )
    return response!.text()
  }

  it('is announced when an issuer is configured, without naming it', async () => {
    const text = await metadata(setUp())
    const document = JSON.parse(text)
    expect(document.grant_types_supported).toContain(jwtBearerGrant)
    expect(document.authorization_grant_profiles_supported).toEqual([
      'urn:ietf:params:oauth:grant-profile:id-jag',
    ])
    expect(text).not.toContain('idp.example')
  })

  it('is neither announced nor there when none is, and the documents differ in nothing else', async () => {
    const without = createFixture({
      clients: [{ clientId: 'agent', clientSecret: secret, redirectUris: [redirectUri] }],
    })
    expect(await outcome(await present(without, idJag()))).toBe('400 unsupported_grant_type')
    const document = JSON.parse(await metadata(without))
    const { authorization_grant_profiles_supported: _, ...on } = JSON.parse(await metadata(setUp()))
    expect(document).toEqual({
      ...on,
      grant_types_supported: on.grant_types_supported.filter((name: string) => name !== jwtBearerGrant),
    })
  })
})
