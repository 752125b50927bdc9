import { expect } from 'vitest'
import type { ProviderFixtures } from './testing/provider-fixtures.ts'
import { sentBy } from './testing/sent-by.ts'

const accessToken = 'gho_16C7e42F292c6912E7710c838347Ae178B4a'

const userinfo = { login: 'octocat', id: 583_231, name: 'The Octocat', type: 'User' }

const deleted: ProviderFixtures['revocation'] = {
  request(request) {
    expect(request.method).toBe('DELETE')
    expect(request.headers.authorization).toMatch(/^Basic /)
    expect(sentBy(request)).toEqual({ access_token: expect.stringMatching(/^gh[ou]_/) })
  },
  done: { status: 204 },
  gone: [
    { status: 404, body: { message: 'Not Found' } },
    { status: 422, body: { message: 'Validation Failed' } },
  ],
  needsLiveToken: true,
}

/** docs.github.com, "Troubleshooting OAuth app access token request errors" and "Rate limits for the REST API". */
const refusals: ProviderFixtures['refusals'] = [
  {
    errorClass: 'misconfigured',
    body: {
      error: 'incorrect_client_credentials',
      error_description: 'The client_id and/or client_secret passed are incorrect.',
      error_uri: '/apps/managing-oauth-apps/troubleshooting-oauth-app-access-token-request-errors/',
    },
  },
  {
    errorClass: 'misconfigured',
    body: {
      error: 'redirect_uri_mismatch',
      error_description: 'The redirect_uri MUST match the registered callback URL for this application.',
    },
  },
  {
    errorClass: 'consent',
    body: {
      error: 'unverified_user_email',
      error_description: 'The user must have a verified primary email.',
    },
  },
  {
    errorClass: 'unknown',
    body: {
      error: 'bad_verification_code',
      error_description: 'The code passed is incorrect or expired.',
    },
  },
  {
    errorClass: 'rate_limited',
    status: 403,
    headers: { 'retry-after': '60' },
    body: { message: 'You have exceeded a secondary rate limit. Please wait a few minutes.' },
    retryAfterSeconds: 60,
  },
  {
    errorClass: 'rate_limited',
    status: 403,
    headers: { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '1800000120' },
    body: { message: 'API rate limit exceeded.' },
    retryAfterSeconds: 120,
  },
  {
    errorClass: 'rate_limited',
    status: 429,
    headers: { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '1800000045' },
    body: '<h1>Whoa there!</h1>',
    retryAfterSeconds: 45,
  },
  { errorClass: 'transient', status: 502, body: '<title>Unicorn! GitHub</title>' },
  { errorClass: 'transient', status: 503, body: { message: 'Service Unavailable' } },
]

/** An OAuth app: its tokens do not end and there is nothing to refresh. */
export const githubOauthAppFixtures: ProviderFixtures = {
  scopes: ['repo', 'read:user'],
  authorization: { scope: 'repo read:user', code_challenge_method: 'S256', nonce: null },
  tokenRequest: { authentication: 'post', body: 'form' },
  connected: { body: { access_token: accessToken, scope: 'read:user,repo', token_type: 'bearer' } },
  accessToken,
  accessSeconds: 0,
  userinfo,
  identity: { issuer: origin => origin, subject: '583231' },
  narrower: { body: { access_token: accessToken, scope: 'repo', token_type: 'bearer' } },
  refusals,
  denied: 'access_denied',
  revocation: deleted,
}

const { narrower: _, ...common } = githubOauthAppFixtures

/** A GitHub App whose user tokens expire; it has no scopes. */
export const githubAppFixtures: ProviderFixtures = {
  ...common,
  scopes: [],
  authorization: { scope: null, code_challenge_method: 'S256', nonce: null },
  connected: {
    body: {
      access_token: 'ghu_16C7e42F292c6912E7710c838347Ae178B4a',
      expires_in: 28_800,
      refresh_token: 'ghr_1B4a2e77838347a7E420ce178F2E7c6912E169246',
      refresh_token_expires_in: 15_811_200,
      scope: '',
      token_type: 'bearer',
    },
  },
  accessToken: 'ghu_16C7e42F292c6912E7710c838347Ae178B4a',
  refreshToken: 'ghr_1B4a2e77838347a7E420ce178F2E7c6912E169246',
  accessSeconds: 28_800,
  refreshed: {
    reply: {
      body: {
        access_token: 'ghu_second',
        expires_in: 28_800,
        refresh_token: 'ghr_second',
        refresh_token_expires_in: 15_811_200,
        scope: '',
        token_type: 'bearer',
      },
    },
    accessToken: 'ghu_second',
    refreshToken: 'ghr_second',
  },
  refusals: [
    {
      errorClass: 'dead',
      body: {
        error: 'bad_refresh_token',
        error_description: 'The refresh token passed is incorrect or expired.',
      },
    },
    ...refusals,
  ],
}
