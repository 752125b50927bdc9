import { createCipheriv, createDecipheriv } from 'node:crypto'
import type { RandomBytes } from '../runtime.ts'
import type { KeyPurpose, SecretRing } from './secret-ring.ts'

/** What a sealed value belongs to. It is authenticated, not stored: a value moved elsewhere does not open. */
export interface SealContext {
  tenant: string
  /** Kind of record, such as `connection` or `signing-key`. */
  kind: string
  /** Id of the record. */
  id: string
}

/** An opened value; `stale` when an older secret of the ring had sealed it, so that it is worth sealing again. */
export interface Opened {
  plaintext: string
  stale: boolean
}

/** Seals values for the store with AES-256-GCM under the secret ring. */
export interface Sealer {
  /** Throws a RangeError when the value is too large: near 196 kB, unless the sealer is for larger ones. */
  seal(plaintext: string, context: SealContext): string
  /** Undefined when the value was changed, moved to another record, or sealed by a secret no longer in the ring. */
  open(sealed: string, context: SealContext): Opened | undefined
}

const version = 's1'
const ivBytes = 12
const tagBytes = 16

/** Longest sealed value, in characters: several times what a provider's reply can be (R177). */
const usualLength = 262_144

/**
 * Creates a sealer; the format is `s1.<key id>.<iv, ciphertext and tag in base64url>`.
 *
 * @param maxLength longest sealed value, in characters: 4 for 3 bytes. More only where sealed values do not come from
 *   outside. Default 262144
 */
export function createSealer(
  ring: SecretRing,
  random: RandomBytes,
  purpose: KeyPurpose = 'seal',
  maxLength: number = usualLength,
): Sealer {
  const aad = (keyId: string, { tenant, kind, id }: SealContext) =>
    Buffer.from(JSON.stringify([version, keyId, tenant, kind, id]))
  return {
    seal(plaintext, context) {
      const keyId = ring.keyIds[0]!
      const iv = random(ivBytes)
      const cipher = createCipheriv('aes-256-gcm', ring.derive(purpose, keyId)!, iv)
      cipher.setAAD(aad(keyId, context))
      const body = Buffer.concat([iv, cipher.update(plaintext, 'utf8'), cipher.final(), cipher.getAuthTag()])
      const sealed = `${version}.${keyId}.${body.toString('base64url')}`
      if (sealed.length > maxLength) throw new RangeError('The value is too large to be sealed.')
      return sealed
    },
    open(sealed, context) {
      // Before anything is made of it: pages and links bring sealed values back from outside.
      if (sealed.length > maxLength) return undefined
      const [format, keyId, encoded, ...rest] = sealed.split('.')
      if (format !== version || !keyId || !encoded || rest.length > 0) return undefined
      const key = ring.derive(purpose, keyId)
      const body = Buffer.from(encoded, 'base64url')
      if (!key || body.length < ivBytes + tagBytes) return undefined
      const decipher = createDecipheriv('aes-256-gcm', key, body.subarray(0, ivBytes))
      decipher.setAAD(aad(keyId, context))
      decipher.setAuthTag(body.subarray(body.length - tagBytes))
      try {
        const plaintext = Buffer.concat([
          decipher.update(body.subarray(ivBytes, body.length - tagBytes)),
          decipher.final(),
        ])
        return { plaintext: plaintext.toString('utf8'), stale: keyId !== ring.keyIds[0] }
      } catch {
        return undefined
      }
    },
  }
}
