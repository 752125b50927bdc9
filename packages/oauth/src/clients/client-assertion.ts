import { z } from 'zod'
import type { Clock, RandomBytes } from '../runtime.ts'
import type { SingleUseStore } from '../storage/store.ts'
import { type AssertionAlgorithm, assertionAlgorithms } from './assertion-algorithms.ts'
import type { ClientKeyFinder, ClientKeySource } from './client-keys.ts'
import {
  audienceClaim,
  claimAssertion,
  decodeAssertion,
  isSignedByOneOf,
  isTimely,
  textClaim,
} from './signed-assertion.ts'

/** How one client proves itself by `private_key_jwt`. */
export interface AssertionRules {
  keys: ClientKeySource
  /** The one algorithm it is registered with; undefined: any that is supported. */
  algorithm: AssertionAlgorithm | undefined
  /** Takes the token endpoint's URL as the audience too. Off but for clients that know no better. */
  acceptTokenEndpointAudience: boolean
}

/** An assertion taken apart: everything that can be seen without a key is in order. Proves nothing. */
export interface ParsedAssertion {
  /** What it says it comes from: `iss` and `sub`, which are equal. */
  clientId: string
  value: string
  audience: string
  jti: string
  expiresAt: number
  algorithm: AssertionAlgorithm
  keyId: string | undefined
}

/** The client assertions of RFC 7523 §2.2, as RFC 7523bis tightens them. */
export interface ClientAssertions {
  /** Undefined when it cannot be an assertion for this server now. Costs no I/O (R38). */
  parse(value: string): ParsedAssertion | undefined
  /**
   * Whether one of the client's own keys made it; undefined when not.
   *
   * @throws {OAuthError} `temporarily_unavailable` when the client's keys cannot be fetched
   */
  verify(
    clientId: string,
    rules: AssertionRules,
    assertion: ParsedAssertion,
  ): Promise<
    | {
        /**
         * Claims its `jti`; false when it had been claimed before.
         *
         * @throws {StoreUnavailableError}
         */
        claim(): Promise<boolean>
      }
    | undefined
  >
}

/** R116: longest life of an assertion, in seconds. */
const maxLifeSeconds = 600

/**
 * R119: assertions are made with no type at all, with the type of any JWT, or with the one RFC 7523bis gives them.
 * What names another purpose is not an assertion, whoever signed it.
 */
const types: readonly string[] = ['jwt', 'client-authentication+jwt']
const isAssertionType = (typ: string) => types.includes(typ.toLowerCase().replace(/^application\//, ''))

const headerSchema = z.object({
  alg: z.enum(assertionAlgorithms),
  kid: z.string().optional(),
  typ: z.string().refine(isAssertionType).optional(),
})
const claimsSchema = z
  .object({
    iss: textClaim,
    sub: textClaim,
    aud: audienceClaim,
    jti: textClaim,
    exp: z.number(),
    iat: z.number().optional(),
    nbf: z.number().optional(),
  })
  .refine(({ iss, sub }) => iss === sub)

/** Makes the verifier of client assertions. */
export function createClientAssertions(options: {
  /** The audience of every assertion. */
  issuer: string
  /** The audience that clients with the legacy switch may name instead. */
  tokenEndpoint: string
  store: SingleUseStore
  keys: ClientKeyFinder
  clock: Clock
  random: RandomBytes
}): ClientAssertions {
  const { issuer, tokenEndpoint, store, keys, clock, random } = options

  const parse: ClientAssertions['parse'] = value => {
    const decoded = decodeAssertion(value, { header: headerSchema, claims: claimsSchema })
    if (!decoded) return undefined
    const { iss, aud, jti, exp } = decoded.claims
    if (!isTimely(decoded.claims, { now: clock(), maxLifeSeconds })) return undefined
    if (aud !== issuer && aud !== tokenEndpoint) return undefined
    const { alg, kid } = decoded.header
    return { clientId: iss, value, audience: aud, jti, expiresAt: exp, algorithm: alg, keyId: kid }
  }

  return {
    parse,
    async verify(clientId, rules, assertion) {
      const { audience, algorithm, jti, expiresAt } = assertion
      const isFor = audience === issuer || rules.acceptTokenEndpointAudience
      if (assertion.clientId !== clientId || !isFor) return undefined
      if (rules.algorithm !== undefined && algorithm !== rules.algorithm) return undefined
      const isGenuine = await isSignedByOneOf(await keys(rules.keys, assertion), {
        value: assertion.value,
        algorithm,
        issuer: clientId,
        subject: clientId,
        audience,
        now: clock(),
      })
      if (!isGenuine) return undefined
      return { claim: () => claimAssertion({ store, clock, random }, [clientId, jti], expiresAt) }
    },
  }
}
