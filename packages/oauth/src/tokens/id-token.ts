import { compactVerify, decodeProtectedHeader } from 'jose'
import { z } from 'zod'
import type { SigningKeys } from '../keys/signing-keys.ts'
import type { Clock } from '../runtime.ts'
import type { Grant } from '../storage/records.ts'

/** Life of an id_token in seconds, unless its session ends before. */
const idTokenSeconds = 3_600

/** Of every id_token. Access tokens have another, so that neither passes for the other (R119, R155). */
const idTokenType = 'JWT'

/** Signs id_tokens (OpenID Connect Core §2). */
export interface IdTokenIssuer {
  /** `nonce` comes with the code only, never with a refresh. Throws what the signing keys throw. */
  issueIdToken(token: {
    grant: Pick<Grant, 'id' | 'userId' | 'clientId' | 'authTime' | 'amr' | 'acr' | 'endsAt'>
    nonce?: string
  }): Promise<string>
}

/**
 * Creates the issuer of id_tokens: who the user is, to this client, and how and when it authenticated. No name, no
 * e-mail address: none is kept.
 */
export function createIdTokenIssuer({
  issuer,
  signingKeys,
  clock,
}: {
  issuer: string
  signingKeys: Pick<SigningKeys, 'active'>
  clock: Clock
}): IdTokenIssuer {
  return {
    async issueIdToken({ grant, nonce }) {
      const key = await signingKeys.active()
      const now = clock()
      const end = now + idTokenSeconds
      const claims = {
        iss: issuer,
        sub: grant.userId,
        // The client, and never the resource (R119).
        aud: grant.clientId,
        iat: now,
        exp: grant.endsAt === 0 ? end : Math.min(end, grant.endsAt),
        ...(grant.authTime !== undefined && { auth_time: grant.authTime }),
        ...(nonce !== undefined && { nonce }),
        ...(grant.amr.length > 0 && { amr: grant.amr }),
        ...(grant.acr !== undefined && { acr: grant.acr }),
        sid: grant.id,
      }
      return key.signJwt(claims, { typ: idTokenType })
    },
  }
}

const text = z.string().min(1)
const hintSchema = z.object({ iss: text, aud: text, sid: text })

/** What an id_token of ours says about the session it came from. */
export interface IdTokenHint {
  clientId: string
  grantId: string
}

/** Longest id_token that is looked at, in characters. */
const maxLength = 8_192

/**
 * Reads an id_token that we signed, ended or not (OpenID Connect RP-Initiated Logout §2). Undefined for everything
 * else, such as an access token, or when its key is not published any more. Throws what the signing keys throw.
 */
export async function readIdTokenHint(
  { issuer, signingKeys }: { issuer: string; signingKeys: Pick<SigningKeys, 'find'> },
  value: string,
): Promise<IdTokenHint | undefined> {
  if (value.length > maxLength) return undefined
  let header: ReturnType<typeof decodeProtectedHeader>
  try {
    header = decodeProtectedHeader(value)
  } catch {
    return undefined
  }
  if (typeof header.kid !== 'string' || header.typ !== idTokenType) return undefined
  // Outside any try: trouble with the store must not read as "unknown token".
  const key = await signingKeys.find(header.kid)
  if (!key) return undefined
  let payload: Uint8Array
  try {
    payload = (await compactVerify(value, key.publicKey, { algorithms: [key.alg] })).payload
  } catch {
    return undefined
  }
  // Signed by us, so it is JSON.
  const claims = hintSchema.safeParse(JSON.parse(new TextDecoder().decode(payload)))
  if (!claims.success || claims.data.iss !== issuer) return undefined
  return { clientId: claims.data.aud, grantId: claims.data.sid }
}
