import { expect } from 'vitest'
import type { ProviderFixtures } from './testing/provider-fixtures.ts'

const calendar = 'https://www.googleapis.com/auth/calendar.readonly'
const accessToken = 'ya29.a0ARrdaM-canary-access'
const refreshToken = '1//0canary-refresh-token'

/** developers.google.com/identity/protocols/oauth2/web-server */
export const googleFixtures: ProviderFixtures = {
  scopes: [calendar],
  authorization: {
    scope: `openid profile ${calendar}`,
    access_type: 'offline',
    include_granted_scopes: 'true',
    prompt: null,
    code_challenge_method: 'S256',
  },
  tokenRequest: { authentication: 'post', body: 'form' },
  connected: {
    body: {
      access_token: accessToken,
      expires_in: 3599,
      refresh_token: refreshToken,
      scope: `openid https://www.googleapis.com/auth/userinfo.profile ${calendar}`,
      token_type: 'Bearer',
      id_token: '',
    },
  },
  accessToken,
  refreshToken,
  accessSeconds: 3599,
  claims: () => ({ sub: '110248495921238986420' }),
  identity: { issuer: origin => origin, subject: '110248495921238986420' },
  narrower: {
    body: {
      access_token: accessToken,
      expires_in: 3599,
      refresh_token: refreshToken,
      scope: 'openid https://www.googleapis.com/auth/userinfo.profile',
      token_type: 'Bearer',
      id_token: '',
    },
  },
  // Not rotated, and not repeated.
  refreshed: {
    reply: {
      body: {
        access_token: 'ya29.a0-second',
        expires_in: 3599,
        scope: `openid https://www.googleapis.com/auth/userinfo.profile ${calendar}`,
        token_type: 'Bearer',
      },
    },
    accessToken: 'ya29.a0-second',
    refreshToken,
  },
  refusals: [
    {
      errorClass: 'dead',
      status: 400,
      body: { error: 'invalid_grant', error_description: 'Token has been expired or revoked.' },
    },
    {
      errorClass: 'dead',
      status: 400,
      body: { error: 'admin_policy_enforced', error_description: 'Access blocked by admin policy.' },
    },
    {
      errorClass: 'consent',
      status: 400,
      body: {
        error: 'invalid_grant',
        error_description: 'reauth related error (invalid_rapt)',
        error_subtype: 'invalid_rapt',
      },
    },
    {
      errorClass: 'misconfigured',
      status: 401,
      body: { error: 'invalid_client', error_description: 'The OAuth client was not found.' },
    },
    {
      errorClass: 'misconfigured',
      status: 401,
      body: { error: 'deleted_client', error_description: 'The OAuth client was deleted.' },
    },
    { errorClass: 'misconfigured', status: 401, body: { error: 'unauthorized_client' } },
    {
      errorClass: 'rate_limited',
      status: 403,
      body: { error: 'rate_limit_exceeded', error_description: 'Rate Limit Exceeded' },
    },
    {
      errorClass: 'rate_limited',
      status: 429,
      headers: { 'retry-after': '17' },
      body: { error: 'rate_limit_exceeded' },
      retryAfterSeconds: 17,
    },
    { errorClass: 'transient', status: 500, body: { error: 'internal_failure' } },
    { errorClass: 'transient', status: 503, body: '<h1>Service Unavailable</h1>' },
  ],
  denied: 'access_denied',
  revocation: {
    request(request) {
      expect(request.method).toBe('POST')
      expect(Object.fromEntries(request.form)).toEqual({ token: refreshToken })
      expect(request.headers.authorization).toBeUndefined()
    },
    done: { status: 200, body: {} },
    gone: [{ status: 400, body: { error: 'invalid_token', error_description: 'Token expired or revoked' } }],
  },
}
