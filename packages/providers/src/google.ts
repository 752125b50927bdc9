import type { Provider } from '@sallyport/mcp-server'
import { createProvider } from './create-provider.ts'
import { standardErrorClass } from './error-class.ts'
import { readGoogleEvents } from './google-security-events.ts'
import type { ProviderEndpoints } from './provider-definition.ts'
import type { TokenRefusal } from './token-request.ts'
import type { ErrorClass } from './upstream-error.ts'
import { vendorServer } from './vendor-server.ts'

export interface GoogleOptions {
  /** Default: `GOOGLE_CLIENT_ID`. */
  clientId?: string
  /** Default: `GOOGLE_CLIENT_SECRET`. */
  clientSecret?: string
  /**
   * Google pushes what happens to accounts (Cross-Account Protection, RISC) to `/oauth/events/google`: sessions and
   * connections end when it says so. `clientIds`: other clients of the same Google Cloud project, to which events may be
   * addressed too. Google must be told where to push. Default false.
   */
  securityEvents?: boolean | { clientIds: readonly string[] }
  /**
   * Refresh tokens are bound to a key (DPoP): one that leaks without its key is good for nothing. Google binds those of
   * consents from now on; earlier ones go on as they are. Default false.
   */
  dpop?: boolean
  /** Addresses used in place of Google's own. Default: none. */
  endpoints?: Partial<ProviderEndpoints>
}

/** Hosts of Google's APIs for user data; each takes only tokens, so that none is an open door to other servers. */
const apiHosts = [
  'www',
  'analyticsadmin',
  'analyticsdata',
  'calendar-json',
  'chat',
  'classroom',
  'docs',
  'driveactivity',
  'forms',
  'gmail',
  'keep',
  'meet',
  'openidconnect',
  'people',
  'photoslibrary',
  'searchconsole',
  'sheets',
  'slides',
  'tasks',
  'youtube',
]

const googleEndpoints: Required<Omit<ProviderEndpoints, 'userinfo'>> = {
  authorization: 'https://accounts.google.com/o/oauth2/v2/auth',
  token: 'https://oauth2.googleapis.com/token',
  jwks: 'https://www.googleapis.com/oauth2/v3/certs',
  revocation: 'https://oauth2.googleapis.com/revoke',
  securityEvents: 'https://accounts.google.com/.well-known/risc-configuration',
  // The form without scheme appears in older tokens and means the same issuer.
  issuers: ['https://accounts.google.com', 'accounts.google.com'],
  apiOrigins: apiHosts.map(host => `https://${host}.googleapis.com`),
}

/** Google accounts and APIs. Credentials come from the options, else from the environment. */
export function google(options: GoogleOptions = {}): Provider<'google'> {
  const endpoints = { ...googleEndpoints, ...options.endpoints }
  const { securityEvents } = options
  return createProvider({
    id: 'google',
    label: 'Google',
    clientId: options.clientId,
    clientSecret: options.clientSecret,
    credentialVariables: { clientId: 'GOOGLE_CLIENT_ID', clientSecret: 'GOOGLE_CLIENT_SECRET' },
    credentialHint:
      'create an OAuth client at https://console.cloud.google.com/apis/credentials and set both',
    // It would stand in the address of the browser.
    credentialMistake: ({ clientId }) =>
      clientId.startsWith('GOCSPX-') ? 'the client id is a client secret, set each in its place' : undefined,
    canSignIn: true,
    identityScopes: ['openid', 'profile'],
    labelScopes: ['email'],
    scopeParameter: 'scope',
    scopeSeparator: ' ',
    scopeRules: {
      replySeparator: /\s+/,
      // Asked for by their OpenID names, answered as URIs.
      aliases: {
        'https://www.googleapis.com/auth/userinfo.email': 'email',
        'https://www.googleapis.com/auth/userinfo.profile': 'profile',
      },
    },
    pkce: true,
    nonce: true,
    mergesGrantedScopes: true,
    // It asks for a password when it sees fit, and does not say when that was.
    prompts: ['select_account'],
    authorizationParameters: ({ wantsRefreshToken, hasLiveGrant }) => ({
      include_granted_scopes: 'true',
      ...(wantsRefreshToken && { access_type: 'offline' }),
      // Forces a new refresh token, of which an account has 100 per client id, the oldest dying silently (R186).
      ...(wantsRefreshToken && hasLiveGrant === false && { prompt: 'consent' }),
    }),
    deniedErrors: ['access_denied'],
    errorClass,
    dpop: options.dpop ?? false,
    tokenFormat: {},
    rotatesRefreshTokens: false,
    accessTokenSeconds: 3600,
    // Google drops a refresh token that was not used for six months.
    refreshIdleSeconds: 180 * 86_400,
    apiOrigins: endpoints.apiOrigins,
    ...(securityEvents && {
      securityEvents: {
        configuration: endpoints.securityEvents,
        issuers: endpoints.issuers,
        clientIds: securityEvents === true ? [] : securityEvents.clientIds,
        readEvents: events => readGoogleEvents(events, endpoints.issuers),
      },
    }),
    upstreamServer: () =>
      vendorServer('Google', endpoints, {
        jwksUri: endpoints.jwks,
        clientAuthentication: 'post',
        givesRefreshTokens: true,
        // Asks for no credentials, and takes back every scope and token of the user in the whole Google project.
        revocation: { endpoint: endpoints.revocation, authentication: 'none', goneErrors: ['invalid_token'] },
      }),
  })
}

function errorClass(refusal: TokenRefusal): ErrorClass {
  // Session control of a Workspace: the user signs in again and the grant goes on.
  if (refusal.error === 'invalid_grant' && refusal.errorSubtype === 'invalid_rapt') return 'consent'
  if (refusal.error === 'admin_policy_enforced') return 'dead'
  if (refusal.error === 'deleted_client') return 'misconfigured'
  return standardErrorClass(refusal)
}
