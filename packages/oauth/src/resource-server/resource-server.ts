import { LRUCache } from 'lru-cache'
import { z } from 'zod'
import { ConfigurationError, OAuthError } from '../errors.ts'
import { type Clock, systemClock } from '../runtime.ts'
import type { UserStore } from '../storage/store.ts'
import type { AccessToken, AccessTokenVerifier } from '../tokens/access-token.ts'
import { invalidToken } from '../tokens/read-access-token.ts'
import type { IssuerFetch } from './fetch-json.ts'
import { type IntrospectionCredentials, introspectToken } from './introspection.ts'
import { toAccessToken } from './issuer-claims.ts'
import { createIssuerKeys } from './issuer-keys.ts'
import { createIssuerMetadata, isSecureUrl } from './issuer-metadata.ts'
import { readIssuerToken } from './read-issuer-token.ts'

/** Trust in an authorization server that is not ours (Keycloak, Auth0, Entra …). */
export interface ResourceServerOptions {
  /** Issuer identifier, byte for byte as the issuer writes it. */
  issuer: string
  /** What `aud` of its tokens must hold. Default: the resource that is asked for. */
  audience?: string
  /** Credentials for introspection of tokens that are no JWT. Default: such tokens are refused. */
  introspection?: IntrospectionCredentials
  /** Where users get the id they have in a store. Default: none, the id is a hash of issuer and subject. */
  users?: Pick<UserStore, 'findOrPutUser' | 'isUserDisabled'>
  fetch?: IssuerFetch
  clock?: Clock
  /** How many verified tokens are remembered. Default 10000. */
  cacheSize?: number
}

/** Verifies the access tokens of a foreign issuer. */
export interface ResourceServer extends AccessTokenVerifier {
  /**
   * Reads the issuer's metadata, so that a wrong address is seen at start.
   *
   * @throws {ConfigurationError} when what is there is not this issuer, or it has no keys
   * @throws {OAuthError} `temporarily_unavailable` when it cannot be reached now; requests try again
   */
  start(): Promise<void>
}

/** Longest token that is looked at, in characters. Entra's, with groups, are long. */
const maxLength = 16_384
/** How long a verified token is believed without a look at the keys, in seconds. */
const believedSeconds = 300
/** The same for what the issuer was asked about: a revocation there is seen here as late as this (R157). */
const introspectedSeconds = 60
const inactiveSeconds = 10
/** Seconds after which a user who never came back is forgotten: 400 days. */
const userSeconds = 400 * 86_400

const optionsSchema = z.object({
  issuer: z.string().refine(isSecureUrl),
  audience: z.string().min(1).optional(),
  introspection: z.object({ clientId: z.string().min(1), clientSecret: z.string().min(1) }).optional(),
})

/**
 * Creates a resource server of a foreign issuer: discovery (RFC 8414), its keys, and introspection (RFC 7662) where
 * credentials for it are given. Verified tokens are kept for up to five minutes, introspected ones for one, so that
 * most requests need no I/O.
 *
 * @throws {ConfigurationError} when the options cannot work
 */
export function createResourceServer(options: ResourceServerOptions): ResourceServer {
  const parsed = optionsSchema.safeParse(options)
  if (!parsed.success) {
    const name = parsed.error.issues[0]?.path.join('.') ?? ''
    throw new ConfigurationError(
      name === 'issuer'
        ? 'The option issuer must be the https URL of an authorization server, as it stands in its metadata.'
        : `The option ${name} of the issuer must be a text that is not empty.`,
    )
  }
  const { issuer, introspection, users, fetch = globalThis.fetch, clock = systemClock } = options
  const metadata = createIssuerMetadata({ issuer, fetch, clock })
  const keys = createIssuerKeys({ location: keysLocation, fetch, clock })
  const verified = new LRUCache<string, { token: AccessToken; until: number }>({
    max: options.cacheSize ?? 10_000,
  })
  /** Apart, so that a stream of guesses does not push out what is good. */
  const inactive = new LRUCache<string, number>({ max: 1_000 })

  async function keysLocation(): Promise<string> {
    const { jwksUri } = await metadata()
    if (jwksUri !== undefined) return jwksUri
    throw new ConfigurationError(
      `The issuer ${issuer} publishes no jwks_uri: give it introspection credentials.`,
    )
  }

  async function introspectionEndpoint(): Promise<string> {
    const { introspectionEndpoint } = await metadata()
    if (introspectionEndpoint !== undefined) return introspectionEndpoint
    throw new ConfigurationError(
      `The issuer ${issuer} has no introspection_endpoint: leave out the option introspection.`,
    )
  }

  async function read(value: string, resource: string): Promise<{ token: AccessToken; seconds: number }> {
    const audience = options.audience ?? resource
    const local = isJwt(value)
    if (!local && !introspection) throw invalidToken('not valid', 'not a JWT')
    const claims =
      local || !introspection
        ? await readIssuerToken({ issuer, audience, keys, clock }, value)
        : await introspectToken(
            { issuer, audience, endpoint: await introspectionEndpoint(), credentials: introspection, fetch },
            value,
          )
    // RFC 7662 §2.2: an answer may leave out the end; then it is believed for as long as it is remembered.
    const exp = claims.exp ?? clock() + introspectedSeconds
    const token = toAccessToken({ ...claims, exp }, { issuer, resource, value })
    if (token.expiresAt <= clock()) throw invalidToken('expired', 'exp')
    return { token: await withStoredUser(token), seconds: local ? believedSeconds : introspectedSeconds }
  }

  /** The id the user has in the store, where sign-ins for connections know them by the same identity. */
  async function withStoredUser(token: AccessToken): Promise<AccessToken> {
    if (!users || token.principal === 'client') return token
    const now = clock()
    const userId = await users.findOrPutUser({
      identityHash: token.userId,
      userId: token.userId,
      expiresAt: now + userSeconds,
      now,
    })
    if (await users.isUserDisabled({ userId, now })) throw invalidToken('revoked', 'user disabled')
    return Object.freeze({ ...token, userId })
  }

  return {
    async start() {
      const { jwksUri } = await metadata()
      if (introspection) await introspectionEndpoint()
      else if (jwksUri === undefined) await keysLocation()
    },
    async verifyAccessToken(value, resource) {
      if (value.length > maxLength) throw invalidToken('not valid', 'too long')
      const before = verified.get(value)
      // R153: verified for one resource is not verified for another.
      if (before && before.until > clock() && before.token.resource === resource) return before.token
      if ((inactive.get(value) ?? 0) > clock()) throw invalidToken('not valid', 'known to be inactive')
      try {
        const { token, seconds } = await read(value, resource)
        verified.set(value, { token, until: Math.min(clock() + seconds, token.expiresAt) })
        return token
      } catch (error) {
        // What the issuer was asked about, and only that: a JWT costs it nothing, and its key may be known soon.
        if (!isJwt(value) && error instanceof OAuthError && error.code === 'invalid_token') {
          inactive.set(value, clock() + inactiveSeconds)
        }
        throw error
      }
    },
    close() {
      verified.clear()
      inactive.clear()
    },
  }
}

const isJwt = (value: string): boolean => value.split('.').length === 3
