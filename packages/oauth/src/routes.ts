import type { Context, Endpoint } from './context.ts'
import { account } from './endpoints/account.ts'
import { authorize } from './endpoints/authorize.ts'
import { callback } from './endpoints/callback.ts'
import { connect } from './endpoints/connect.ts'
import { consent } from './endpoints/consent.ts'
import { endSession, endSessionAnswer } from './endpoints/end-session.ts'
import { introspect } from './endpoints/introspect.ts'
import { jwks } from './endpoints/jwks.ts'
import { createMetadataEndpoint, metadataPaths } from './endpoints/metadata.ts'
import { endpointPaths } from './endpoints/paths.ts'
import { push } from './endpoints/push.ts'
import { register } from './endpoints/register.ts'
import { revoke } from './endpoints/revoke.ts'
import { securityEvents } from './endpoints/security-events.ts'
import { token } from './endpoints/token.ts'
import { userinfo } from './endpoints/userinfo.ts'
import type { SigningAlgorithm } from './keys/signing-algorithm.ts'
import type { Route } from './route.ts'

/** What stays where another issuer has the rest. */
const forConnections: ReadonlySet<Endpoint> = new Set([callback, connect, account, securityEvents])

/** All endpoints of an authorization server, below the path of its issuer. What is off has no route (R13). */
export function createRoutes(
  {
    issuer,
    dynamicRegistration,
    resourceServers,
    openid: isOpenid,
    connectionsOnly,
    securityEvents: receivers,
  }: Pick<
    Context,
    'issuer' | 'dynamicRegistration' | 'resourceServers' | 'openid' | 'connectionsOnly' | 'securityEvents'
  >,
  signingAlgorithm: SigningAlgorithm,
): readonly Route[] {
  const base = new URL(issuer).pathname.replace(/\/$/, '')
  const at = (name: keyof typeof endpointPaths, suffix = '') => base + endpointPaths[name] + suffix
  const { oauth, openid } = metadataPaths(issuer)
  const document = (path: string, handler: Endpoint): Route => ({
    method: 'GET',
    path,
    handler,
    cors: 'open',
    readOnly: true,
  })
  const routes: readonly Route[] = [
    ...oauth.map(path => document(path, createMetadataEndpoint(isOpenid ? signingAlgorithm : undefined))),
    ...openid.map(path => document(path, createMetadataEndpoint(signingAlgorithm))),
    document(at('jwks'), jwks),
    { method: 'GET', path: at('authorize'), handler: authorize, cors: 'none', limit: 'authorize' },
    { method: 'POST', path: at('authorize'), handler: authorize, cors: 'none', limit: 'authorize' },
    { method: 'POST', path: at('consent'), handler: consent, cors: 'none', limit: 'consent' },
    { method: 'GET', path: at('callback', '/:id'), handler: callback, cors: 'none', limit: 'callback' },
    { method: 'POST', path: at('callback', '/:id'), handler: callback, cors: 'none', limit: 'callback' },
    { method: 'GET', path: at('connect', '/:id'), handler: connect, cors: 'none', limit: 'connect' },
    { method: 'POST', path: at('connect', '/:id'), handler: connect, cors: 'none', limit: 'connect' },
    { method: 'GET', path: at('account'), handler: account, cors: 'none', limit: 'account' },
    { method: 'POST', path: at('account'), handler: account, cors: 'none', limit: 'account' },
    { method: 'POST', path: at('push'), handler: push, cors: 'open', limit: 'push' },
    { method: 'POST', path: at('token'), handler: token, cors: 'open', limit: 'token' },
    { method: 'POST', path: at('revoke'), handler: revoke, cors: 'open', limit: 'revoke' },
    ...(resourceServers
      ? [
          {
            method: 'POST',
            path: at('introspect'),
            handler: introspect,
            cors: 'closed',
            limit: 'introspect',
          } satisfies Route,
        ]
      : []),
    ...(receivers.size > 0
      ? [
          {
            method: 'POST',
            path: at('securityEvents', '/:id'),
            handler: securityEvents,
            cors: 'closed',
            limit: 'security_events',
          } satisfies Route,
        ]
      : []),
    ...(isOpenid
      ? ([
          { method: 'GET', path: at('userinfo'), handler: userinfo, cors: 'open', limit: 'userinfo' },
          { method: 'POST', path: at('userinfo'), handler: userinfo, cors: 'open', limit: 'userinfo' },
          { method: 'GET', path: at('endSession'), handler: endSession, cors: 'none', limit: 'end_session' },
          { method: 'POST', path: at('endSession'), handler: endSession, cors: 'none', limit: 'end_session' },
          {
            method: 'POST',
            path: at('endSessionAnswer'),
            handler: endSessionAnswer,
            cors: 'none',
            limit: 'end_session',
          },
        ] satisfies Route[])
      : []),
    ...(dynamicRegistration
      ? [
          {
            method: 'POST',
            path: at('register'),
            handler: register,
            cors: 'open',
            limit: 'register',
          } satisfies Route,
        ]
      : []),
  ]
  return connectionsOnly ? routes.filter(({ handler }) => forConnections.has(handler)) : routes
}
