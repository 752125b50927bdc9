import type { Clock } from '@sallyport/oauth'
import { errors, type JWTPayload, type JWTVerifyResult, jwtVerify } from 'jose'
import { z } from 'zod'
import { tenantPlaceholder } from './issuer.ts'
import { createRemoteKeys } from './remote-keys.ts'
import { UpstreamError } from './upstream-error.ts'
import type { UpstreamServer } from './upstream-server.ts'

/** Who signed in, as a verified id_token says. */
export interface Identity {
  /** Canonical issuer of the provider, whichever form the token carries. */
  issuer: string
  subject: string
  name?: string
  /** Where its owner gets mail there: to recognise the account by, never an identity (R76). */
  email?: string
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

/** Microsoft's claims: the tenant, and the user's id in it. */
const tenantSchema = z.object({ tid: z.guid(), oid: z.guid() })

export type IdTokenVerifier = (idToken: string, expectation: IdTokenExpectation) => Promise<Identity>

/** An id_token that is not acceptable. Its message may name a claim, never what is in one. */
export class IdTokenError extends Error {
  override readonly name = 'IdTokenError'
  /** Whether it is of another time: of a token that comes from the exchange, the clocks are far apart. */
  readonly isOfAnotherTime: boolean
  constructor(reason: string, { isOfAnotherTime = false } = {}) {
    super(`id_token refused: ${reason}`)
    this.isOfAnotherTime = isOfAnotherTime
  }
}

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
  email: z.string().min(1).max(254).optional().catch(undefined),
  auth_time: z.int().positive().optional().catch(undefined),
  amr: z.array(z.string()).max(20).optional().catch(undefined),
  acr: z.string().min(1).max(200).optional().catch(undefined),
})

/**
 * Creates the check of id_tokens (OpenID Connect Core §3.1.3.7; R75), with the provider's keys fetched within
 * limits and cached. The returned function throws `UpstreamError` of class `transient` when the keys cannot be
 * had now, and `IdTokenError` when the token is not acceptable.
 */
export function createIdTokenVerifier(clock: Clock): IdTokenVerifier {
  const keysOf = createRemoteKeys()
  return async (idToken, { server, clientId, nonce }) => {
    if (server.jwksUri === undefined) throw new IdTokenError('no keys')
    const keys = keysOf(server.jwksUri)
    const isPerTenant = server.issuers[0].includes(tenantPlaceholder)
    let verified: JWTVerifyResult
    try {
      verified = await jwtVerify(idToken, keys, {
        algorithms: [...server.idTokenAlgorithms],
        ...(!isPerTenant && { issuer: [...server.issuers] }),
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
      throw new IdTokenError('wrong typ')
    }
    const claims = claimsSchema.safeParse(payload)
    if (!claims.success) throw new IdTokenError('wrong claims')
    const { azp, name, email, auth_time, amr, acr } = claims.data
    if (azp !== undefined && azp !== clientId) throw new IdTokenError('wrong azp')
    if (nonce !== undefined && claims.data.nonce !== nonce) throw new IdTokenError('wrong nonce')
    const kid = protectedHeader.kid
    const key = keys.jwks()?.keys.find(key => key.kid === kid) as { issuer?: unknown } | undefined
    return {
      ...(isPerTenant
        ? identifyInTenant(payload, server, key?.issuer)
        : { issuer: server.issuers[0], subject: claims.data.sub }),
      ...(name !== undefined && { name }),
      ...(email !== undefined && { email }),
      ...(auth_time !== undefined &&
        auth_time <= clock() + clockToleranceSeconds && { authTime: Math.min(auth_time, clock()) }),
      ...(amr !== undefined && { amr }),
      ...(acr !== undefined && { acr }),
    }
  }
}

/**
 * Microsoft: the issuer names the tenant, and within it `oid` is the user, for every application alike. `sub`, which
 * is another for each application, would make a new user of everybody when the application is registered anew.
 */
function identifyInTenant(
  payload: JWTPayload,
  { issuers, tenants }: UpstreamServer,
  keyIssuer: unknown,
): Pick<Identity, 'issuer' | 'subject'> {
  const claims = tenantSchema.safeParse(payload)
  if (!claims.success) throw new IdTokenError('wrong tid or oid')
  const { tid, oid } = claims.data
  const ofTenant = (issuer: string) => issuer.replace(tenantPlaceholder, tid)
  const issuer = issuers.map(ofTenant).find(issuer => issuer === payload.iss)
  if (issuer === undefined) throw new IdTokenError('wrong iss')
  // A key may be good for one tenant only; that of another must not sign for this one.
  if (typeof keyIssuer === 'string' && ofTenant(keyIssuer) !== issuer) {
    throw new IdTokenError('key of another issuer')
  }
  if (tenants && !tenants(tid)) throw new IdTokenError('wrong tenant')
  return { issuer, subject: oid }
}

/** jose hangs the whole payload, with the user's name and address, on its errors; only the reason goes on. */
function withoutClaims(error: unknown): Error {
  if (error instanceof UpstreamError) return error
  const code = error instanceof errors.JOSEError ? error.code : 'unreadable'
  const isAboutClaim = error instanceof errors.JWTClaimValidationFailed || error instanceof errors.JWTExpired
  const isOfAnotherTime =
    isAboutClaim && ['exp', 'iat', 'nbf'].includes(error.claim) && error.reason !== 'missing'
  return new IdTokenError(`${code}${isAboutClaim ? ` (${error.claim})` : ''}`, { isOfAnotherTime })
}
