import { expect } from 'vitest'
import type { ProviderFixtures } from './testing/provider-fixtures.ts'
import { sentBy } from './testing/sent-by.ts'

const accessToken = 'canary-generic-access'
const refreshToken = 'canary-generic-refresh'

/** RFC 6749 §5.2, OpenID Connect Core §3.1.2.6. */
const refusals: ProviderFixtures['refusals'] = [
  { errorClass: 'dead', status: 400, body: { error: 'invalid_grant' } },
  { errorClass: 'consent', status: 400, body: { error: 'interaction_required' } },
  { errorClass: 'misconfigured', status: 401, body: { error: 'invalid_client' } },
  { errorClass: 'unknown', status: 400, body: { error: 'invalid_request' } },
  {
    errorClass: 'rate_limited',
    status: 429,
    // RFC 9110 §10.2.3: 30 seconds after 1 800 000 000.
    headers: { 'retry-after': 'Fri, 15 Jan 2027 08:00:30 GMT' },
    retryAfterSeconds: 30,
  },
  { errorClass: 'transient', status: 400, body: { error: 'temporarily_unavailable' } },
  { errorClass: 'transient', status: 500, body: '' },
]

/** Any provider with a discovery document, by the standards' own examples. */
export const oidcFixtures: ProviderFixtures = {
  scopes: ['files'],
  authorization: { scope: 'openid profile files offline_access', code_challenge_method: 'S256' },
  tokenRequest: { authentication: 'basic', body: 'form' },
  connected: {
    body: {
      access_token: accessToken,
      token_type: 'Bearer',
      refresh_token: refreshToken,
      expires_in: 3600,
      id_token: '',
    },
  },
  accessToken,
  refreshToken,
  accessSeconds: 3600,
  claims: () => ({ sub: '24400320' }),
  identity: { issuer: origin => origin, subject: '24400320' },
  discovery: origin => ({
    issuer: origin,
    authorization_endpoint: `${origin}/authorize`,
    token_endpoint: `${origin}/token`,
    revocation_endpoint: `${origin}/revoke`,
    jwks_uri: `${origin}/jwks`,
    scopes_supported: ['openid', 'profile', 'offline_access'],
  }),
  narrower: {
    body: {
      access_token: accessToken,
      token_type: 'Bearer',
      refresh_token: refreshToken,
      expires_in: 3600,
      scope: 'openid profile',
      id_token: '',
    },
  },
  refreshed: {
    reply: { body: { access_token: 'second', token_type: 'Bearer', refresh_token: 'r2', expires_in: 60 } },
    accessToken: 'second',
    refreshToken: 'r2',
  },
  refusals,
  denied: 'access_denied',
  revocation: {
    request(request) {
      expect(request.headers.authorization).toMatch(/^Basic /)
      expect(Object.fromEntries(request.form)).toEqual({ token: refreshToken })
    },
    done: { status: 200 },
    gone: [],
  },
}

/** A provider that does everything otherwise, as far as `oauth2` has an option for it. */
export const oddFixtures: ProviderFixtures = {
  scopes: ['a', 'b'],
  authorization: { permissions: 'me,a,b', scope: null, code_challenge: null, audience: 'api' },
  tokenRequest: { authentication: 'post', body: 'json' },
  connected: {
    body: {
      data: {
        access_token: accessToken,
        refresh_token: refreshToken,
        expires_in: 30,
        scope: 'me,a,b',
      },
      account: { id: 17 },
    },
  },
  accessToken,
  refreshToken,
  // In minutes.
  accessSeconds: 1800,
  identity: { issuer: origin => `${origin}/token`, subject: '17' },
  narrower: {
    body: {
      data: { access_token: accessToken, refresh_token: refreshToken, expires_in: 30, scope: 'me,a' },
      account: { id: 17 },
    },
  },
  refreshed: {
    reply: {
      body: {
        data: { access_token: 'second', refresh_token: 'r2', expires_in: 30 },
        account: { id: 17 },
      },
    },
    accessToken: 'second',
    refreshToken: 'r2',
  },
  refusals: [
    ...refusals,
    { errorClass: 'dead', body: { ok: false, error: 'grant_gone' } },
    { errorClass: 'transient', body: { error: 'try_again' } },
    { errorClass: 'unknown', body: { ok: false } },
  ],
  denied: 'declined',
  revocation: {
    request(request) {
      expect(request.method).toBe('DELETE')
      expect(sentBy(request)).toEqual({ access_token: accessToken })
    },
    done: { status: 204 },
    gone: [{ status: 410 }],
  },
}
