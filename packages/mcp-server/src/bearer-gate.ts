import {
  type AccessToken,
  type AuthorizationServer,
  type Clock,
  type EventSink,
  OAuthError,
  StoreUnavailableError,
} from '@sallyport/oauth'
import { bearerChallenge, type Challenge } from './bearer-challenge.ts'
import type { Refusal } from './in-band-challenge.ts'
import { jsonResponse, unavailableResponse } from './json-response.ts'
import type { Operation } from './operation.ts'
import { hasScopes as eachForItself, type HasScopes } from './scope-hierarchy.ts'
import { type Caller, type ClientCaller, callerOf, isRecent } from './tools/caller.ts'

/** Who calls, or the answer that sends the client to sign in. */
export type GateResult = { caller: Caller | ClientCaller | undefined } | Refusal

/**
 * Stands before every operation on the MCP endpoint.
 *
 * @param further what the request turns out to be once it is known who calls; it is judged as well. Default: nothing more
 */
export type BearerGate = (
  request: Request,
  operation: Operation,
  further?: (caller: Caller | ClientCaller) => Promise<Operation | undefined>,
) => Promise<GateResult>

/** b64token of RFC 6750 §2.1, token68 of RFC 9449 §7.1; the scheme in any case (R151). */
const credentials = /^[a-z]+ +([A-Za-z0-9\-._~+/]+=*)$/i

/** What was presented in the right way, and is refused nevertheless. */
interface Refused {
  error: 'invalid_token' | 'invalid_dpop_proof' | 'use_dpop_nonce'
  description: string
  headers?: Readonly<Record<string, string>>
}

/**
 * Creates the gate: `Authorization: Bearer` or `DPoP` → caller, or 400, 401, 403 with a challenge (RFC 6750 §3,
 * RFC 9449 §7.1), or 503.
 * Tokens in the query or in the body are not looked at (R151).
 */
export function createBearerGate(options: {
  /** Bearer tokens; `dpop` those that are bound to a key, undefined where that is off. */
  verifier: Pick<AuthorizationServer, 'verifyAccessToken' | 'dpop'>
  /** The one audience that is accepted (R153). */
  resource: string
  metadataUrl: string
  /** Default: no scope includes another. */
  hasScopes?: HasScopes
  emit: EventSink
  clock: Clock
}): BearerGate {
  const { verifier, resource, metadataUrl, hasScopes = eachForItself, emit, clock } = options
  const dpopAlgorithms = verifier.dpop?.algorithms
  const refuseAs = (
    scheme: 'Bearer' | 'DPoP',
    status: 400 | 401 | 403,
    operation: Operation,
    description: string,
    error?: Challenge['error'],
    headers: Readonly<Record<string, string>> = {},
  ): Refusal => {
    const challenge: Challenge = {
      scheme,
      ...(error && { error, description }),
      // A token that lacks a scope would lack it with a key as well.
      ...(dpopAlgorithms && (scheme === 'DPoP' || status !== 403) && { dpopAlgorithms }),
      metadataUrl,
      scopes: operation.challengeScopes,
      ...(error === 'insufficient_user_authentication' &&
        operation.maxAgeSeconds !== undefined && { maxAgeSeconds: operation.maxAgeSeconds }),
    }
    return {
      response: jsonResponse({ ...(error && { error }), error_description: description }, status, {
        ...headers,
        'WWW-Authenticate': bearerChallenge(challenge),
      }),
      // In a result there is no status, so that an error has to say what is missing when nothing was presented.
      inBand: isMissing(error)
        ? bearerChallenge({ ...challenge, error: error ?? 'insufficient_scope', description })
        : undefined,
    }
  }

  return async (request, operation, further) => {
    const header = request.headers.get('authorization')?.trim()
    // Several headers arrive joined by a comma, which no token contains: which one counts must not be guessed.
    if (header?.includes(',')) {
      return refuseAs('Bearer', 400, operation, 'Send exactly one Authorization header.', 'invalid_request')
    }
    const scheme = schemeOf(header)
    if (!scheme) {
      return operation.needsCaller
        ? refuseAs('Bearer', 401, operation, 'Sign in to use this.')
        : { caller: undefined }
    }
    const refuse = refuseAs.bind(undefined, scheme)
    const value = credentials.exec(header ?? '')?.[1]
    const caller = value === undefined ? invalidToken : await verify(request, scheme, value)
    if (caller === 'unavailable') return { response: unavailableResponse() }
    // On a public operation too: a client that believes to be signed in must learn that it is not.
    if ('error' in caller) {
      return refuse(401, operation, caller.description, caller.error, caller.headers)
    }
    const lacking = refusalOf(caller, operation, refuse)
    if (lacking) return lacking
    const more = further && (await further(caller))
    return (more && refusalOf(caller, more, refuse)) ?? { caller }
  }

  /** What a caller lacks for an operation. */
  function refusalOf(
    caller: Caller | ClientCaller,
    operation: Operation,
    refuse: (
      status: 401 | 403,
      operation: Operation,
      description: string,
      error: Challenge['error'],
    ) => Refusal,
  ): Refusal | undefined {
    // R115. Without a challenge: no scope the client could ask for would make it a user.
    if (caller.principal === 'client' && !operation.allowsClients) {
      const description = 'This is for signed-in users, not for clients by themselves.'
      return { response: jsonResponse({ error: 'access_denied', error_description: description }, 403) }
    }
    // Before the scopes: the challenge names these too, so that one sign-in is enough (RFC 9470 §3).
    if (!isRecent(caller, operation.maxAgeSeconds, clock())) {
      emit({ type: 'authentication_challenged', operation: operation.name })
      const description = 'This needs a sign-in that is not so long ago: sign in again.'
      return refuse(401, operation, description, 'insufficient_user_authentication')
    }
    if (!hasScopes(caller.scopes, operation.scopes)) {
      emit({ type: 'scope_challenged', operation: operation.name, scopes: operation.scopes })
      return refuse(403, operation, 'This needs more than was granted.', 'insufficient_scope')
    }
    return undefined
  }

  function schemeOf(header: string | undefined): 'Bearer' | 'DPoP' | undefined {
    const [scheme] = (header ?? '').toLowerCase().split(' ', 1)
    if (scheme === 'bearer') return 'Bearer'
    return scheme === 'dpop' && verifier.dpop ? 'DPoP' : undefined
  }

  async function verify(
    request: Request,
    scheme: 'Bearer' | 'DPoP',
    value: string,
  ): Promise<Caller | ClientCaller | 'unavailable' | Refused> {
    try {
      return callerOf(await tokenOf(request, scheme, value))
    } catch (error) {
      if (error instanceof OAuthError) {
        const { code, description, headers } = error
        if (code === 'invalid_token') return invalidToken
        if (code === 'invalid_dpop_proof' || code === 'use_dpop_nonce') {
          return { error: code, description, headers }
        }
      }
      if (error instanceof StoreUnavailableError) {
        emit({ type: 'store_unavailable', step: 'bearer gate' })
        return 'unavailable'
      }
      if (error instanceof OAuthError && error.code === 'temporarily_unavailable') return 'unavailable'
      throw error
    }
  }

  /** R159: a token that is bound to a key is no bearer token, and the other way round; both verifiers see to it. */
  async function tokenOf(request: Request, scheme: 'Bearer' | 'DPoP', value: string): Promise<AccessToken> {
    return scheme === 'DPoP' && verifier.dpop
      ? verifier.dpop.verifyAccessToken(request, value, { resource })
      : verifier.verifyAccessToken(value, resource)
  }
}

/** Whether the caller lacks something, rather than having presented something that is wrong. */
const isMissing = (error: Challenge['error']): boolean =>
  error === undefined || error === 'insufficient_scope' || error === 'insufficient_user_authentication'

const invalidToken: Refused = {
  error: 'invalid_token',
  description: 'The access token is not valid here, or has ended.',
}

/** The gate of a server without sign-in: everything is public, credentials mean nothing. */
export const openGate: BearerGate = async () => ({ caller: undefined })
