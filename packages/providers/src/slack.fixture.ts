import { expect } from 'vitest'
import type { ProviderFixtures } from './testing/provider-fixtures.ts'

const accessToken = 'xoxe.xoxp-1-canary-slack-access'
const refreshToken = 'xoxe-1-canary-slack-refresh'

const reply = (scope: string) => ({
  ok: true,
  app_id: 'A0KRD7HC3',
  authed_user: {
    id: 'U1234',
    scope,
    access_token: accessToken,
    token_type: 'user',
    expires_in: 43_200,
    refresh_token: refreshToken,
  },
  team: { id: 'T9TK3CUKW', name: 'Slack Softball Team' },
  enterprise: null,
  is_enterprise_install: false,
})

const refused = (error: string) => ({ body: { ok: false, error } })

/** docs.slack.dev: oauth.v2.access, using-token-rotation, auth.revoke; an app with token rotation. */
export const slackFixtures: ProviderFixtures = {
  scopes: ['channels:read', 'search:read'],
  authorization: {
    user_scope: 'channels:read,search:read',
    scope: null,
    code_challenge: null,
    nonce: null,
  },
  tokenRequest: { authentication: 'basic', body: 'form' },
  connected: { body: reply('channels:read,search:read') },
  accessToken,
  refreshToken,
  accessSeconds: 43_200,
  rejected: refused('token_expired'),
  identity: { issuer: origin => origin, subject: 'T9TK3CUKW:U1234' },
  narrower: { body: reply('channels:read') },
  // Unlike the first reply, this one has the user's tokens at the top.
  refreshed: {
    reply: {
      body: {
        ok: true,
        app_id: 'A0KRD7HC3',
        access_token: 'xoxe.xoxp-1-second',
        token_type: 'user',
        scope: 'channels:read,search:read',
        expires_in: 43_200,
        refresh_token: 'xoxe-1-second',
        team: { id: 'T9TK3CUKW', name: 'Slack Softball Team' },
      },
    },
    accessToken: 'xoxe.xoxp-1-second',
    refreshToken: 'xoxe-1-second',
  },
  refusals: [
    { errorClass: 'dead', ...refused('invalid_refresh_token') },
    { errorClass: 'dead', ...refused('token_revoked') },
    { errorClass: 'dead', ...refused('token_expired') },
    { errorClass: 'dead', ...refused('account_inactive') },
    { errorClass: 'consent', ...refused('two_factor_setup_required') },
    { errorClass: 'misconfigured', ...refused('bad_client_secret') },
    { errorClass: 'misconfigured', ...refused('invalid_client_id') },
    { errorClass: 'misconfigured', ...refused('bad_redirect_uri') },
    { errorClass: 'unknown', ...refused('invalid_code') },
    { errorClass: 'transient', ...refused('internal_error') },
    { errorClass: 'transient', ...refused('fatal_error') },
    { errorClass: 'transient', status: 503, body: '' },
    { errorClass: 'rate_limited', ...refused('ratelimited') },
    {
      errorClass: 'rate_limited',
      status: 429,
      headers: { 'retry-after': '30' },
      ...refused('ratelimited'),
      retryAfterSeconds: 30,
    },
  ],
  denied: 'access_denied',
  revocation: {
    request(request) {
      expect(request.method).toBe('POST')
      expect(request.headers.authorization).toBe(`Bearer ${accessToken}`)
      expect(request.body).toBe('')
    },
    done: { body: { ok: true, revoked: true } },
    gone: [refused('token_revoked'), refused('invalid_auth'), refused('account_inactive')],
    needsLiveToken: true,
  },
}
