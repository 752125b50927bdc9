import { z } from 'zod'
import { OAuthError } from '../errors.ts'
import type { SecretRing } from '../keys/secret-ring.ts'
import type { Clock, RandomBytes } from '../runtime.ts'
import { assertionAlgorithms } from './assertion-algorithms.ts'
import type { ClientMetadata } from './client-metadata.ts'

/**
 * Stateless registration (RFC 7591 appendix A.5.2): the client_id is the registered metadata, authenticated under
 * the secret ring. Clients keep a client_id for ever and cannot recover when a server has forgotten it; this one
 * cannot be forgotten, pruned or flooded (R21, R22).
 */

const prefix = 'dcr.'
const maxMetadataBytes = 2048
/** Prefix, metadata in base64url, a dot, the MAC. */
const maxClientIdLength = prefix.length + Math.ceil((maxMetadataBytes * 4) / 3) + 1 + 43
const clientIdPattern = /^dcr\.([\w-]+)\.([\w-]{43})$/
/** R15: at least 128 bits. */
const nonceBytes = 16

/** Structure only: the MAC proves that the contents passed the checks of the day they were registered. */
const packedSchema = z.object({
  iat: z.int(),
  jti: z.string(),
  redirect_uris: z.array(z.string()),
  post_logout_redirect_uris: z.array(z.string()).optional(),
  client_name: z.string().optional(),
  client_uri: z.string().optional(),
  policy_uri: z.string().optional(),
  tos_uri: z.string().optional(),
  grant_types: z.array(z.string()),
  response_types: z.array(z.string()),
  token_endpoint_auth_method: z.enum([
    'none',
    'client_secret_basic',
    'client_secret_post',
    'private_key_jwt',
  ]),
  jwks: z.object({ keys: z.array(z.record(z.string(), z.string())) }).optional(),
  jwks_uri: z.string().optional(),
  token_endpoint_auth_signing_alg: z.enum(assertionAlgorithms).optional(),
  dpop_bound_access_tokens: z.literal(true).optional(),
  application_type: z.enum(['web', 'native']).optional(),
})

/**
 * Makes the client_id of a registration: `dcr.<metadata, base64url>.<HMAC-SHA-256, base64url>`.
 *
 * @returns the client_id and when it was issued, seconds since the epoch
 * @throws {OAuthError} `invalid_client_metadata` when the packed metadata is larger than 2 KB
 */
export function packClientId(
  { secrets, random, clock }: { secrets: SecretRing; random: RandomBytes; clock: Clock },
  metadata: ClientMetadata,
): { clientId: string; issuedAt: number } {
  const issuedAt = clock()
  const nonce = Buffer.from(random(nonceBytes)).toString('base64url')
  const packed = Buffer.from(JSON.stringify({ iat: issuedAt, jti: nonce, ...metadata }))
  if (packed.byteLength > maxMetadataBytes) {
    throw new OAuthError('invalid_client_metadata', 'The client metadata is larger than 2 KB.')
  }
  const body = prefix + packed.toString('base64url')
  return { clientId: `${body}.${secrets.mac('client-id', body).toString('base64url')}`, issuedAt }
}

/** The metadata registered under a client_id; undefined when we did not issue it. */
export function unpackClientId(secrets: SecretRing, clientId: string): ClientMetadata | undefined {
  const match = clientId.length <= maxClientIdLength ? clientIdPattern.exec(clientId) : null
  if (!match) return undefined
  const body = clientId.slice(0, clientId.lastIndexOf('.'))
  // Proven before it is parsed: nothing of a stranger's making gets to the parser.
  if (!isMac(secrets, 'client-id', body, match[2]!)) return undefined
  const {
    iat: _issuedAt,
    jti: _nonce,
    ...metadata
  } = packedSchema.parse(JSON.parse(Buffer.from(match[1]!, 'base64url').toString('utf8')))
  return metadata
}

/** The secret of a confidential registered client: derived, so that it is stored nowhere (R21). */
export function registeredClientSecret(secrets: SecretRing, clientId: string): string {
  return secrets.mac('client-secret', clientId).toString('base64url')
}

/** Whether this is the secret of a registered client, made under any secret of the ring; constant time (R87). */
export function isRegisteredClientSecret(secrets: SecretRing, clientId: string, presented: string): boolean {
  return isMac(secrets, 'client-secret', clientId, presented)
}

function isMac(
  secrets: SecretRing,
  purpose: 'client-id' | 'client-secret',
  value: string,
  presented: string,
): boolean {
  const tag = Buffer.from(presented, 'base64url')
  const isProven = secrets.verifyMac(purpose, value, tag)
  // 43 characters have two bits to spare: another spelling of the MAC is another string, and not ours.
  return isProven && tag.toString('base64url') === presented
}
