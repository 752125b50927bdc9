import type { ProviderHost } from '@sallyport/mcp-server'
import {
  type Connection,
  hashIdentity,
  type SecurityEvent,
  SecurityEventError,
  type SecurityEventReceiver,
  type SecurityEventToken,
} from '@sallyport/oauth'
import { compactVerify, decodeProtectedHeader, errors, type ProtectedHeaderParameters } from 'jose'
import { z } from 'zod'
import { createCachedDocument } from './cached-document.ts'
import type { ActiveConnection, ConnectionVault } from './connection-vault.ts'
import { isNamedAs } from './issuer.ts'
import { asObject, type JsonObject, parseJson } from './json.ts'
import { createRemoteKeys } from './remote-keys.ts'
import { isSecureUrl } from './secure-url.ts'

/** How a provider tells what happens to accounts (RISC). */
export interface SecurityEventDefinition {
  /** Address of the document that names issuer and keys. */
  configuration: string
  /** Values of `iss` that are this provider, without a slash at the end. */
  issuers: readonly [string, ...string[]]
  /** Clients of the same deployer, beside the one in use, that events may be addressed to. */
  clientIds: readonly string[]
  /**
   * The claim `events` in our words.
   *
   * @throws {SecurityEventError} `invalid_request`
   */
  readEvents(events: JsonObject): Promise<SecurityEvent[]>
}

/** How old a token may be, in seconds: seven days, and so long its id is remembered. */
const maxAgeSeconds = 7 * 86_400

/** Google signs with it, and what anything else says of itself is not believed (RFC 8725 §3.1). */
const algorithm = 'RS256'

/** How often a connection is looked at again because somebody else wrote. */
const maxRounds = 5

const configurationSchema = z.object({
  issuer: z.string(),
  jwks_uri: z.string().refine(isSecureUrl),
})
const claimsSchema = z.object({
  iss: z.string(),
  aud: z.union([z.string(), z.array(z.string()).max(100)]),
  jti: z.string().min(1).max(1024),
  iat: z.int().nonnegative(),
  events: z.record(z.string(), z.unknown()),
})

/**
 * Creates what reads the security event tokens of a provider and ends the connections they are about.
 *
 * @see RFC 8417 §2, RFC 8935 §2
 */
export function createSecurityEventReceiver(
  definition: SecurityEventDefinition,
  parts: {
    provider: string
    clientId: string
    vault: Pick<ConnectionVault, 'find' | 'end'>
    host: Pick<ProviderHost, 'store' | 'clock' | 'emit'>
  },
): SecurityEventReceiver {
  const { provider, vault } = parts
  const { store, clock, emit } = parts.host
  const { issuers } = definition
  const audiences = [parts.clientId, ...definition.clientIds]
  const keysOf = createRemoteKeys()
  const configuration = createCachedDocument(
    definition.configuration,
    text => {
      const read = configurationSchema.safeParse(parseJson(text)).data
      return read && isNamedAs(issuers, read.issuer) ? read : undefined
    },
    clock,
  )

  async function verify(token: string): Promise<unknown> {
    checkHeader(token)
    const { jwks_uri } = await configuration().catch(toUnavailable)
    try {
      const { payload } = await compactVerify(token, keysOf(jwks_uri), { algorithms: [algorithm] })
      return parseJson(new TextDecoder().decode(payload))
    } catch (error) {
      throw toProblem(error)
    }
  }

  async function end(key: Connection, event: SecurityEvent, before: number): Promise<boolean> {
    for (let round = 1; round <= maxRounds; round++) {
      const held = await vault.find(key.userId, key.account)
      if (held?.state !== 'active' || !isMeant(held, event, before)) return false
      if ((await vault.end(held, 'revoked')) === 'replaced') {
        emit({ type: 'connection_ended', userId: key.userId, provider, account: key.account })
        return true
      }
    }
    throw new SecurityEventError('unavailable', { cause: 'connection' })
  }

  return {
    maxAgeSeconds,
    async read(token): Promise<SecurityEventToken> {
      const payload = asObject(await verify(token))
      const { iss, aud } = payload ?? {}
      // Told apart as RFC 8935 §2.4 does, before what is missing or of a wrong form.
      if (typeof iss === 'string' && !isNamedAs(issuers, iss)) throw new SecurityEventError('invalid_issuer')
      const named = typeof aud === 'string' ? [aud] : aud
      if (Array.isArray(named) && !named.some(each => audiences.includes(each))) {
        throw new SecurityEventError('invalid_audience')
      }
      const claims = claimsSchema.safeParse(payload)
      // An id_token is signed with the same keys, for the same client: it has no events.
      if (!claims.success || Object.keys(claims.data.events).length === 0) {
        throw new SecurityEventError('invalid_request', { cause: 'claims' })
      }
      const { jti, iat, events } = claims.data
      return { id: jti, issuedAt: iat, events: await definition.readEvents(events) }
    },
    async endConnections(event, before) {
      const { account, tokenHash } = event
      const now = clock()
      const found = tokenHash
        ? await store.findConnectionsByToken({ tokenHash, now })
        : account
          ? await store.findConnectionsByAccount({
              accountHash: hashIdentity([account.issuer, account.subject]),
              now,
            })
          : []
      let count = 0
      for (const key of found) {
        if (key.provider === provider && (await end(key, event, before))) count++
      }
      return count
    },
  }
}

/** Whether a connection is still the one an event is about, and its tokens are not newer than that. */
function isMeant(
  { connection, grant }: ActiveConnection,
  { account, tokenHash }: SecurityEvent,
  before: number,
): boolean {
  if (tokenHash) return connection.tokenHashes?.includes(tokenHash) ?? false
  const isTheirs = grant.issuer === account?.issuer && grant.subject === account.subject
  return isTheirs && grant.receivedAt <= before
}

/** What can be refused without asking anybody. */
function checkHeader(token: string): void {
  let header: ProtectedHeaderParameters
  try {
    header = decodeProtectedHeader(token)
  } catch (cause) {
    throw new SecurityEventError('invalid_request', { cause })
  }
  // RFC 8417 §2.3. What names another type is another thing (R119).
  if (header.typ !== undefined && !/^(application\/)?(secevent\+)?jwt$/i.test(header.typ)) {
    throw new SecurityEventError('invalid_request', { cause: 'typ' })
  }
  if (header.alg !== algorithm || typeof header.kid !== 'string') {
    throw new SecurityEventError('invalid_key', { cause: 'header' })
  }
}

function toProblem(error: unknown): SecurityEventError {
  if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys) {
    return new SecurityEventError('invalid_key', { cause: error })
  }
  if (error instanceof errors.JWSSignatureVerificationFailed) {
    return new SecurityEventError('authentication_failed', { cause: error })
  }
  const isToken = error instanceof errors.JWSInvalid || error instanceof errors.JOSENotSupported
  return new SecurityEventError(isToken ? 'invalid_request' : 'unavailable', { cause: error })
}

function toUnavailable(cause: unknown): never {
  throw new SecurityEventError('unavailable', { cause })
}
