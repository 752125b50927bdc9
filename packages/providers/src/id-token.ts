import type { Clock } from '@sallyport/oauth'
import {
  createRemoteJWKSet,
  customFetch,
  errors,
  type JWTVerifyResult,
  jwtVerify,
  type RemoteJWKSet,
} from 'jose'
import { z } from 'zod'
import { fetchLimited } from './limited-fetch.ts'
import type { UpstreamServer } from './provider-definition.ts'
import { UpstreamError } from './upstream-error.ts'

/** Who signed in, as a verified id_token says. */
export interface Identity {
  /** Canonical issuer of the provider, whichever form the token carries. */
  issuer: string
  subject: string
  name?: string
  authTime?: number
  amr?: string[]
  acr?: string
}

export interface IdTokenExpectation {
  server: UpstreamServer
  clientId: string
  /** The nonce that was sent; undefined when the provider echoes none. */
  nonce: string | undefined
}

export type IdTokenVerifier = (idToken: string, expectation: IdTokenExpectation) => Promise<Identity>

/** How far our clock and the provider's may differ, and how old a token from the exchange may be, in seconds. */
const clockToleranceSeconds = 120
const maxAgeSeconds = 3600

const claimsSchema = z.object({
  sub: z.string().min(1).max(255),
  // OpenID Connect Core §3.1.3.7 (3): we trust no audience besides ourselves, so the list has one entry.
  aud: z.union([z.string(), z.tuple([z.string()])]),
  azp: z.string().optional(),
  nonce: z.string().optional(),
  // For display and step-up only; a provider that writes them its own way must not stop a sign-in.
  name: z.string().min(1).max(200).optional().catch(undefined),
  auth_time: z.int().positive().optional().catch(undefined),
  amr: z.array(z.string()).max(20).optional().catch(undefined),
  acr: z.string().min(1).max(200).optional().catch(undefined),
})

/**
 * Creates the check of id_tokens (OpenID Connect Core §3.1.3.7; R75), with the provider's keys fetched within
 * limits and cached. The returned function throws `UpstreamError` of class `transient` when the keys cannot be
 * had now, and another error, which may name a claim, when the token is not acceptable.
 */
export function createIdTokenVerifier(clock: Clock): IdTokenVerifier {
  let keySource: { uri: string; keys: RemoteJWKSet } | undefined
  const keysOf = (uri: string) => {
    if (keySource?.uri !== uri) {
      keySource = { uri, keys: createRemoteJWKSet(new URL(uri), { [customFetch]: fetchJwks }) }
    }
    return keySource.keys
  }
  return async (idToken, { server, clientId, nonce }) => {
    let verified: JWTVerifyResult
    try {
      verified = await jwtVerify(idToken, keysOf(server.jwksUri), {
        algorithms: [...server.idTokenAlgorithms],
        issuer: [...server.issuers],
        audience: clientId,
        requiredClaims: ['sub', 'exp', 'iat'],
        clockTolerance: clockToleranceSeconds,
        maxTokenAge: maxAgeSeconds,
        currentDate: new Date(clock() * 1000),
      })
    } catch (error) {
      throw withoutClaims(error)
    }
    const { payload, protectedHeader } = verified
    // An access token of the same issuer (`at+jwt`) is not an id_token (RFC 9068 §5).
    if (protectedHeader.typ !== undefined && !/^(application\/)?jwt$/i.test(protectedHeader.typ)) {
      throw new Error('id_token refused: wrong typ')
    }
    const claims = claimsSchema.safeParse(payload)
    if (!claims.success) throw new Error('id_token refused: wrong claims')
    const { sub, azp, name, auth_time, amr, acr } = claims.data
    if (azp !== undefined && azp !== clientId) throw new Error('id_token refused: wrong azp')
    if (nonce !== undefined && claims.data.nonce !== nonce) throw new Error('id_token refused: wrong nonce')
    return {
      issuer: server.issuers[0],
      subject: sub,
      ...(name !== undefined && { name }),
      ...(auth_time !== undefined &&
        auth_time <= clock() + clockToleranceSeconds && { authTime: Math.min(auth_time, clock()) }),
      ...(amr !== undefined && { amr }),
      ...(acr !== undefined && { acr }),
    }
  }
}

/** jose hangs the whole payload, with the user's name and address, on its errors; only the reason goes on. */
function withoutClaims(error: unknown): Error {
  if (error instanceof UpstreamError) return error
  const code = error instanceof errors.JOSEError ? error.code : 'unreadable'
  const isAboutClaim = error instanceof errors.JWTClaimValidationFailed || error instanceof errors.JWTExpired
  return new Error(`id_token refused: ${code}${isAboutClaim ? ` (${error.claim})` : ''}`)
}

const jwksLimits = { timeoutMs: 5_000, maxBytes: 256 * 1024 }

async function fetchJwks(url: string, init: RequestInit): Promise<Response> {
  const response = await fetchLimited(url, init, jwksLimits).catch(() => undefined)
  if (response?.status !== 200) throw new UpstreamError('transient')
  return new Response(response.text)
}
