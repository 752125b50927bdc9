import { expect } from 'vitest'
import type { ProviderFixtures } from './testing/provider-fixtures.ts'

const accessToken = 'AQXcanary-linkedin-access'
const refreshToken = 'AQTcanary-linkedin-refresh'

const reply = {
  access_token: accessToken,
  expires_in: 5_183_999,
  scope: 'openid,profile,w_member_social',
  token_type: 'Bearer',
  id_token: '',
}

/** learn.microsoft.com/linkedin/shared/authentication: an application without refresh tokens, as most are. */
export const linkedinFixtures: ProviderFixtures = {
  scopes: ['w_member_social'],
  authorization: {
    scope: 'openid profile w_member_social',
    code_challenge: null,
    code_challenge_method: null,
    nonce: null,
  },
  tokenRequest: { authentication: 'post', body: 'form' },
  connected: { body: reply },
  accessToken,
  accessSeconds: 5_183_999,
  // Until 2024 the issuer had no path; no nonce is ever echoed.
  claims: () => ({ sub: '782bbtaQ', email_verified: 'true' }),
  identity: { issuer: origin => origin, subject: '782bbtaQ' },
  narrower: { body: { ...reply, scope: 'openid,profile' } },
  refusals: [
    {
      errorClass: 'dead',
      status: 400,
      body: {
        error: 'invalid_request',
        error_description: 'The provided authorization grant or refresh token is invalid, expired or revoked',
      },
    },
    { errorClass: 'dead', status: 400, body: { error: 'invalid_grant' } },
    {
      errorClass: 'unknown',
      status: 400,
      body: {
        error: 'invalid_request',
        error_description: 'A required parameter "redirect_uri" is missing',
      },
    },
    {
      errorClass: 'misconfigured',
      status: 401,
      body: { error: 'invalid_client', error_description: 'Client authentication failed' },
    },
    {
      errorClass: 'rate_limited',
      status: 429,
      headers: { 'retry-after': '60' },
      body: {
        status: 429,
        serviceErrorCode: 101,
        message: 'Resource level throttle limit for calls to this resource is reached.',
      },
      retryAfterSeconds: 60,
    },
    { errorClass: 'transient', status: 500, body: { status: 500, message: 'Internal Server Error' } },
    { errorClass: 'transient', status: 504, body: '<h1>Gateway Timeout</h1>' },
  ],
  denied: 'user_cancelled_authorize',
  revocation: {
    request(request) {
      expect(Object.fromEntries(request.form)).toMatchObject({
        token: accessToken,
        client_id: expect.any(String),
        client_secret: expect.any(String),
      })
    },
    done: { status: 200 },
    gone: [],
  },
}

/** An approved partner: the refresh token is good for a year from the first grant, and stays the same. */
export const linkedinPartnerFixtures: ProviderFixtures = {
  ...linkedinFixtures,
  connected: {
    body: { ...reply, refresh_token: refreshToken, refresh_token_expires_in: 31_536_000 },
  },
  refreshToken,
  refreshed: {
    reply: {
      body: {
        ...reply,
        access_token: 'AQX-second',
        refresh_token: refreshToken,
        refresh_token_expires_in: 26_352_001,
      },
    },
    accessToken: 'AQX-second',
    refreshToken,
  },
  narrower: {
    body: { ...reply, scope: 'openid,profile', refresh_token: refreshToken },
  },
}
