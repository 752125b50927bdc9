import { z } from 'zod'
import { type AssertionAlgorithm, assertionAlgorithms } from '../clients/assertion-algorithms.ts'
import {
  audienceClaim,
  claimAssertion,
  decodeAssertion,
  isSignedByOneOf,
  isTimely,
  textClaim,
} from '../clients/signed-assertion.ts'
import { OAuthError } from '../errors.ts'
import type { AssertionProblem } from '../events.ts'
import type { Clock, RandomBytes } from '../runtime.ts'
import type { SingleUseStore } from '../storage/store.ts'
import type { TrustedIssuer } from './enterprise-issuers.ts'
import type { IssuerKeyFinder } from './issuer-keys.ts'

/** An Identity Assertion JWT Authorization Grant (ID-JAG) that a trusted issuer made for this server and this client. */
export interface IdentityAssertion {
  issuer: TrustedIssuer
  subject: string
  /** Present when the issuer serves several tenants. */
  tenant: string | undefined
  /** As the assertion writes them. */
  resources: readonly string[]
  /** Undefined when the assertion does not limit them. */
  scope: string | undefined
  /** When the user authenticated at the issuer, as far as it says; seconds since the epoch. */
  authTime: number | undefined
  amr: readonly string[]
  acr: string | undefined
  /**
   * Claims its `jti`; false when it had been claimed before (R127).
   *
   * @throws {StoreUnavailableError}
   */
  claim(): Promise<boolean>
}

/** `issuer`: the one it says it comes from, if that is trusted. */
export type AssertionOutcome =
  | { outcome: 'verified'; assertion: IdentityAssertion }
  | { outcome: 'refused'; problem: AssertionProblem; issuer: string | undefined }
  /** The keys of the issuer cannot be read now. */
  | { outcome: 'unavailable'; issuer: string; error: OAuthError }

export interface IdentityAssertions {
  /**
   * Verifies an assertion that this client brings, and uses nothing up.
   *
   * @param dpopJkt thumbprint of the key that the client has proven to hold
   */
  verify(value: string, clientId: string, dpopJkt?: string): Promise<AssertionOutcome>
}

/** R124: longest life of an assertion, in seconds. */
const maxLifeSeconds = 300

const headerSchema = z.object({
  // R119, R120: a JWT of any other type is something else, whoever signed it.
  typ: z.literal('oauth-id-jag+jwt'),
  alg: z.enum(assertionAlgorithms),
  kid: z.string().optional(),
})
const claimsSchema = z.object({
  iss: textClaim,
  sub: textClaim,
  aud: audienceClaim,
  client_id: textClaim,
  jti: textClaim,
  exp: z.number(),
  iat: z.number(),
  nbf: z.number().optional(),
  // Optional in the draft. Without it an assertion would be good for every resource this server ever gets.
  resource: z.union([textClaim.transform(one => [one]), z.array(textClaim).min(1).max(20)]),
  scope: z.string().optional(),
  tenant: textClaim.optional(),
  auth_time: z.int().nonnegative().optional(),
  acr: z.string().min(1).max(200).optional(),
  amr: z.array(z.string().min(1).max(100)).max(20).default([]),
  cnf: z.unknown().optional(),
  authorization_details: z.unknown().optional(),
})
type Claims = z.infer<typeof claimsSchema>

/** Makes the verifier of identity assertions (draft-ietf-oauth-identity-assertion-authz-grant §4.4.1). */
export function createIdentityAssertions(options: {
  /** The authorization server's own: the audience of every assertion. */
  issuer: string
  trusted: ReadonlyMap<string, TrustedIssuer>
  store: SingleUseStore
  keys: IssuerKeyFinder
  clock: Clock
  random: RandomBytes
}): IdentityAssertions {
  const { issuer: own, trusted, store, keys, clock, random } = options

  /** What can be seen without a key, in order; undefined when nothing speaks against it. Costs no I/O (R121). */
  const problemOf = (
    claims: Claims,
    algorithm: AssertionAlgorithm,
    { algorithms, clients, tenants }: TrustedIssuer,
    clientId: string,
    dpopJkt: string | undefined,
  ): AssertionProblem | undefined => {
    if (!algorithms.includes(algorithm)) return 'algorithm'
    if (claims.aud !== own) return 'audience'
    // R123: stolen, it is of no use to any other client.
    if (claims.client_id !== clientId || clients?.includes(clientId) === false) return 'client'
    if (!isTimely(claims, { now: clock(), maxLifeSeconds })) return 'time'
    // R128: one sub of two tenants is two people. An issuer that names tenants must be configured with them.
    const isTenantTrusted =
      tenants === undefined
        ? claims.tenant === undefined
        : claims.tenant !== undefined && tenants.includes(claims.tenant)
    if (!isTenantTrusted) return 'tenant'
    // R126: what limits an assertion and is not understood must not be passed over. A key is: it must be proven.
    const isKeyProven = claims.cnf === undefined || isBoundTo(claims.cnf, dpopJkt)
    if (!isKeyProven || claims.authorization_details !== undefined) return 'constraint'
    return undefined
  }

  return {
    async verify(value, clientId, dpopJkt) {
      const decoded = decodeAssertion(value, { header: headerSchema, claims: claimsSchema })
      if (!decoded) return { outcome: 'refused', problem: 'malformed', issuer: undefined }
      const { header, claims } = decoded
      const trust = trusted.get(claims.iss)
      if (!trust) return { outcome: 'refused', problem: 'issuer', issuer: undefined }
      const { issuer } = trust
      const problem = problemOf(claims, header.alg, trust, clientId, dpopJkt)
      if (problem) return { outcome: 'refused', problem, issuer }
      const found = await keys(trust, { keyId: header.kid, algorithm: header.alg }).catch(error => {
        if (error instanceof OAuthError) return error
        throw error
      })
      if (found instanceof OAuthError) return { outcome: 'unavailable', issuer, error: found }
      const isGenuine = await isSignedByOneOf(found, {
        value,
        algorithm: header.alg,
        issuer,
        subject: claims.sub,
        audience: own,
        now: clock(),
      })
      if (!isGenuine) return { outcome: 'refused', problem: 'signature', issuer }
      const id = ['id-jag', claims.iss, claims.jti]
      return {
        outcome: 'verified',
        assertion: {
          issuer: trust,
          subject: claims.sub,
          tenant: claims.tenant,
          resources: claims.resource,
          scope: claims.scope,
          authTime: claims.auth_time === undefined ? undefined : Math.min(claims.auth_time, clock()),
          amr: claims.amr,
          acr: claims.acr,
          claim: () => claimAssertion({ store, clock, random }, id, claims.exp),
        },
      }
    },
  }
}

/** Whether a `cnf` names this key, and nothing else (RFC 9449 §6.1). */
function isBoundTo(cnf: unknown, dpopJkt: string | undefined): boolean {
  const bond = z.strictObject({ jkt: z.string() }).safeParse(cnf)
  return bond.success && bond.data.jkt === dpopJkt
}
