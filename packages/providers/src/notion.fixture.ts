import { expect } from 'vitest'
import type { ProviderFixtures } from './testing/provider-fixtures.ts'
import { sentBy } from './testing/sent-by.ts'

const accessToken = 'ntn_canary-notion-access'
const refreshToken = 'nrt_canary-notion-refresh'

const reply = {
  access_token: accessToken,
  token_type: 'bearer',
  refresh_token: refreshToken,
  bot_id: 'b3414d65-1224-5ab7-6ffc-cc9d8773d288',
  workspace_icon: null,
  workspace_name: "Ada's Notion",
  workspace_id: '8d3f2b04-2882-4a61-bc95-aa9d9c36f7b1',
  owner: {
    type: 'user',
    user: { object: 'user', id: '6794760a-1f15-45cd-9c65-0dfe42f5135a', name: 'Ada', type: 'person' },
  },
  duplicated_template_id: null,
  request_id: 'a1f3c1d2-0000-4000-8000-000000000001',
}

/** An error of the API, in Notion's own shape. */
const apiError = (status: number, code: string) => ({
  status,
  body: { object: 'error', status, code, message: 'Words of the service.' },
})

/** developers.notion.com: authorization, create-a-token, refresh-a-token, revoke-token, status-codes. */
export const notionFixtures: ProviderFixtures = {
  scopes: [],
  authorization: { owner: 'user', scope: null, code_challenge: null, nonce: null },
  tokenRequest: { authentication: 'basic', body: 'json' },
  connected: { body: reply },
  accessToken,
  refreshToken,
  accessSeconds: 0,
  identity: {
    issuer: origin => origin,
    subject: '8d3f2b04-2882-4a61-bc95-aa9d9c36f7b1:6794760a-1f15-45cd-9c65-0dfe42f5135a',
  },
  refreshed: {
    reply: { body: { ...reply, access_token: 'ntn_second', refresh_token: 'nrt_second' } },
    accessToken: 'ntn_second',
    refreshToken: 'nrt_second',
  },
  refusals: [
    {
      errorClass: 'dead',
      status: 400,
      body: { error: 'invalid_grant', error_description: 'Token has been expired or revoked.' },
    },
    { errorClass: 'misconfigured', status: 401, body: { error: 'invalid_client' } },
    { errorClass: 'misconfigured', ...apiError(401, 'unauthorized') },
    { errorClass: 'misconfigured', ...apiError(400, 'missing_version') },
    { errorClass: 'unknown', ...apiError(400, 'validation_error') },
    { errorClass: 'transient', ...apiError(409, 'conflict_error') },
    { errorClass: 'transient', ...apiError(500, 'internal_server_error') },
    { errorClass: 'transient', ...apiError(503, 'service_unavailable') },
    {
      errorClass: 'rate_limited',
      ...apiError(429, 'rate_limited'),
      headers: { 'retry-after': '5' },
      retryAfterSeconds: 5,
    },
  ],
  denied: 'access_denied',
  revocation: {
    request(request) {
      expect(request.method).toBe('POST')
      expect(request.headers.authorization).toMatch(/^Basic /)
      expect(request.headers['notion-version']).toMatch(/^\d{4}-\d{2}-\d{2}$/)
      expect(sentBy(request)).toEqual({ token: accessToken })
    },
    done: { body: { request_id: 'a1f3c1d2-0000-4000-8000-000000000002' } },
    gone: [{ status: 400, body: { error: 'invalid_grant' } }],
  },
}
