import type { Provider } from '@sallyport/mcp-server'
import { accountAt } from './account.ts'
import { createProvider } from './create-provider.ts'
import { errorClassBy } from './error-class.ts'
import type { JsonObject } from './json.ts'
import type { ProviderEndpoints } from './provider-definition.ts'
import { vendorServer } from './vendor-server.ts'

export interface GithubOptions {
  /** Default: `GITHUB_CLIENT_ID`. */
  clientId?: string
  /** Default: `GITHUB_CLIENT_SECRET`. */
  clientSecret?: string
  /**
   * What is registered at GitHub. An `oauth-app` asks for scopes. A `github-app` has its permissions in its settings:
   * tools name it as `github: []`. Default `oauth-app`.
   */
  app?: 'oauth-app' | 'github-app'
  /** Addresses used in place of github.com's, such as those of a GitHub Enterprise Server. Default: none. */
  endpoints?: Partial<ProviderEndpoints>
}

const githubEndpoints: Omit<ProviderEndpoints, 'jwks'> = {
  authorization: 'https://github.com/login/oauth/authorize',
  token: 'https://github.com/login/oauth/access_token',
  userinfo: 'https://api.github.com/user',
  // Takes the user's whole grant; /token would leave their other tokens for this app.
  revocation: 'https://api.github.com/applications/{client_id}/grant',
  // The second is what its authorization server calls itself.
  issuers: ['https://github.com', 'https://github.com/login/oauth'],
  apiOrigins: ['https://api.github.com', 'https://uploads.github.com'],
}

const apiHeaders = { accept: 'application/vnd.github+json', 'x-github-api-version': '2022-11-28' }

/** What each scope includes; GitHub leaves the included ones out of its replies. */
const includes = {
  repo: ['repo:status', 'repo_deployment', 'public_repo', 'repo:invite', 'security_events'],
  'admin:repo_hook': ['write:repo_hook'],
  'write:repo_hook': ['read:repo_hook'],
  'admin:org': ['write:org', 'manage_runners:org'],
  'write:org': ['read:org'],
  'admin:public_key': ['write:public_key'],
  'write:public_key': ['read:public_key'],
  'admin:gpg_key': ['write:gpg_key'],
  'write:gpg_key': ['read:gpg_key'],
  'admin:ssh_signing_key': ['write:ssh_signing_key'],
  'write:ssh_signing_key': ['read:ssh_signing_key'],
  user: ['read:user', 'user:email', 'user:follow'],
  project: ['read:project'],
  'write:discussion': ['read:discussion'],
  'write:packages': ['read:packages'],
  'admin:enterprise': ['manage_runners:enterprise', 'manage_billing:enterprise', 'read:enterprise'],
  audit_log: ['read:audit_log'],
  codespace: ['codespace:secrets'],
}

/**
 * GitHub users and APIs, through an OAuth app or a GitHub App. Credentials come from the options, else from the
 * environment. Tokens of an OAuth app do not end; those of a GitHub App do, unless it opts out, and are refreshed.
 */
export function github(options: GithubOptions = {}): Provider<'github'> {
  const endpoints = { ...githubEndpoints, ...options.endpoints }
  const hasScopes = options.app !== 'github-app'
  return createProvider({
    id: 'github',
    label: 'GitHub',
    clientId: options.clientId,
    clientSecret: options.clientSecret,
    credentialVariables: { clientId: 'GITHUB_CLIENT_ID', clientSecret: 'GITHUB_CLIENT_SECRET' },
    credentialHint:
      'create an OAuth app or a GitHub App at https://github.com/settings/developers and set both',
    canSignIn: true,
    account: accountAt({ url: endpoints.userinfo, subject: 'id', name: 'login', headers: apiHeaders }),
    // A token without any scope tells who the user is.
    identityScopes: [],
    scopeParameter: hasScopes ? 'scope' : undefined,
    scopeSeparator: ' ',
    scopeRules: { replySeparator: /[\s,]+/, aliases: {}, includes },
    pkce: true,
    nonce: false,
    mergesGrantedScopes: false,
    prompts: ['select_account'],
    authorizationParameters: () => ({}),
    deniedErrors: ['access_denied'],
    errorClass: refusal =>
      // Secondary limits.
      refusal.status === 403 && isRateLimit(refusal.headers) ? 'rate_limited' : byCode(refusal),
    tokenFormat: {
      ...(!hasScopes && { readReply: ({ scope: _, ...reply }: JsonObject) => reply }),
      retryAfter: (headers, now) =>
        isRateLimit(headers) ? Number(headers.get('x-ratelimit-reset') ?? Number.NaN) - now : undefined,
    },
    rotatesRefreshTokens: true,
    accessTokenSeconds: 0,
    // GitHub says when a refresh token ends: after six months.
    refreshIdleSeconds: 180 * 86_400,
    apiOrigins: endpoints.apiOrigins,
    upstreamServer: () =>
      vendorServer('GitHub', endpoints, {
        clientAuthentication: 'post',
        // The settings of the app decide; no consent brings one.
        givesRefreshTokens: false,
        revocation: {
          endpoint: endpoints.revocation,
          method: 'DELETE',
          authentication: 'basic',
          token: 'access_token',
          parameter: 'access_token',
          body: 'json',
          headers: apiHeaders,
          needsLiveToken: true,
          // Not known, or not valid any more.
          goneStatuses: [404, 422],
        },
      }),
  })
}

const byCode = errorClassBy({
  bad_refresh_token: 'dead',
  unverified_user_email: 'consent',
  incorrect_client_credentials: 'misconfigured',
  redirect_uri_mismatch: 'misconfigured',
  application_suspended: 'misconfigured',
  slow_down: 'rate_limited',
})

const isRateLimit = (headers: Headers) =>
  headers.has('retry-after') || headers.get('x-ratelimit-remaining') === '0'
