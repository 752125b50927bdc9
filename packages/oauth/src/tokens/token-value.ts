import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
} from 'node:crypto'
import type { SecretRing } from '../keys/secret-ring.ts'
import { sha256 } from '../protocol/hash.ts'
import type { RandomBytes } from '../runtime.ts'

/**
 * Codes and refresh tokens on the wire: prefix, id of the token family, secret. The family id lets a replay name
 * its family without a search; the store keeps the hash of the whole value and nothing else of it (R57, R112).
 */

/** A new code or token, and what the store keeps of it. */
export interface MintedToken {
  value: string
  /** SHA-256 of the value, base64url. */
  hash: string
}

/** 168 bits (R57, R112: 160), and a multiple of 3 bytes: in base64url no two spellings mean the same bytes. */
const secretBytes = 21
const grantIdBytes = 18
const maxLength = 512
const codePattern = /^sp_ac_([\w-]{1,128})\.[\w-]{28}$/
const refreshPattern = /^sp_rt_([\w-]{1,128})\.(0|[1-9]\d{0,14})\.[\w-]{28}(?:\.([\w-]{43}))?\.([\w-]{43})$/

const encode = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url')

/** Id of a new token family: 144 random bits in base64url. */
export function newGrantId(random: RandomBytes): string {
  return encode(random(grantIdBytes))
}

/** Makes an authorization code of a family: `sp_ac_<grant id>.<168 random bits>`. */
export function mintAuthorizationCode(random: RandomBytes, grantId: string): MintedToken {
  return minted(`sp_ac_${grantId}.${encode(random(secretBytes))}`)
}

/** Family and hash of a presented authorization code; undefined when it cannot be one of ours. */
export function parseAuthorizationCode(value: string): { grantId: string; hash: string } | undefined {
  const match = value.length <= maxLength ? codePattern.exec(value) : null
  return match ? { grantId: match[1]!, hash: sha256(value) } : undefined
}

/**
 * Makes a refresh token: `sp_rt_<grant id>.<generation>.<168 random bits>.<HMAC-SHA-256>`. The MAC proves that we
 * made it however long ago, so that the store need not remember a hash for each rotation (R106). The thumbprint of a
 * key it is bound to (RFC 9449 §5) stands before the MAC, so that the store need not know of it.
 */
export function mintRefreshToken(token: {
  secrets: SecretRing
  random: RandomBytes
  grantId: string
  generation: number
  dpopJkt?: string | undefined
}): MintedToken {
  const secret = `sp_rt_${token.grantId}.${token.generation}.${encode(token.random(secretBytes))}`
  const body = token.dpopJkt === undefined ? secret : `${secret}.${token.dpopJkt}`
  return minted(`${body}.${token.secrets.mac('refresh-token', body).toString('base64url')}`)
}

/** A presented refresh token. `genuine` when we made it; a guess with the right family id is not (R97). */
export interface ParsedRefreshToken {
  grantId: string
  /** Rotations before it; 0 for the first of its family. Proven only when `genuine`. */
  generation: number
  /** Thumbprint of the key it is bound to; undefined when to none. Proven as `generation` is. */
  dpopJkt: string | undefined
  hash: string
  genuine: boolean
}

/** Takes a presented refresh token apart; undefined when it cannot be one of ours. */
export function parseRefreshToken(secrets: SecretRing, value: string): ParsedRefreshToken | undefined {
  const match = value.length <= maxLength ? refreshPattern.exec(value) : null
  if (!match) return undefined
  const [, grantId, generation, dpopJkt, tag] = match
  const mac = Buffer.from(tag!, 'base64url')
  const body = value.slice(0, value.lastIndexOf('.'))
  return {
    grantId: grantId!,
    generation: Number(generation),
    dpopJkt,
    hash: sha256(value),
    // 43 characters have two bits to spare: another spelling of the MAC is another token, and not ours.
    genuine: encode(mac) === tag && secrets.verifyMac('refresh-token', body, mac),
  }
}

function minted(value: string): MintedToken {
  return { value, hash: sha256(value) }
}

/**
 * Seals the reply of a rotation under a key derived from the token that was presented, so that whoever presents it
 * again within the grace gets the identical reply (R105), and the store alone can never read it (R162).
 *
 * @param dpopJkt the key that was proven beside the token: the reply is for who proves it again
 */
export function sealReplay(presentedToken: string, reply: string, dpopJkt?: string): string {
  const { key, ivKey } = replayKeys(presentedToken, dpopJkt)
  // The IV is a MAC of the reply: parallel rotations of one token share the key, and equal IVs mean equal replies.
  const iv = createHmac('sha256', ivKey).update(reply).digest().subarray(0, 12)
  const cipher = createCipheriv('aes-256-gcm', key, iv)
  return encode(Buffer.concat([iv, cipher.update(reply, 'utf8'), cipher.final(), cipher.getAuthTag()]))
}

/** Opens a sealed reply; undefined when it was changed, or another token or key had been presented. */
export function openReplay(presentedToken: string, sealed: string, dpopJkt?: string): string | undefined {
  const body = Buffer.from(sealed, 'base64url')
  if (body.length < 12 + 16) return undefined
  const { key } = replayKeys(presentedToken, dpopJkt)
  const decipher = createDecipheriv('aes-256-gcm', key, body.subarray(0, 12))
  decipher.setAuthTag(body.subarray(-16))
  try {
    return Buffer.concat([decipher.update(body.subarray(12, -16)), decipher.final()]).toString('utf8')
  } catch {
    return undefined
  }
}

/** As key objects: that a buffer is none takes Node longer to find out than everything that is done with it. */
function replayKeys(
  presentedToken: string,
  dpopJkt: string | undefined,
): { key: KeyObject; ivKey: KeyObject } {
  const info = dpopJkt === undefined ? 'refresh-replay' : `refresh-replay:${dpopJkt}`
  const bytes = Buffer.from(hkdfSync('sha256', presentedToken, 'sallyport', info, 64))
  return { key: createSecretKey(bytes.subarray(0, 32)), ivKey: createSecretKey(bytes.subarray(32)) }
}
