/** Which real provider an upstream stands in for. */
export type UpstreamKind = 'oidc' | 'google' | 'linkedin'

/** Endpoints that can be counted, delayed and made to fail. */
export type EndpointName = 'authorize' | 'token' | 'userinfo' | 'jwks' | 'revoke' | 'discovery' | 'api'

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
}

export const googleScopes = {
  email: 'https://www.googleapis.com/auth/userinfo.email',
  profile: 'https://www.googleapis.com/auth/userinfo.profile',
  calendar: 'https://www.googleapis.com/auth/calendar',
  calendarReadonly: 'https://www.googleapis.com/auth/calendar.readonly',
  calendarEvents: 'https://www.googleapis.com/auth/calendar.events',
  calendarEventsReadonly: 'https://www.googleapis.com/auth/calendar.events.readonly',
} as const

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
  },
}
