import { describe, expect, it } from 'vitest'
import { outcome } from '../authorization-server.fixture.ts'
import { createTestKey } from '../clients/client-assertion.fixture.ts'
import type { DocumentAnswer } from '../clients/document-fetch.ts'
import { OAuthError } from '../errors.ts'
import { createMemoryStore } from '../storage/memory-store.ts'
import { checkEnterpriseIssuers, type EnterpriseIssuer } from './enterprise-issuers.ts'
import { idJag, idp, idpKey, now, present, problems, setUp } from './identity-assertion.fixture.ts'
import { createIdentityAssertions } from './identity-assertion.ts'
import { createIssuerKeys } from './issuer-keys.ts'

const jwksUri = `${idp}/keys`
const discoveryUrl = `${idp}/.well-known/openid-configuration`
const answer = (document: object): DocumentAnswer => ({
  outcome: 'fetched',
  body: JSON.stringify(document),
  cacheControl: '',
  ageSeconds: 0,
})

/** An issuer whose documents the test serves. */
function serve(issuer: EnterpriseIssuer = { issuer: idp }) {
  const time = { now }
  const fetched: string[] = []
  const documents = new Map<string, DocumentAnswer>([
    [discoveryUrl, answer({ issuer: idp, jwks_uri: jwksUri, scopes_supported: ['openid'] })],
    [jwksUri, answer({ keys: [idpKey.publicJwk] })],
  ])
  const keys = createIssuerKeys({
    clock: () => time.now,
    allowLoopback: false,
    fetchDocument: async url => {
      fetched.push(url)
      const found = documents.get(url)
      if (!found) throw new Error('canary: down')
      return found
    },
  })
  const trusted = checkEnterpriseIssuers([issuer], {
    issuer: 'https://mcp.example.com',
    scopes: [],
    clients: [],
  })
  const find = (keyId = 'idp-key') =>
    keys(trusted.get(issuer.issuer)!, { keyId, algorithm: 'ES256' }).then(
      found => found.length,
      error => (error instanceof OAuthError ? `${error.status} ${error.description}` : error),
    )
  const verifier = createIdentityAssertions({
    issuer: 'https://mcp.example.com',
    trusted,
    store: createMemoryStore(),
    keys,
    clock: () => time.now,
    random: size => new Uint8Array(size),
  })
  return { time, fetched, documents, keys, find, verifier }
}
const unavailable = '503 The keys of the issuer could not be read. Try again in a moment.'

describe('keys of an issuer', () => {
  it('R121: are those its discovery document names, read once an hour', async () => {
    const { time, fetched, find } = serve()
    expect([await find(), await find()]).toEqual([1, 1])
    expect(fetched).toEqual([discoveryUrl, jwksUri])
    time.now += 3600
    expect(await find()).toBe(1)
    expect(fetched).toEqual([discoveryUrl, jwksUri, discoveryUrl, jwksUri])
  })

  it('R121: are those of the configured URL, and no discovery document is read then', async () => {
    const { fetched, find } = serve({ issuer: idp, jwksUri })
    expect(await find()).toBe(1)
    expect(fetched).toEqual([jwksUri])
  })

  it.each([
    ['another issuer', { issuer: 'https://evil.example', jwks_uri: jwksUri }],
    ['the issuer with a slash', { issuer: `${idp}/`, jwks_uri: jwksUri }],
    ['no issuer', { jwks_uri: jwksUri }],
    ['no keys', { issuer: idp }],
    ['keys that come unprotected', { issuer: idp, jwks_uri: 'http://acme.idp.example/keys' }],
    ['keys on this machine', { issuer: idp, jwks_uri: 'https://localhost:3000/keys' }],
    ['keys on an odd port', { issuer: idp, jwks_uri: 'https://acme.idp.example:6379/keys' }],
  ])('R121, R31: a discovery document with %s is none', async (_, document) => {
    const { documents, fetched, find } = serve()
    documents.set(discoveryUrl, answer(document))
    expect(await find()).toBe(unavailable)
    expect(fetched).toEqual([discoveryUrl])
  })

  it('R121: an issuer that is not trusted causes no request, and neither does what can be seen without a key', async () => {
    const { fetched, verifier } = serve()
    for (const claims of [
      { iss: 'https://evil.example' },
      { iss: `${idp}.evil.example` },
      { aud: 'https://evil.example' },
      { exp: now - 61 },
      { cnf: { jkt: 'x' } },
    ]) {
      expect(await verifier.verify(idJag({ claims }), 'agent')).toMatchObject({ outcome: 'refused' })
    }
    expect(await verifier.verify(idJag(), 'another')).toMatchObject({ outcome: 'refused', problem: 'client' })
    expect(fetched).toEqual([])
    expect(await verifier.verify(idJag(), 'agent')).toMatchObject({ outcome: 'verified' })
    expect(fetched).toEqual([discoveryUrl, jwksUri])
  })

  it('R129: a thousand keys nobody knows cause one request in thirty seconds', async () => {
    const { time, fetched, find } = serve()
    expect(await find()).toBe(1)
    fetched.length = 0
    for (let i = 0; i < 1000; i++) expect(await find(`unknown-${i}`)).toBe(0)
    expect(fetched).toEqual([])
    time.now += 30
    for (let i = 0; i < 1000; i++) expect(await find(`unknown-${i}`)).toBe(0)
    expect(fetched).toEqual([jwksUri])
  })

  it('R129: a key that is new is found after the cooldown, without a restart', async () => {
    const { time, documents, find } = serve()
    await find()
    documents.set(jwksUri, answer({ keys: [idpKey.publicJwk, createTestKey('next').publicJwk] }))
    expect(await find('next')).toBe(0)
    time.now += 30
    expect(await find('next')).toBe(1)
  })

  it('R129: an issuer that does not answer is asked once in thirty seconds, and then found', async () => {
    const { time, documents, fetched, find } = serve()
    const document = documents.get(discoveryUrl)!
    documents.delete(discoveryUrl)
    for (let i = 0; i < 100; i++) expect(await find()).toBe(unavailable)
    expect(fetched).toEqual([discoveryUrl])
    documents.set(discoveryUrl, document)
    time.now += 30
    expect(await find()).toBe(1)
  })

  it('R129: so is one whose keys are configured by URL, and nobody waits for what just failed', async () => {
    const { time, documents, fetched, find } = serve({ issuer: idp, jwksUri })
    const document = documents.get(jwksUri)!
    documents.delete(jwksUri)
    for (let i = 0; i < 100; i++) expect(await find()).toBe(unavailable)
    expect(fetched).toEqual([jwksUri])
    documents.set(jwksUri, document)
    time.now += 30
    expect(await find()).toBe(1)
  })

  it('twenty issuers at one host are all found at once, after a restart', async () => {
    const { documents, keys } = serve()
    const issuers = Array.from({ length: 20 }, (_, index) => `${idp}/realms/${index}`)
    for (const issuer of issuers) {
      const document = { issuer, jwks_uri: `${issuer}/keys` }
      documents.set(`${issuer}/.well-known/openid-configuration`, answer(document))
      documents.set(`${issuer}/keys`, answer({ keys: [idpKey.publicJwk] }))
    }
    const found = await Promise.all(
      issuers.map(issuer => keys({ issuer, keys: undefined }, { keyId: 'idp-key', algorithm: 'ES256' })),
    )
    expect(found.map(({ length }) => length)).toEqual(issuers.map(() => 1))
  })

  it('an issuer that is down keeps its keys for a day', async () => {
    const { time, documents, find } = serve()
    await find()
    documents.clear()
    time.now += 3600
    expect(await find()).toBe(1)
    time.now += 86_400
    expect(await find()).toBe(unavailable)
  })

  it('R189: who brings an assertion hears that it is a matter of time, and the operator which issuer it is', async () => {
    // Where the fetch guard lets nobody go.
    const issuer = 'https://127.0.0.1'
    const fixture = setUp({ enterpriseIssuers: [{ issuer }] })
    const response = await present(fixture, idJag({ claims: { iss: issuer } }))
    expect(response.headers.get('retry-after')).toBe('1')
    expect(await outcome(response)).toBe('503 temporarily_unavailable')
    expect(problems(fixture)).toEqual(['unavailable'])
    expect(fixture.events).toContainEqual(expect.objectContaining({ loginId: issuer, reason: 'unavailable' }))
  })
})
