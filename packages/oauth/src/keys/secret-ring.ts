import { createHmac, createSecretKey, hkdfSync, type KeyObject, timingSafeEqual } from 'node:crypto'
import { ConfigurationError } from '../errors.ts'

/** What a derived key is for: one label per purpose, so that no two purposes share a key (R175). */
export type KeyPurpose =
  | 'seal'
  | 'client-id'
  | 'client-secret'
  | 'refresh-token'
  | 'access-token'
  | 'authorization-code'
  | 'consent-page'
  | 'connect-link'
  | 'account-session'
  | 'source-address'
  | 'pushed-request'
  | 'dpop-nonce'
  | 'request-state'
  | 'mcp-session'
  | 'call-task'
  | 'account-id'

/**
 * The secrets a server seals and signs its own values with, newest first: the first makes, all of them open.
 * Keys are derived per purpose with HKDF-SHA-256 (RFC 5869); the secrets themselves are never used directly.
 */
export interface SecretRing {
  /** Short public name of each secret, newest first. */
  readonly keyIds: readonly string[]
  /** 32-byte key of one secret for one purpose, or undefined when the ring has no such secret. */
  derive(purpose: KeyPurpose, keyId: string): KeyObject | undefined
  /** HMAC-SHA-256 of `value` under the newest secret. */
  mac(purpose: KeyPurpose, value: string): Buffer
  /** Whether `tag` is the MAC of `value` under any secret of the ring; the comparison takes constant time. */
  verifyMac(purpose: KeyPurpose, value: string, tag: Uint8Array): boolean
}

const minimumBytes = 32

/** Values that stand in documentation and must never guard a real server (R175). */
const wellKnown = /^(change-?me|secret|password|example|default|test)[-_a-z0-9]*$|^(.)\2*$/i

/**
 * Builds the ring from the secrets of `SALLYPORT_SECRET`, newest first.
 *
 * @throws {ConfigurationError} when there is none, or one is shorter than 32 bytes or well known
 */
export function createSecretRing(secrets: readonly string[]): SecretRing {
  if (secrets.length === 0) {
    throw new ConfigurationError('SALLYPORT_SECRET is empty: set it to at least 32 random bytes.')
  }
  for (const secret of secrets) {
    if (Buffer.byteLength(secret) < minimumBytes || wellKnown.test(secret)) {
      throw new ConfigurationError(
        'SALLYPORT_SECRET holds a secret that is shorter than 32 bytes or well known: ' +
          'make one with "openssl rand -base64 48".',
      )
    }
  }
  const expand = (secret: string, info: string, length: number) =>
    Buffer.from(hkdfSync('sha256', secret, 'sallyport', info, length))
  const byId = new Map(secrets.map(secret => [expand(secret, 'key-id', 6).toString('base64url'), secret]))
  const keyIds = [...byId.keys()]
  const newest = keyIds[0]!
  // As key objects: Node finds out slowly, for each use anew, that a buffer is none.
  const derived = new Map<string, KeyObject>()
  const derive = (purpose: KeyPurpose, keyId: string): KeyObject | undefined => {
    const secret = byId.get(keyId)
    if (secret === undefined) return undefined
    const name = `${keyId}:${purpose}`
    let key = derived.get(name)
    if (!key) {
      key = createSecretKey(expand(secret, `key:${purpose}`, 32))
      derived.set(name, key)
    }
    return key
  }
  const macUnder = (purpose: KeyPurpose, keyId: string, value: string) =>
    createHmac('sha256', derive(purpose, keyId)!).update(value).digest()
  return {
    keyIds,
    derive,
    mac: (purpose, value) => macUnder(purpose, newest, value),
    verifyMac: (purpose, value, tag) =>
      tag.byteLength === 32 && keyIds.some(keyId => timingSafeEqual(macUnder(purpose, keyId, value), tag)),
  }
}
