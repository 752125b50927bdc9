import type { IncomingHttpHeaders } from 'node:http'
import type { EndpointName, UpstreamKind } from './kinds.ts'
import { googleScopes } from './kinds.ts'

/** A request on its way to the OpenID provider. */
export interface Passing {
  url: URL
  headers: IncomingHttpHeaders
  form: URLSearchParams | undefined
}

/** An answer given in the OpenID provider's place. */
export interface Refusal {
  status: number
  body: object
}

/** What a provider does to a request before its own rules see it. */
export function adaptRequest(
  kind: UpstreamKind,
  endpoint: EndpointName | undefined,
  passing: Passing,
): Refusal | undefined {
  if (kind !== 'linkedin') return undefined
  const { url, headers, form } = passing
  if (endpoint === 'authorize')
    for (const ignored of ['nonce', 'code_challenge', 'code_challenge_method'])
      url.searchParams.delete(ignored)
  // The web flow takes a code verifier for a failed client authentication, and knows no Basic scheme.
  if (endpoint === 'token' && (form?.has('code_verifier') || headers.authorization !== undefined))
    return {
      status: 401,
      body: { error: 'invalid_client', error_description: 'Client authentication failed' },
    }
  return undefined
}

/** What a provider adds to, or leaves out of, a standard token reply. Changes `reply`. */
export function adaptTokenReply(
  kind: UpstreamKind,
  grantType: string | undefined,
  reply: Record<string, unknown>,
  refreshTokenSecondsLeft: () => number | undefined,
): void {
  if (kind === 'google') {
    if (typeof reply.scope === 'string') reply.scope = fullUris(reply.scope)
    // Google does not rotate, and repeats nothing.
    if (grantType === 'refresh_token') delete reply.refresh_token
  }
  if (kind === 'linkedin') {
    if (grantType === 'refresh_token' && reply.error === 'invalid_grant') {
      reply.error = 'invalid_request'
      reply.error_description =
        'The provided authorization grant or refresh token is invalid, expired or revoked'
    }
    if (typeof reply.refresh_token === 'string') reply.refresh_token_expires_in = refreshTokenSecondsLeft()
  }
}

function fullUris(scope: string): string {
  const names: Record<string, string> = { email: googleScopes.email, profile: googleScopes.profile }
  return [...new Set(scope.split(' ').map(name => names[name] ?? name))].join(' ')
}

/** What a provider adds to, or leaves out of, its redirect back to the client. */
export function adaptCallback(kind: UpstreamKind, callback: URL): void {
  if (kind === 'linkedin') callback.searchParams.delete('iss')
  if (kind === 'google' && callback.searchParams.has('code')) {
    callback.searchParams.set('authuser', '0')
    callback.searchParams.set('prompt', 'consent')
  }
}
