import { decodeJwt, exportJWK, generateKeyPair, importJWK, type JWK, SignJWT } from 'jose'

let signingKey: Promise<JWK> | undefined

/** One key for the whole process: making an RSA key takes longer than all the rest. */
export function getSigningKey(): Promise<JWK> {
  signingKey ??= generateKeyPair('RS256', { extractable: true })
    .then(({ privateKey }) => exportJWK(privateKey))
    .then(jwk => ({ ...jwk, kid: 'upstream-1', use: 'sig', alg: 'RS256' }))
  return signingKey
}

/** The same id_token, signed for a later time: `oidc-provider` knows no clock but the system's. */
export async function dateAhead(idToken: string, seconds: number): Promise<string> {
  const claims = decodeJwt(idToken)
  for (const name of ['iat', 'exp', 'auth_time'])
    if (typeof claims[name] === 'number') claims[name] += seconds
  const jwk = await getSigningKey()
  const header = { alg: 'RS256', kid: 'upstream-1' }
  return new SignJWT(claims).setProtectedHeader(header).sign(await importJWK(jwk))
}
