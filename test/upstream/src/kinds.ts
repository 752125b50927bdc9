/** Which real provider an upstream stands in for. */
export type UpstreamKind = 'oidc' | 'google' | 'linkedin' | 'github' | 'microsoft' | 'slack' | 'notion'

/** Endpoints that can be counted, delayed and made to fail. */
export type EndpointName =
  | 'authorize'
  | 'token'
  | 'userinfo'
  | 'jwks'
  | 'revoke'
  | 'discovery'
  | 'risc'
  | 'api'

/** When a provider issues refresh tokens. */
export type RefreshTokens = 'offline_access' | 'always' | 'never'

/** The tenant that all accounts of a Microsoft stand-in are in. */
export const microsoftTenant = '8eaef023-2b34-4da1-9baa-8bc8c9d6a490'

interface Kind {
  /** Path part of the issuer identifier. */
  issuerPath: string
  paths: Record<'authorize' | 'token' | 'userinfo' | 'jwks' | 'revoke' | 'discovery', string>
  /** Client authentication the token endpoint knows; the first is the one registered. */
  clientAuthentication: readonly ('client_secret_basic' | 'client_secret_post')[]
  /** Scopes it can grant beyond `openid`. */
  scopes: readonly string[]
  /** Life of access tokens, in seconds. */
  accessTokenSeconds: number
  /** Life of refresh tokens, in seconds. */
  refreshTokenSeconds: number
  /** Unless a test wants it otherwise. */
  refreshTokens: RefreshTokens
  /** Whether a refresh token is good for one use only, unless a test wants it otherwise. */
  rotates: boolean
  /** Endpoints that are on the origin of the API. */
  onApiOrigin: readonly ('userinfo' | 'revoke')[]
}

export const googleScopes = {
  email: 'https://www.googleapis.com/auth/userinfo.email',
  profile: 'https://www.googleapis.com/auth/userinfo.profile',
  calendar: 'https://www.googleapis.com/auth/calendar',
  calendarReadonly: 'https://www.googleapis.com/auth/calendar.readonly',
  calendarEvents: 'https://www.googleapis.com/auth/calendar.events',
  calendarEventsReadonly: 'https://www.googleapis.com/auth/calendar.events.readonly',
} as const

/** Stands for "no scopes at all", which `oidc-provider` would take for a refusal. */
export const bareScope = 'none-at-all'

/** Stands for `offline_access` where it needs no `prompt=consent`, without which `oidc-provider` ignores it. */
export const offlineScope = 'offline-without-prompt'

/** The plain facts of each provider; what needs code is in `quirks.ts`. */
export const kinds: Record<UpstreamKind, Kind> = {
  oidc: {
    issuerPath: '',
    paths: {
      authorize: '/authorize',
      token: '/token',
      userinfo: '/userinfo',
      jwks: '/jwks',
      revoke: '/revoke',
      discovery: '/.well-known/openid-configuration',
    },
    clientAuthentication: ['client_secret_basic', 'client_secret_post'],
    scopes: ['profile', 'email', 'offline_access', 'notes.read', 'notes.write'],
    accessTokenSeconds: 3600,
    refreshTokenSeconds: 14 * 86_400,
    refreshTokens: 'offline_access',
    rotates: false,
    onApiOrigin: [],
  },
  google: {
    issuerPath: '',
    paths: {
      authorize: '/o/oauth2/v2/auth',
      token: '/token',
      userinfo: '/v1/userinfo',
      jwks: '/oauth2/v3/certs',
      revoke: '/revoke',
      discovery: '/.well-known/openid-configuration',
    },
    clientAuthentication: ['client_secret_post', 'client_secret_basic'],
    scopes: ['profile', 'email', ...Object.values(googleScopes)],
    accessTokenSeconds: 3600,
    refreshTokenSeconds: 180 * 86_400,
    refreshTokens: 'never',
    rotates: false,
    onApiOrigin: [],
  },
  linkedin: {
    issuerPath: '/oauth',
    paths: {
      authorize: '/oauth/v2/authorization',
      token: '/oauth/v2/accessToken',
      userinfo: '/v2/userinfo',
      jwks: '/oauth/openid/jwks',
      revoke: '/oauth/v2/revoke',
      discovery: '/oauth/.well-known/openid-configuration',
    },
    clientAuthentication: ['client_secret_post'],
    scopes: ['profile', 'email', 'w_member_social'],
    accessTokenSeconds: 60 * 86_400,
    refreshTokenSeconds: 365 * 86_400,
    refreshTokens: 'never',
    rotates: false,
    onApiOrigin: ['userinfo'],
  },
  // An OAuth app; with refresh tokens, a GitHub App whose user tokens expire.
  github: {
    issuerPath: '/login/oauth',
    paths: {
      authorize: '/login/oauth/authorize',
      token: '/login/oauth/access_token',
      userinfo: '/user',
      jwks: '/none/jwks',
      revoke: '/applications/grant',
      discovery: '/none/discovery',
    },
    clientAuthentication: ['client_secret_post'],
    scopes: [bareScope, 'repo', 'user', 'read:user', 'user:email'],
    accessTokenSeconds: 28_800,
    refreshTokenSeconds: 15_811_200,
    refreshTokens: 'never',
    rotates: true,
    onApiOrigin: ['userinfo', 'revoke'],
  },
  microsoft: {
    issuerPath: `/${microsoftTenant}/v2.0`,
    paths: {
      authorize: '/common/oauth2/v2.0/authorize',
      token: '/common/oauth2/v2.0/token',
      userinfo: '/oidc/userinfo',
      jwks: '/common/discovery/v2.0/keys',
      revoke: '/none/revoke',
      discovery: '/common/v2.0/.well-known/openid-configuration',
    },
    clientAuthentication: ['client_secret_post'],
    scopes: ['profile', 'email', offlineScope, 'User.Read', 'Mail.Read'],
    accessTokenSeconds: 3600,
    refreshTokenSeconds: 90 * 86_400,
    refreshTokens: 'offline_access',
    rotates: false,
    onApiOrigin: ['userinfo'],
  },
  // Without token rotation; with refresh tokens, an app that has it turned on.
  slack: {
    issuerPath: '',
    paths: {
      authorize: '/oauth/v2/authorize',
      token: '/api/oauth.v2.access',
      userinfo: '/none/userinfo',
      jwks: '/none/jwks',
      revoke: '/api/auth.revoke',
      discovery: '/none/discovery',
    },
    clientAuthentication: ['client_secret_basic', 'client_secret_post'],
    scopes: ['channels:read', 'search:read', 'users:read'],
    accessTokenSeconds: 43_200,
    refreshTokenSeconds: 365 * 86_400,
    refreshTokens: 'never',
    rotates: true,
    onApiOrigin: [],
  },
  notion: {
    issuerPath: '',
    paths: {
      authorize: '/v1/oauth/authorize',
      token: '/v1/oauth/token',
      userinfo: '/none/userinfo',
      jwks: '/none/jwks',
      revoke: '/v1/oauth/revoke',
      discovery: '/none/discovery',
    },
    clientAuthentication: ['client_secret_basic'],
    scopes: [bareScope],
    accessTokenSeconds: 3600,
    refreshTokenSeconds: 365 * 86_400,
    refreshTokens: 'always',
    rotates: true,
    onApiOrigin: [],
  },
}
