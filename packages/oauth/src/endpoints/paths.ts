/** Where each endpoint lives, below the issuer. `callback`, `connect` and `securityEvents` are followed by one more segment. */
export const endpointPaths = {
  authorize: '/oauth/authorize',
  consent: '/oauth/consent',
  callback: '/oauth/callback',
  connect: '/oauth/connect',
  push: '/oauth/par',
  token: '/oauth/token',
  register: '/oauth/register',
  revoke: '/oauth/revoke',
  account: '/account',
  introspect: '/oauth/introspect',
  jwks: '/oauth/jwks',
  userinfo: '/oauth/userinfo',
  endSession: '/oauth/end-session',
  endSessionAnswer: '/oauth/end-session/answer',
  securityEvents: '/oauth/events',
} as const
