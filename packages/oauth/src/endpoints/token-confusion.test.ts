import { describe, expect, it } from 'vitest'
import {
  createFixture,
  type Fixture,
  issuer,
  jwtClient,
  jwtKey,
  outcome,
  publicClient,
  redirectUri,
  resource,
  ringSecret,
} from '../authorization-server.fixture.ts'
import { assertionType, signAssertion } from '../clients/client-assertion.fixture.ts'
import { idp, jwtBearerGrant, signIdJag } from '../grants/identity-assertion.fixture.ts'
import { createSealer } from '../keys/sealer.ts'
import { createSecretRing } from '../keys/secret-ring.ts'
import { createSigningKeys } from '../keys/signing-keys.ts'
import { systemRandom } from '../runtime.ts'

/** Every kind of credential in every slot: it opens the one it was made for, and no other (R119). */

const secret = 'canary-notes-api-secret-0123456789'
const clients = [
  {
    clientId: 'jwt',
    redirectUris: [redirectUri],
    jwks: { keys: [jwtKey.publicJwk] },
    grantTypes: ['authorization_code', 'refresh_token', 'client_credentials', jwtBearerGrant],
    scopes: ['notes:read', 'notes:write'],
  },
  { clientId: 'public', redirectUris: [redirectUri] },
]
// The key of the issuer is that of the client: only what the JWT is for tells them apart.
const enterpriseIssuers = [{ issuer: idp, jwks: { keys: [jwtKey.publicJwk] } }]
const setUp = () =>
  createFixture({
    clients,
    enterpriseIssuers,
    resourceServers: [{ id: 'api', secret, resources: [resource] }],
  })

/** A JWT of another type, signed by the key that signs access tokens, for the client's own id. */
const signedByUs = async (fixture: Fixture, typ: string) => {
  const sealer = createSealer(createSecretRing([ringSecret]), systemRandom)
  const clock = () => fixture.time.now
  const keys = createSigningKeys({ store: fixture.store, sealer, algorithm: 'ES256', clock })
  const { signJwt } = await keys.active()
  const { grantId } = await fixture.session(jwtClient)
  const times = { iat: clock(), exp: clock() + 300 }
  return signJwt(
    {
      iss: issuer,
      sub: 'user-1',
      aud: resource,
      client_id: 'jwt',
      scope: '',
      jti: typ,
      sid: grantId,
      ...times,
    },
    { typ },
  )
}
const kinds: Record<string, (fixture: Fixture) => Promise<string>> = {
  'access token': async fixture => (await fixture.session(jwtClient)).access,
  'opaque access token': async ({ store, time }) => {
    const opaque = createFixture({
      clients,
      enterpriseIssuers,
      store,
      clock: () => time.now,
      accessTokenFormat: 'opaque',
    })
    return (await opaque.session(jwtClient)).access
  },
  'access token of a client': async fixture => {
    const body = { grant_type: 'client_credentials', ...jwtClient.body }
    const answer = (await (await fixture.post('/oauth/token', body)).json()) as Record<string, string>
    return answer.access_token!
  },
  'refresh token': async fixture => (await fixture.session(jwtClient)).refresh,
  'authorization code': async fixture => (await fixture.placeCode(jwtClient)).code,
  'client assertion': async fixture =>
    signAssertion({ clientId: 'jwt', key: jwtKey, audience: issuer, now: fixture.time.now }),
  'client assertion for the resource': async fixture =>
    signAssertion({ clientId: 'jwt', key: jwtKey, audience: resource, now: fixture.time.now }),
  'ID token': fixture => signedByUs(fixture, 'JWT'),
  'ID-JAG': async fixture => signIdJag({ clientId: 'jwt', key: jwtKey, now: fixture.time.now }),
  'ID-JAG by this server': fixture => signedByUs(fixture, 'oauth-id-jag+jwt'),
  'ID token of the issuer': async fixture =>
    signIdJag({ clientId: 'jwt', key: jwtKey, now: fixture.time.now, header: { typ: 'JWT' } }),
  'access token of the issuer': async fixture =>
    signIdJag({ clientId: 'jwt', key: jwtKey, now: fixture.time.now, header: { typ: 'at+jwt' } }),
  'DPoP proof': fixture => signedByUs(fixture, 'dpop+jwt'),
}

interface Slot {
  name: string
  /** What belongs into it. */
  takes: readonly string[]
  /** Whether the credential was taken. */
  present(fixture: Fixture, credential: string): Promise<boolean>
}
const slots: readonly Slot[] = [
  {
    name: 'bearer token',
    takes: ['access token', 'opaque access token', 'access token of a client'],
    present: (fixture, credential) => fixture.isLive(credential),
  },
  {
    name: 'token at introspection',
    takes: ['access token', 'opaque access token', 'access token of a client'],
    present: async (fixture, token) => {
      const body = { token, client_id: 'api', client_secret: secret }
      return (await (await fixture.post('/oauth/introspect', body)).text()) !== '{"active":false}'
    },
  },
  {
    name: 'client assertion',
    takes: ['client assertion'],
    present: async (fixture, credential) => {
      const response = await fixture.post('/oauth/token', {
        grant_type: 'client_credentials',
        client_assertion_type: assertionType,
        client_assertion: credential,
      })
      const answer = await outcome(response)
      if (answer !== '200') expect(answer).toBe('401 invalid_client')
      return answer === '200'
    },
  },
  {
    name: 'identity assertion',
    takes: ['ID-JAG'],
    present: async (fixture, assertion) => {
      const body = { grant_type: jwtBearerGrant, assertion, ...jwtClient.body }
      const answer = await outcome(await fixture.post('/oauth/token', body))
      if (answer !== '200') expect(answer).toBe('400 invalid_grant')
      return answer === '200'
    },
  },
  {
    name: 'client secret',
    takes: [],
    present: async (fixture, credential) => {
      const body = { grant_type: 'client_credentials', client_id: 'jwt', client_secret: credential }
      return (await outcome(await fixture.post('/oauth/token', body))) === '200'
    },
  },
  {
    name: 'authorization code',
    takes: ['authorization code'],
    present: async (fixture, credential) =>
      (await outcome(await fixture.redeem(jwtClient, credential))) === '200',
  },
  {
    name: 'refresh token',
    takes: ['refresh token'],
    present: async (fixture, credential) =>
      (await outcome(await fixture.refresh(jwtClient, credential))) === '200',
  },
]

describe('R119: a credential is what it is, and nothing else', () => {
  it.each(
    Object.entries(kinds).flatMap(([kind, make]) =>
      slots.map(slot => [kind, slot.name, slot.takes.includes(kind), make, slot] as const),
    ),
  )('%s as %s: %s', async (_kind, _slot, expected, make, slot) => {
    const fixture = setUp()
    expect(await slot.present(fixture, await make(fixture))).toBe(expected)
  })

  it.each(['ID token', 'ID-JAG', 'DPoP proof', 'client assertion', 'authorization code'])(
    '%s as the token of a revocation ends nothing',
    async kind => {
      const fixture = setUp()
      const credential = await kinds[kind]!(fixture)
      expect((await fixture.revoke(jwtClient, credential)).status).toBe(200)
      expect((await fixture.revoke(publicClient, credential)).status).toBe(200)
      expect(fixture.events.filter(({ type }) => type === 'family_revoked')).toEqual([])
    },
  )
})
