import {
  type AccessTokenVerifier,
  type Clock,
  type EventSink,
  OAuthError,
  StoreUnavailableError,
} from '@sallyport/oauth'
import { bearerChallenge, type Challenge } from './bearer-challenge.ts'
import { jsonResponse, unavailableResponse } from './json-response.ts'
import type { Operation } from './operation.ts'
import { type Caller, type ClientCaller, callerOf } from './tools/call-context.ts'

/** Who calls, or the answer that sends the client to sign in. */
export type GateResult = { caller: Caller | ClientCaller | undefined } | { response: Response }

/** Stands before every operation on the MCP endpoint. */
export type BearerGate = (request: Request, operation: Operation) => Promise<GateResult>

/** b64token of RFC 6750 §2.1; the scheme in any case (R151). */
const bearer = /^bearer +([A-Za-z0-9\-._~+/]+=*)$/i

/**
 * Creates the gate: `Authorization: Bearer` → caller, or 400, 401, 403 with a challenge (RFC 6750 §3), or 503.
 * Tokens in the query or in the body are not looked at (R151).
 */
export function createBearerGate(options: {
  verifier: Pick<AccessTokenVerifier, 'verifyAccessToken'>
  /** The one audience that is accepted (R153). */
  resource: string
  metadataUrl: string
  emit: EventSink
  clock: Clock
}): BearerGate {
  const { verifier, resource, metadataUrl, emit, clock } = options
  const refuse = (
    status: 400 | 401 | 403,
    operation: Operation,
    description: string,
    error?: Challenge['error'],
  ): GateResult => ({
    response: jsonResponse({ ...(error && { error }), error_description: description }, status, {
      'WWW-Authenticate': bearerChallenge({
        ...(error && { error, description }),
        metadataUrl,
        scopes: operation.challengeScopes,
        ...(error === 'insufficient_user_authentication' &&
          operation.maxAgeSeconds !== undefined && { maxAgeSeconds: operation.maxAgeSeconds }),
      }),
    }),
  })

  return async (request, operation) => {
    const header = request.headers.get('authorization')?.trim()
    // Several headers arrive joined by a comma, which no token contains: which one counts must not be guessed.
    if (header?.includes(',')) {
      return refuse(400, operation, 'Send exactly one Authorization header.', 'invalid_request')
    }
    const [scheme] = (header ?? '').split(' ', 1)
    if (scheme?.toLowerCase() !== 'bearer') {
      return operation.needsCaller ? refuse(401, operation, 'Sign in to use this.') : { caller: undefined }
    }
    const value = bearer.exec(header ?? '')?.[1]
    const caller = value === undefined ? undefined : await verify(value)
    if (caller === 'unavailable') return { response: unavailableResponse() }
    // On a public operation too: a client that believes to be signed in must learn that it is not.
    if (!caller) {
      return refuse(401, operation, 'The access token is not valid here, or has ended.', 'invalid_token')
    }
    // R115. Without a challenge: no scope the client could ask for would make it a user.
    if (caller.principal === 'client' && !operation.allowsClients) {
      const description = 'This is for signed-in users, not for clients by themselves.'
      return { response: jsonResponse({ error: 'access_denied', error_description: description }, 403) }
    }
    // Before the scopes: the challenge names these too, so that one sign-in is enough (RFC 9470 §3).
    // A client by itself has never signed in, and never can.
    if (caller.principal === 'user' && !isRecent(caller.authTime, operation.maxAgeSeconds, clock())) {
      emit({ type: 'authentication_challenged', operation: operation.name })
      const description = 'This needs a sign-in that is not so long ago: sign in again.'
      return refuse(401, operation, description, 'insufficient_user_authentication')
    }
    if (!operation.scopes.every(scope => caller.scopes.includes(scope))) {
      emit({ type: 'scope_challenged', operation: operation.name, scopes: operation.scopes })
      return refuse(403, operation, 'This needs more than was granted.', 'insufficient_scope')
    }
    return { caller }
  }

  async function verify(value: string): Promise<Caller | ClientCaller | 'unavailable' | undefined> {
    try {
      return callerOf(await verifier.verifyAccessToken(value, resource))
    } catch (error) {
      if (error instanceof OAuthError && error.code === 'invalid_token') return undefined
      if (error instanceof StoreUnavailableError) {
        emit({ type: 'store_unavailable', step: 'bearer gate' })
        return 'unavailable'
      }
      if (error instanceof OAuthError && error.code === 'temporarily_unavailable') return 'unavailable'
      throw error
    }
  }
}

/** A token that does not say when its user authenticated is not recent. */
function isRecent(authTime: number | undefined, maxAgeSeconds: number | undefined, now: number): boolean {
  return maxAgeSeconds === undefined || (authTime !== undefined && authTime + maxAgeSeconds >= now)
}

/** The gate of a server without sign-in: everything is public, credentials mean nothing. */
export const openGate: BearerGate = async () => ({ caller: undefined })
