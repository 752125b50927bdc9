import { decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose'
import { z } from 'zod'
import { sha256 } from '../protocol/hash.ts'
import type { Clock, RandomBytes } from '../runtime.ts'
import { operationId } from '../storage/operation-id.ts'
import type { SingleUseStore } from '../storage/store.ts'
import { type AssertionAlgorithm, assertionAlgorithms } from './assertion-algorithms.ts'
import type { ClientKeyFinder, ClientKeySource } from './client-keys.ts'

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

/** Longest assertion that is looked at, in characters. The client_id of a registration is in it twice. */
const maxLength = 16_384
/** R116: how far two clocks may be apart, in seconds. */
const skewSeconds = 60
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
const text = z.string().min(1).max(4_096)
const claimsSchema = z
  .object({
    iss: text,
    sub: text,
    // R117: one audience. A second one is a server that could replay the assertion here, or ours there.
    aud: z.union([text, z.tuple([text])]),
    jti: text,
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
    if (value.length > maxLength) return undefined
    const header = headerSchema.safeParse(attempt(() => decodeProtectedHeader(value)))
    const claims = claimsSchema.safeParse(attempt(() => decodeJwt(value)))
    if (!header.success || !claims.success) return undefined
    const { iss, aud, jti, exp, iat = 0, nbf = 0 } = claims.data
    const audience = typeof aud === 'string' ? aud : aud[0]
    const now = clock()
    const isTimely =
      exp > now - skewSeconds &&
      exp <= now + maxLifeSeconds + skewSeconds &&
      Math.max(iat, nbf) <= now + skewSeconds &&
      (iat === 0 || exp - iat <= maxLifeSeconds + skewSeconds)
    if (!isTimely || (audience !== issuer && audience !== tokenEndpoint)) return undefined
    const { alg, kid } = header.data
    return { clientId: iss, value, audience, jti, expiresAt: Math.ceil(exp), algorithm: alg, keyId: kid }
  }

  return {
    parse,
    async verify(clientId, rules, assertion) {
      const { audience, algorithm, jti, expiresAt } = assertion
      const isFor = audience === issuer || rules.acceptTokenEndpointAudience
      if (assertion.clientId !== clientId || !isFor) return undefined
      if (rules.algorithm !== undefined && algorithm !== rules.algorithm) return undefined
      // R116: keys come from the registration; `jwk`, `jku`, `x5u` and `x5c` of the header are never looked at.
      for (const key of await keys(rules.keys, assertion)) {
        const isGenuine = await jwtVerify(assertion.value, key, {
          algorithms: [algorithm],
          issuer: clientId,
          subject: clientId,
          audience,
          clockTolerance: skewSeconds,
          currentDate: new Date(clock() * 1000),
        }).then(
          () => true,
          () => false,
        )
        if (!isGenuine) continue
        return {
          async claim() {
            const outcome = await store.claimSingleUse({
              kind: 'jti',
              // R118: the decoded claim. One assertion has many spellings in base64url.
              idHash: sha256(JSON.stringify([clientId, jti])),
              expiresAt: expiresAt + skewSeconds + 1,
              operationId: operationId(random),
              now: clock(),
            })
            return outcome === 'claimed'
          },
        }
      }
      return undefined
    },
  }
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}
