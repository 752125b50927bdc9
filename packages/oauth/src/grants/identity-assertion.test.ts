import { createHmac } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { issuer, jwtKey, outcome, resource } from '../authorization-server.fixture.ts'
import { createTestKey } from '../clients/client-assertion.fixture.ts'
import {
  type Change,
  enterpriseIssuer,
  idJag,
  idp,
  idpKey,
  now,
  present,
  problems,
  setUp,
} from './identity-assertion.fixture.ts'

describe('an identity assertion (ID-JAG)', () => {
  it.each<[string, Change]>([
    ['an audience in a list', { claims: { aud: [issuer] } }],
    ['no kid: every key is tried', { header: { kid: undefined } }],
    ['the longest life', { claims: { exp: now + 300 } }],
    ['a clock 50 s ahead', { now: now + 50 }],
    ['a clock 50 s behind', { now: now - 50, claims: { exp: now - 20 } }],
    ['an nbf that has come', { claims: { nbf: now } }],
    ['a resource in a list', { claims: { resource: [resource] } }],
    ['a resource as a URL parser writes it', { claims: { resource: resource.replace('mcp.', 'MCP.') } }],
    ['a foreign resource beside ours', { claims: { resource: ['https://other.example/mcp', resource] } }],
    ['claims nobody knows', { claims: { aud_tenant: 'x', act: { sub: 'bot' }, nonce: 1 } }],
  ])('R120, R122, R124: %s is let in', async (_, change) => {
    const fixture = setUp()
    expect(await outcome(await present(fixture, idJag(change)))).toBe('200')
    expect(problems(fixture)).toEqual([])
  })

  const strangerKey = createTestKey('idp-key')
  const hmac = (header: object) => {
    const [, claims] = idJag().split('.')
    const input = `${Buffer.from(JSON.stringify(header)).toString('base64url')}.${claims}`
    const asKey = JSON.stringify(idpKey.publicJwk)
    return `${input}.${createHmac('sha256', asKey).update(input).digest('base64url')}`
  }
  const unsigned = () =>
    `${idJag({ header: { alg: 'none' } })
      .split('.')
      .slice(0, 2)
      .join('.')}.`
  const claim = (name: string, value?: unknown) => () => idJag({ claims: { [name]: value } })
  const head = (name: string, value?: unknown) => () => idJag({ header: { [name]: value } })
  it.each<[string, () => string, string]>([
    ['R120: no typ', head('typ'), 'malformed'],
    ['R120: the typ of any JWT', head('typ', 'JWT'), 'malformed'],
    ['R120: the typ in other letters', head('typ', 'OAuth-ID-JAG+JWT'), 'malformed'],
    ['R120: the typ in full', head('typ', 'application/oauth-id-jag+jwt'), 'malformed'],
    ['R120: alg none', unsigned, 'malformed'],
    ['R120: no signature', () => `${idJag().split('.').slice(0, 2).join('.')}.`, 'signature'],
    ['R120: a shared secret', () => hmac({ alg: 'HS256', typ: 'oauth-id-jag+jwt' }), 'malformed'],
    ['R120: another algorithm than its key', head('alg', 'RS256'), 'signature'],
    ['R120: an algorithm nobody knows', head('alg', 'ES256K'), 'malformed'],
    ['R120: a critical header nobody knows', head('crit', ['x']), 'signature'],
    ['R120: more than 16 KB', claim('padding', 'x'.repeat(16_384)), 'malformed'],
    ['R120: no JWT', () => 'canary', 'malformed'],
    ['R120: nothing but dots', () => '..', 'malformed'],
    ['R121: an unknown issuer', claim('iss', 'https://evil.example'), 'issuer'],
    ['R121: the issuer with a slash', claim('iss', `${idp}/`), 'issuer'],
    ['R121: the issuer in other letters', claim('iss', idp.replace('acme', 'Acme')), 'issuer'],
    ['R121: the issuer with a port', claim('iss', `${idp}:443`), 'issuer'],
    ['R121: this server as issuer', claim('iss', issuer), 'issuer'],
    ['R121: no issuer', claim('iss'), 'malformed'],
    ['R121: a key of somebody else', () => idJag({ key: strangerKey }), 'signature'],
    [
      'R121: a key that it brings along',
      () => idJag({ key: strangerKey, header: { jwk: strangerKey.publicJwk, kid: undefined } }),
      'signature',
    ],
    ['R121: a key of the client', () => idJag({ key: jwtKey }), 'signature'],
    ['R121: an unknown kid', head('kid', 'x'), 'signature'],
    ['R122: two audiences', claim('aud', [issuer, 'https://evil.example']), 'malformed'],
    ['R122: ours twice', claim('aud', [issuer, issuer]), 'malformed'],
    ['R122: an empty list', claim('aud', []), 'malformed'],
    ['R122: another server', claim('aud', 'https://evil.example'), 'audience'],
    ['R122: the resource', claim('aud', resource), 'audience'],
    ['R122: the token endpoint', claim('aud', `${issuer}/oauth/token`), 'audience'],
    ['R122: the issuer with a slash', claim('aud', `${issuer}/`), 'audience'],
    ['R122: no audience', claim('aud'), 'malformed'],
    ['R123: another client', claim('client_id', 'agent-post'), 'client'],
    ['R123: no client', claim('client_id'), 'malformed'],
    ['R124: no jti', claim('jti'), 'malformed'],
    ['R124: an empty jti', claim('jti', ''), 'malformed'],
    ['R124: a jti that is no string', claim('jti', 7), 'malformed'],
    ['R124: no exp', claim('exp'), 'malformed'],
    ['R124: an exp that is no number', claim('exp', String(now + 300)), 'malformed'],
    ['R124: it has ended', claim('exp', now - 61), 'time'],
    ['R124: it lives until 2100', claim('exp', 4_102_444_800), 'time'],
    ['R124: it lives for more than five minutes', claim('exp', now + 361), 'time'],
    ['R124: it lived for more than five minutes', () => idJag({ claims: { iat: now - 600 } }), 'time'],
    ['R124: no iat', claim('iat'), 'malformed'],
    ['R124: an iat that is no number', claim('iat', null), 'malformed'],
    ['R124: it is from the future', () => idJag({ claims: { iat: now + 61 } }), 'time'],
    ['R124: it is not good yet', claim('nbf', now + 61), 'time'],
    ['R124: no sub', claim('sub'), 'malformed'],
    ['R124: an empty sub', claim('sub', ''), 'malformed'],
    ['R124: a sub that is no string', claim('sub', 1), 'malformed'],
    ['R124: no resource', claim('resource'), 'malformed'],
    ['R124: an empty list of resources', claim('resource', []), 'malformed'],
    ['R124: a resource that is no string', claim('resource', { url: resource }), 'malformed'],
    ['R124: an auth_time that is no number', claim('auth_time', 'today'), 'malformed'],
    ['R125: a resource of another server', claim('resource', 'https://evil.example/mcp'), 'resource'],
    ['R125: a resource that looks like ours', claim('resource', `${resource}.evil`), 'resource'],
    ['R126: a key it is bound to', claim('cnf', { jkt: 'x'.repeat(43) }), 'constraint'],
    ['R126: a certificate it is bound to', claim('cnf', { 'x5t#S256': 'x' }), 'constraint'],
    ['R126: a bond that is none', claim('cnf', null), 'constraint'],
    ['R126: authorization details', claim('authorization_details', [{ type: 'x' }]), 'constraint'],
    ['R126: authorization details that say nothing', claim('authorization_details', []), 'constraint'],
    ['R128: a tenant, of an issuer with one', claim('tenant', 'acme'), 'tenant'],
    ['R128: a tenant that is no string', claim('tenant', 1), 'malformed'],
  ])('%s: refused before any write, all alike, and only the operator hears why', async (_, make, problem) => {
    const writes: string[] = []
    const noted = <Value>(name: string, value: Value) => {
      writes.push(name)
      return value
    }
    const fixture = setUp({}, store => ({
      ...store,
      findOrPutUser: step => noted('user', store.findOrPutUser(step)),
      claimSingleUse: step => noted('claim', store.claimSingleUse(step)),
      putGrant: step => noted('grant', store.putGrant(step)),
    }))
    const response = await present(fixture, make())
    expect(response.status).toBe(400)
    expect(await response.json()).toEqual({
      error: 'invalid_grant',
      error_description: 'The assertion is not valid any more, or not for this client.',
    })
    expect(writes).toEqual([])
    expect(problems(fixture)).toEqual([problem])
    expect(JSON.stringify(fixture.events)).not.toContain('canary')
    expect(fixture.events.filter(({ type }) => type === 'token_issued')).toEqual([])
  })

  it('R120: an issuer is held to the algorithms it is configured with', async () => {
    const fixture = setUp({ enterpriseIssuers: [{ ...enterpriseIssuer, algorithms: ['RS256'] }] })
    expect(await outcome(await present(fixture, idJag()))).toBe('400 invalid_grant')
    expect(problems(fixture)).toEqual(['algorithm'])
  })

  it('R121: a key of one issuer makes no assertions of another', async () => {
    const other = { issuer: 'https://other.idp.example', jwks: { keys: [jwtKey.publicJwk] } }
    const fixture = setUp({ enterpriseIssuers: [enterpriseIssuer, other] })
    const claims = { iss: other.issuer }
    expect(await outcome(await present(fixture, idJag({ claims })))).toBe('400 invalid_grant')
    expect(await outcome(await present(fixture, idJag({ claims, key: jwtKey })))).toBe('200')
  })
})
