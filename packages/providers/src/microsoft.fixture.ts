import type { ProviderFixtures, RecordedRefusal } from './testing/provider-fixtures.ts'

export const tenant = '8eaef023-2b34-4da1-9baa-8bc8c9d6a490'
const oid = '690222be-ff1a-4d56-abd1-7e4f7d38e474'
const accessToken = 'EwB4A8l6BAAU-canary-microsoft-access'
const refreshToken = '0.AXEA-canary-microsoft-refresh'

const reply = {
  token_type: 'Bearer',
  scope: 'profile openid https://graph.microsoft.com/Mail.Read https://graph.microsoft.com/User.Read',
  expires_in: 4123,
  ext_expires_in: 4123,
  access_token: accessToken,
  refresh_token: refreshToken,
  id_token: '',
}

function refusal(
  errorClass: RecordedRefusal['errorClass'],
  status: number,
  error: string,
  number: number,
  suberror?: string,
): RecordedRefusal {
  return {
    errorClass,
    status,
    body: {
      error,
      error_description: `AADSTS${number}: Words of the service. Trace ID: 0000aaaa-11bb-cccc-dd22-eeeeee333333`,
      error_codes: [number],
      timestamp: '2026-11-20 02:02:12Z',
      trace_id: '0000aaaa-11bb-cccc-dd22-eeeeee333333',
      correlation_id: 'aaaa0000-bb11-2222-33cc-444444dddddd',
      error_uri: `https://login.microsoftonline.com/error?code=${number}`,
      ...(suberror !== undefined && { suberror }),
    },
  }
}

/** learn.microsoft.com/entra/identity-platform: v2-oauth2-auth-code-flow, reference-error-codes. */
export const microsoftFixtures: ProviderFixtures = {
  // Asked for in the short form of one and the long form of the other.
  scopes: ['mail.read', 'https://graph.microsoft.com/User.Read'],
  authorization: {
    scope: 'openid profile mail.read User.Read offline_access',
    prompt: null,
    code_challenge_method: 'S256',
  },
  tokenRequest: { authentication: 'post', body: 'form' },
  connected: { body: reply },
  accessToken,
  refreshToken,
  accessSeconds: 4123,
  claims: origin => ({ iss: `${origin}/${tenant}/v2.0`, tid: tenant, oid, sub: 'pairwise-subject' }),
  identity: { issuer: origin => `${origin}/${tenant}/v2.0`, subject: oid },
  narrower: { body: { ...reply, scope: 'profile openid https://graph.microsoft.com/User.Read' } },
  refreshed: {
    reply: { body: { ...reply, access_token: 'EwB-second', refresh_token: '0.AXEA-second' } },
    accessToken: 'EwB-second',
    refreshToken: '0.AXEA-second',
  },
  refusals: [
    refusal('dead', 400, 'invalid_grant', 70_000),
    refusal('dead', 400, 'invalid_grant', 700_082, 'bad_token'),
    refusal('dead', 400, 'invalid_grant', 50_173),
    refusal('consent', 400, 'invalid_grant', 65_001, 'consent_required'),
    refusal('consent', 400, 'invalid_grant', 90_094),
    refusal('consent', 400, 'invalid_grant', 50_076, 'basic_action'),
    refusal('consent', 400, 'interaction_required', 50_079, 'basic_action'),
    refusal('consent', 400, 'consent_required', 65_001),
    refusal('misconfigured', 401, 'invalid_client', 7_000_215),
    refusal('misconfigured', 401, 'invalid_client', 7_000_222),
    refusal('misconfigured', 400, 'unauthorized_client', 700_016),
    refusal('misconfigured', 400, 'invalid_resource', 500_011),
    refusal('misconfigured', 400, 'invalid_scope', 70_011),
    refusal('transient', 400, 'temporarily_unavailable', 90_033),
    { ...refusal('transient', 503, 'temporarily_unavailable', 90_036) },
    {
      ...refusal('rate_limited', 429, 'invalid_request', 90_055),
      headers: { 'retry-after': '12' },
      retryAfterSeconds: 12,
    },
  ],
  denied: 'consent_required',
}
