import { describe, expect, it } from 'vitest'
import { createFixture, jwtKey, issuer as own, redirectUri } from '../authorization-server.fixture.ts'
import { ConfigurationError } from '../errors.ts'
import { clients, enterpriseIssuer, idp, jwtBearerGrant, secret } from './identity-assertion.fixture.ts'

const start =
  (change: object, more = {}) =>
  () =>
    createFixture({ clients, enterpriseIssuers: [{ ...enterpriseIssuer, ...change }], ...more })

describe('configured issuers', () => {
  it.each([
    ['keys of their own', {}],
    ['a slash at the end', { issuer: 'https://acme.auth0.example/' }],
    ['a path', { issuer: 'https://idp.example/realms/acme' }],
    ['a port, and keys', { issuer: 'https://idp.example:8443' }],
    ['keys behind a URL', { jwks: undefined, jwksUri: 'https://keys.example/acme' }],
    ['keys to be discovered', { jwks: undefined }],
    [
      'tenants, algorithms, clients and scopes',
      {
        tenants: ['acme'],
        algorithms: ['RS256'],
        clients: ['agent', 'https://client.example/client.json'],
        scopes: ['notes:read'],
      },
    ],
  ])('can have %s', (_, change) => {
    expect(start(change)).not.toThrow()
  })

  it.each<[string, object, RegExp]>([
    ['no issuer', { issuer: undefined }, /issuer that is an https URL/],
    ['an issuer over http', { issuer: 'http://idp.example' }, /issuer that is an https URL/],
    ['an issuer with a query', { issuer: `${idp}?tenant=acme` }, /issuer that is an https URL/],
    ['an issuer in other letters', { issuer: 'https://IDP.example' }, /issuer that is an https URL/],
    ['an issuer with a password', { issuer: 'https://user@idp.example' }, /issuer that is an https URL/],
    ['this server itself', { issuer: own }, /is this server itself/],
    ['keys twice', { jwksUri: 'https://keys.example/acme' }, /jwks and jwksUri/],
    ['keys over http', { jwks: undefined, jwksUri: 'http://keys.example' }, /jwksUri that is an https URL/],
    ['a port, and no keys', { jwks: undefined, issuer: 'https://idp.example:8443' }, /has a port/],
    ['no key', { jwks: { keys: [] } }, /public keys only/],
    ['a private key', { jwks: { keys: [{ ...jwtKey.publicJwk, d: 'canary' }] } }, /public keys only/],
    ['a shared key', { jwks: { keys: [{ kty: 'oct', k: 'canary' }] } }, /public keys only/],
    ['a shared algorithm', { algorithms: ['HS256'] }, /algorithms ES256, EdDSA, PS256, RS256 only/],
    ['no algorithm', { algorithms: [] }, /empty list of algorithms/],
    ['a tenant that is no text', { tenants: [1] }, /tenants to be a list of strings/],
    ['no tenant', { tenants: [] }, /empty list of tenants/],
    ['no client', { clients: [] }, /empty list of clients/],
    ['a client that may not use it', { clients: ['without'] }, /"without", which may not use its assertions/],
    ['a scope nobody has', { scopes: ['admin'] }, /"admin", which the server does not have/],
    ['a member nobody knows', { jwks_uri: 'https://keys.example' }, /unknown member jwks_uri/],
  ])('with %s stop the server at start', (_, change, words) => {
    expect(start(change)).toThrow(ConfigurationError)
    expect(start(change)).toThrow(words)
    expect(start(change)).toThrow(/^The issuer .+ of the option enterpriseIssuers .+\.$/)
    expect(start(change)).not.toThrow(/canary/)
  })

  it('configured twice stop the server at start', () => {
    expect(start({}, { enterpriseIssuers: [enterpriseIssuer, enterpriseIssuer] })).toThrow(/configured twice/)
  })

  it.each([
    [
      'R127: a public client',
      { clientId: 'x', grantTypes: [jwtBearerGrant] },
      /needs a secret or keys for urn:/,
    ],
    [
      'a client with the grant of users, too, and nowhere to send them',
      { clientId: 'x', clientSecret: secret, grantTypes: [jwtBearerGrant, 'authorization_code'] },
      /redirectUris/,
    ],
  ])('%s stops the server at start', (_, client, words) => {
    expect(start({}, { clients: [client] })).toThrow(words)
  })

  it('a client with the grant, and no issuer to make assertions for it, stops the server at start', () => {
    const client = {
      clientId: 'x',
      clientSecret: secret,
      redirectUris: [redirectUri],
      grantTypes: [jwtBearerGrant],
    }
    expect(() => createFixture({ clients: [client] })).toThrow(
      /name an issuer in the option enterpriseIssuers/,
    )
  })
})
