import {
  type AccessTokenVerifier,
  type Clock,
  ConfigurationError,
  createResourceServer,
  OAuthError,
  type ResourceServerOptions,
} from '@sallyport/oauth'
import type { BearerGate } from './bearer-gate.ts'
import type { Log } from './log.ts'
import { type Offer, offerName } from './offers.ts'
import type { Operation } from './operation.ts'
import { baseScope } from './scopes.ts'
import type { AccessRule } from './tools/access-rule.ts'

/** Trust in an authorization server that is not ours, such as Keycloak, Auth0 or Entra. */
export interface ExternalIssuer
  extends Pick<ResourceServerOptions, 'issuer' | 'audience' | 'introspection' | 'fetch'> {}

/** The verifier of a foreign issuer's tokens, and how it starts. */
export interface TrustedIssuer extends AccessTokenVerifier {
  /** The issuer identifier. */
  readonly issuer: string
  /** A token bound to a key of its client is refused (R159). */
  readonly dpop: undefined
  /**
   * Looks at the issuer. One that cannot be reached now is a warning: requests find out when it is back.
   *
   * @throws {ConfigurationError} when there is no such issuer, or it cannot be used as configured
   */
  start(): Promise<void>
}

/** The issuer that is trusted, whichever way the option is written. */
export const externalIssuer = (option: string | ExternalIssuer): ExternalIssuer =>
  typeof option === 'string' ? { issuer: option } : option

/**
 * A server with an issuer and without sign-in has no store for what users connect.
 *
 * @throws {ConfigurationError} when an offer needs a provider
 */
export function checkIssuerOffer(offer: Offer, rule: AccessRule): void {
  const [provider] = rule.providers.keys()
  if (provider === undefined) return
  throw new ConfigurationError(
    `${offerName(offer)} needs provider "${provider}", and with issuer alone nothing keeps what users connect: ` +
      'give createServer the option signIn too, a provider for the same people, such as oidc() with the same issuer.',
  )
}

/**
 * Creates the verifier of the issuer's tokens.
 *
 * @param options.users where its users have the id that their connections are kept under
 * @throws {ConfigurationError} when the option cannot work
 */
export function createTrustedIssuer(
  option: string | ExternalIssuer,
  options: { users: ResourceServerOptions['users']; clock: Clock; log: Pick<Log, 'warn' | 'error'> },
): TrustedIssuer {
  const { users, clock, log } = options
  const trusted = externalIssuer(option)
  const server = createResourceServer({ ...trusted, ...(users && { users }), clock })
  return {
    issuer: trusted.issuer,
    dpop: undefined,
    async start() {
      try {
        await server.start()
      } catch (error) {
        if (!(error instanceof OAuthError) || error.code !== 'temporarily_unavailable') throw error
        log.warn(
          { issuer: trusted.issuer },
          'the issuer of tokens cannot be reached; protected calls are answered 503 until it can',
        )
      }
    },
    async verifyAccessToken(value, resource) {
      try {
        return await server.verifyAccessToken(value, resource)
      } catch (error) {
        // The issuer came up after us, and is not what it should be: no fault of the client's, whose sign-in stays.
        const problem = error instanceof OAuthError ? error.cause : error
        if (!(problem instanceof ConfigurationError)) throw error
        log.error({ issuer: trusted.issuer }, problem.message)
        throw new OAuthError('temporarily_unavailable', 'Tokens cannot be verified now.', { cause: error })
      }
    },
    close: () => server.close(),
  }
}

/** The base scope is ours alone: a foreign issuer would refuse a client that asks for it. */
export function withoutBaseScope(gate: BearerGate): BearerGate {
  // Operations of one offer are one object, and calls are many.
  const known = new WeakMap<Operation, Operation>()
  const foreign = (operation: Operation): Operation => {
    const before = known.get(operation)
    if (before) return before
    const challengeScopes = operation.challengeScopes.filter(
      scope => scope !== baseScope || operation.scopes.includes(scope),
    )
    const after = { ...operation, challengeScopes }
    known.set(operation, after)
    return after
  }
  return (request, operation, further) =>
    gate(
      request,
      foreign(operation),
      further &&
        (async caller => {
          const more = await further(caller)
          return more && foreign(more)
        }),
    )
}
