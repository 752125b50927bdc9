import { createHmac } from 'node:crypto'
import { base64url, generateKeyPair, importJWK, type JWK, SignJWT } from 'jose'

/** What may be wrong with the signature of a security event token. */
export type SecurityEventFault = 'wrong_key' | 'unknown_kid' | 'alg_none' | 'hs256_with_public_key'

export interface SecurityEventOptions {
  /** Over the usual ones; undefined leaves one out. */
  claims?: Readonly<Record<string, unknown>>
  header?: Readonly<Record<string, unknown>>
  fault?: SecurityEventFault
}

/** Tells what happens to accounts, as Google does (RFC 8417, RFC 8935). */
export interface SecurityEventTransmitter {
  /** Address of the document that names issuer and keys. */
  configuration: string
  /** Signs a token; `events` are its claim of that name, by type. */
  sign(events: Readonly<Record<string, unknown>>, options?: SecurityEventOptions): Promise<string>
  /** Pushes a token to a receiver. */
  push(receiver: string, token: string): Promise<Response>
}

const risc = 'https://schemas.openid.net/secevent/risc/event-type/'
const oauth = 'https://schemas.openid.net/secevent/oauth/event-type/'

/** The types of events Google knows. */
export const securityEventTypes = {
  sessionsRevoked: `${risc}sessions-revoked`,
  tokensRevoked: `${oauth}tokens-revoked`,
  tokenRevoked: `${oauth}token-revoked`,
  accountDisabled: `${risc}account-disabled`,
  accountEnabled: `${risc}account-enabled`,
  credentialChangeRequired: `${risc}account-credential-change-required`,
  verification: `${risc}verification`,
} as const

export const riscConfigurationPath = '/.well-known/risc-configuration'

/** One that signs with `key`, a private RS256 key; Google ends the issuer with a slash here. */
export function createTransmitter(parts: {
  origin: string
  issuer: string
  clientId: string
  key: JWK
}): SecurityEventTransmitter {
  let count = 0

  async function sign(
    events: Readonly<Record<string, unknown>>,
    { claims = {}, header = {}, fault }: SecurityEventOptions = {},
  ): Promise<string> {
    const payload = {
      iss: `${parts.issuer}/`,
      aud: parts.clientId,
      iat: Math.floor(Date.now() / 1000),
      jti: `event-${++count}`,
      events,
      ...claims,
    }
    const kid = fault === 'unknown_kid' ? 'of-nobody' : parts.key.kid
    const alg = fault === 'alg_none' ? 'none' : fault === 'hs256_with_public_key' ? 'HS256' : 'RS256'
    const protectedHeader = { alg, kid, typ: 'secevent+jwt', ...header }
    if (alg === 'none' || alg === 'HS256') {
      const input = [protectedHeader, payload].map(part => base64url.encode(JSON.stringify(part))).join('.')
      // What everybody can read, used as if it were a secret.
      const secret = JSON.stringify({ kty: parts.key.kty, n: parts.key.n, e: parts.key.e })
      const mac = createHmac('sha256', secret).update(input).digest('base64url')
      return `${input}.${alg === 'none' ? '' : mac}`
    }
    const key =
      fault === 'wrong_key'
        ? (await generateKeyPair('RS256')).privateKey
        : await importJWK(parts.key, 'RS256')
    return new SignJWT(JSON.parse(JSON.stringify(payload)))
      .setProtectedHeader(JSON.parse(JSON.stringify(protectedHeader)))
      .sign(key)
  }

  return {
    configuration: parts.origin + riscConfigurationPath,
    sign,
    push: (receiver, token) =>
      fetch(receiver, {
        method: 'POST',
        headers: { 'content-type': 'application/secevent+jwt', accept: 'application/json' },
        body: token,
      }),
  }
}
