import type { RevocableTokens, RevocationResult } from '@sallyport/mcp-server'
import type { Clock } from '@sallyport/oauth'
import { basicAuthorization, type ClientCredentials } from './client-authentication.ts'
import type { DpopKey } from './dpop-proof.ts'
import { isAlive } from './external-token.ts'
import { asObject, parseJson } from './json.ts'
import { fetchLimited, type LimitedResponse } from './limited-fetch.ts'
import { readRetryAfter } from './retry-after.ts'
import type { TokenReply } from './token-request.ts'

/** How a provider takes a grant back; what is absent is as RFC 7009 says. */
export interface Revocation {
  /** `{client_id}` in it is filled in. */
  endpoint: string
  /** Default POST. */
  method?: 'POST' | 'DELETE'
  /** How the request proves who asks; `bearer` is the user's access token itself, in the header. */
  authentication: 'basic' | 'post' | 'bearer' | 'none'
  /** Which token is presented. Default: the refresh token, else the access token. */
  token?: 'access_token'
  /** Parameter that holds it. Default `token`. */
  parameter?: string
  /** Default `form`. */
  body?: 'form' | 'json'
  headers?: Readonly<Record<string, string>>
  /** Whether an access token that has ended can no longer be presented, and is refreshed first. Default false. */
  needsLiveToken?: boolean
  /** Values of `error` that say that nothing is left to take back. Default: none. */
  goneErrors?: readonly string[]
  /** HTTP statuses that say so. Default: none. */
  goneStatuses?: readonly number[]
}

const limits = { timeoutMs: 10_000, maxBytes: 64 * 1024 }

/**
 * Creates the function that takes a grant back at a provider, in one request (two when it takes a live access token).
 * It never throws for what the provider does; tokens, secrets and the provider's words are in no result but `tokens`.
 *
 * @see RFC 7009 §2
 */
export function createRevoke(parts: {
  credentials: ClientCredentials
  revocation(): Promise<Revocation | undefined>
  /** Presents a refresh token at the provider; never throws. */
  requestRefresh(refreshToken: string, dpopKey: DpopKey | undefined): Promise<TokenReply>
  clock: Clock
}): (tokens: RevocableTokens) => Promise<RevocationResult> {
  const { credentials, clock } = parts

  async function live(tokens: RevocableTokens): Promise<RevocableTokens | RevocationResult> {
    if (isAlive({ endsAt: tokens.accessEndsAt, now: clock() })) return tokens
    // Ended and not to be renewed: it opens nothing any more.
    if (tokens.refreshToken === undefined) return { outcome: 'revoked' }
    const reply = await parts.requestRefresh(tokens.refreshToken, tokens.dpopKey)
    if (reply.outcome === 'granted') {
      const { accessToken, refreshToken = tokens.refreshToken, expiresInSeconds } = reply.grant
      return {
        accessToken,
        refreshToken,
        ...(tokens.dpopKey && { dpopKey: tokens.dpopKey }),
        accessEndsAt: expiresInSeconds ? clock() + expiresInSeconds : 0,
      }
    }
    const { errorClass, retryAfterSeconds } = reply.error
    if (errorClass === 'dead' || errorClass === 'consent') return { outcome: 'revoked' }
    if (errorClass === 'misconfigured') return { outcome: 'refused' }
    return later(tokens, retryAfterSeconds)
  }

  return async given => {
    const revocation = await parts.revocation().catch(() => 'unknown' as const)
    if (revocation === 'unknown') return later(given, undefined)
    if (!revocation) return { outcome: 'unsupported' }
    const tokens = revocation.needsLiveToken ? await live(given) : given
    if ('outcome' in tokens) return tokens
    const endpoint = revocation.endpoint.replace('{client_id}', encodeURIComponent(credentials.clientId))
    let response: LimitedResponse
    try {
      response = await fetchLimited(endpoint, toInit(revocation, tokens, credentials), limits)
    } catch {
      return later(tokens, undefined)
    }
    return sort(response, revocation, tokens, clock())
  }
}

function toInit(revocation: Revocation, tokens: RevocableTokens, credentials: ClientCredentials) {
  const { authentication, method = 'POST', parameter = 'token' } = revocation
  const { accessToken, refreshToken } = tokens
  const presented = revocation.token === 'access_token' ? accessToken : (refreshToken ?? accessToken)
  const headers = new Headers({ ...revocation.headers, accept: 'application/json' })
  if (authentication === 'bearer') {
    headers.set('authorization', `Bearer ${accessToken}`)
    return { method, headers }
  }
  if (authentication === 'basic') headers.set('authorization', basicAuthorization(credentials))
  const sent = {
    [parameter]: presented,
    ...(authentication === 'post' && {
      client_id: credentials.clientId,
      client_secret: credentials.clientSecret,
    }),
  }
  if (revocation.body !== 'json') return { method, headers, body: new URLSearchParams(sent) }
  headers.set('content-type', 'application/json')
  return { method, headers, body: JSON.stringify(sent) }
}

function sort(
  { status, headers, text }: LimitedResponse,
  { goneErrors = [], goneStatuses = [] }: Revocation,
  tokens: RevocableTokens,
  now: number,
): RevocationResult {
  const body = asObject(parseJson(text))
  const error = body?.error
  const isSuccess = status >= 200 && status < 300
  if (goneStatuses.includes(status)) return { outcome: 'revoked' }
  if (typeof error === 'string' && goneErrors.includes(error)) return { outcome: 'revoked' }
  // Slack refuses with HTTP 200.
  if (isSuccess && error === undefined && body?.ok !== false) return { outcome: 'revoked' }
  const afterSeconds = readRetryAfter(headers, now)
  const isPassing =
    status >= 500 ||
    status === 429 ||
    status === 408 ||
    // GitHub's secondary limits.
    (status === 403 && afterSeconds !== undefined) ||
    (isSuccess && passingErrors.has(String(error)))
  return isPassing ? later(tokens, afterSeconds) : { outcome: 'refused' }
}

const passingErrors = new Set([
  'ratelimited',
  'internal_error',
  'fatal_error',
  'service_unavailable',
  'request_timeout',
])

function later(tokens: RevocableTokens, afterSeconds: number | undefined): RevocationResult {
  return { outcome: 'later', tokens, ...(afterSeconds !== undefined && { afterSeconds }) }
}
