import type { Provider } from '@sallyport/mcp-server'
import type { AccountQuery } from './account.ts'
import { createProvider } from './create-provider.ts'
import { errorClassBy } from './error-class.ts'
import { asObject, type JsonObject, memberAt, parseJson } from './json.ts'
import type { ProviderEndpoints } from './provider-definition.ts'
import { vendorServer } from './vendor-server.ts'

export interface SlackOptions {
  /** Default: `SLACK_CLIENT_ID`. */
  clientId?: string
  /** Default: `SLACK_CLIENT_SECRET`. */
  clientSecret?: string
  /** Whether PKCE is enabled for the app at Slack, which cannot be undone there. Default false. */
  pkce?: boolean
  /** Addresses used in place of Slack's own. Default: none. */
  endpoints?: Partial<ProviderEndpoints>
}

const slackEndpoints: Omit<ProviderEndpoints, 'jwks' | 'userinfo'> = {
  authorization: 'https://slack.com/oauth/v2/authorize',
  token: 'https://slack.com/api/oauth.v2.access',
  revocation: 'https://slack.com/api/auth.revoke',
  issuers: ['https://slack.com'],
  apiOrigins: ['https://slack.com'],
}

/**
 * Slack, with the user's own token (`xoxp`), not a bot's. Credentials come from the options, else from the
 * environment. It connects only: "Sign in with Slack" is another flow, for which there is
 * `oidc({ issuer: 'https://slack.com', … })`.
 */
export function slack(options: SlackOptions = {}): Provider<'slack'> {
  const endpoints = { ...slackEndpoints, ...options.endpoints }
  return createProvider({
    id: 'slack',
    label: 'Slack',
    clientId: options.clientId,
    clientSecret: options.clientSecret,
    credentialVariables: { clientId: 'SLACK_CLIENT_ID', clientSecret: 'SLACK_CLIENT_SECRET' },
    credentialHint: 'create an app at https://api.slack.com/apps and set both',
    canSignIn: false,
    account,
    identityScopes: [],
    // `scope` would ask for a bot.
    scopeParameter: 'user_scope',
    scopeSeparator: ',',
    scopeRules: { replySeparator: /[\s,]+/, aliases: {} },
    pkce: options.pkce ?? false,
    nonce: false,
    // Scopes of one app and user add up.
    mergesGrantedScopes: true,
    prompts: [],
    authorizationParameters: () => ({}),
    deniedErrors: ['access_denied'],
    errorClass: errorClassBy({
      invalid_refresh_token: 'dead',
      token_revoked: 'dead',
      token_expired: 'dead',
      account_inactive: 'dead',
      authorization_not_found: 'dead',
      two_factor_setup_required: 'consent',
      team_access_not_granted: 'consent',
      bad_client_secret: 'misconfigured',
      invalid_client_id: 'misconfigured',
      bad_redirect_uri: 'misconfigured',
      oauth_authorization_url_mismatch: 'misconfigured',
      invalid_grant_type: 'misconfigured',
      token_rotation_not_enabled: 'misconfigured',
      ratelimited: 'rate_limited',
      internal_error: 'transient',
      fatal_error: 'transient',
      service_unavailable: 'transient',
      request_timeout: 'transient',
      team_added_to_org: 'transient',
      org_login_required: 'transient',
    }),
    tokenFormat: { readReply },
    rotatesRefreshTokens: true,
    // None without token rotation; 12 hours with it, as the reply then says.
    accessTokenSeconds: 0,
    // No end, and 30 days for an app with PKCE.
    refreshIdleSeconds: (options.pkce ? 30 : 365) * 86_400,
    apiOrigins: endpoints.apiOrigins,
    rejectsToken,
    upstreamServer: () =>
      vendorServer('Slack', endpoints, {
        clientAuthentication: 'basic',
        // The settings of the app decide; no consent brings one.
        givesRefreshTokens: false,
        revocation: {
          endpoint: endpoints.revocation,
          authentication: 'bearer',
          needsLiveToken: true,
          goneErrors: deadTokenErrors,
        },
      }),
  })
}

/** What its API says to a token that is no good any more. */
const deadTokenErrors = ['token_revoked', 'token_expired', 'invalid_auth', 'account_inactive']

/** Refusals are small; nothing larger is read twice. */
const maxRefusalBytes = 4096

/** Its API answers with HTTP 200 whatever happens. */
async function rejectsToken(response: Response): Promise<boolean> {
  const { status, headers } = response
  if (status !== 200) return status === 401
  const isJson = headers.get('content-type')?.startsWith('application/json')
  if (!isJson || Number(headers.get('content-length') ?? 0) > maxRefusalBytes) return false
  const body = asObject(parseJson(await response.clone().text()))
  return body?.ok === false && deadTokenErrors.includes(String(body.error))
}

/** The user's token is in `authed_user` of the first reply, and at the top, as `token_type` `user`, of a refresh. */
function readReply({ ok, error, ...top }: JsonObject): JsonObject {
  if (ok === false) return { error: typeof error === 'string' ? error : 'unknown' }
  const nested = asObject(top.authed_user)
  const { token_type, ...user } = nested?.access_token === undefined ? top : nested
  // Whatever else lies there is a bot's, which may see what the user may not.
  return token_type === 'user' ? user : {}
}

/** User ids are of a workspace, or of an organisation that has several. */
function account({ reply }: AccountQuery): { subject: string } {
  const place = memberAt(reply, 'enterprise.id') ?? memberAt(reply, 'team.id')
  const user = memberAt(reply, 'authed_user.id')
  return { subject: typeof place === 'string' && typeof user === 'string' ? `${place}:${user}` : '' }
}
