import {
  createFixture,
  type Fixture,
  jwtKey,
  issuer as ownIssuer,
  redirectUri,
  resource,
  type TestClient,
} from '../authorization-server.fixture.ts'
import type { ConfiguredClient } from '../clients/client.ts'
import { createTestKey, signJws, type TestKey } from '../clients/client-assertion.fixture.ts'
import type { EnterpriseIssuer } from './enterprise-issuers.ts'

/** An identity provider of an enterprise, assertions made with its key, and a server that trusts it. */

export const idp = 'https://acme.idp.example'
export const idpKey: TestKey = createTestKey('idp-key')
export const enterpriseIssuer: EnterpriseIssuer = { issuer: idp, jwks: { keys: [idpKey.publicJwk] } }
export const jwtBearerGrant = 'urn:ietf:params:oauth:grant-type:jwt-bearer'

let counter = 0

/** A good assertion for the client; `claims` and `header` replace or, undefined, remove members. */
export function signIdJag(assertion: {
  clientId: string
  now: number
  key?: TestKey
  claims?: Record<string, unknown>
  header?: Record<string, unknown>
}): string {
  const { clientId, now, key = idpKey, claims, header } = assertion
  return signJws(
    key.privateKey,
    { alg: 'ES256', kid: key.publicJwk.kid, typ: 'oauth-id-jag+jwt', ...header },
    {
      iss: idp,
      sub: 'canary-subject-U0194',
      aud: ownIssuer,
      client_id: clientId,
      jti: `id-jag-${counter++}`,
      iat: now,
      exp: now + 300,
      resource,
      scope: 'notes:read notes:write',
      email: 'canary@acme.example',
      ...claims,
    },
  )
}

export const secret = 'canary-agent-secret-0123456789'
const enterprise = { grantTypes: [jwtBearerGrant] }
export const clients: readonly ConfiguredClient[] = [
  { clientId: 'agent', clientSecret: secret, clientName: 'Agent', ...enterprise },
  {
    clientId: 'agent-post',
    clientSecret: secret,
    tokenEndpointAuthMethod: 'client_secret_post',
    ...enterprise,
  },
  { clientId: 'agent-jwt', jwks: { keys: [jwtKey.publicJwk] }, ...enterprise },
  { clientId: 'reader', clientSecret: secret, scopes: ['notes:read'], ...enterprise },
  { clientId: 'without', clientSecret: secret, redirectUris: [redirectUri] },
]
export const byBasic = (clientId: string, password: string = secret): TestClient => ({
  name: 'client_secret_basic',
  clientId,
  headers: { Authorization: `Basic ${Buffer.from(`${clientId}:${password}`).toString('base64')}` },
  body: {},
})
export const agent: TestClient = byBasic('agent')

/** The clock of the fixture, where it stands still. */
export const now = 1_800_000_000

export const setUp = (...[options, wrap]: Parameters<typeof createFixture>): Fixture =>
  createFixture({ clients, enterpriseIssuers: [enterpriseIssuer], ...options }, wrap)

export type Change = Omit<Partial<Parameters<typeof signIdJag>[0]>, 'clientId'>
export const idJag = (change: Change = {}, clientId = 'agent'): string =>
  signIdJag({ clientId, now, ...change })

export const present = (
  fixture: Fixture,
  assertion: string,
  body: Readonly<Record<string, string>> = {},
  client: TestClient = agent,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> =>
  fixture.post(
    '/oauth/token',
    { grant_type: jwtBearerGrant, assertion, ...client.body, ...body },
    { ...client.headers, ...headers },
  )

/** Registers a client, and answers what it was told. */
export async function register(fixture: Fixture, body: object): Promise<Record<string, string>> {
  const response = await fixture.server.handle(
    new Request(`${ownIssuer}/oauth/register`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({
        redirect_uris: [redirectUri],
        grant_types: ['authorization_code', jwtBearerGrant],
        ...body,
      }),
    }),
  )
  return (await response!.json()) as Record<string, string>
}

/** What the operator is told was wrong, in order. */
export const problems = (fixture: Fixture): string[] =>
  fixture.events.flatMap(event => (event.type === 'sign_in_failed' ? [event.errorClass ?? event.reason] : []))
