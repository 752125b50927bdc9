import type { Signer } from './signer.ts'

/**
 * Makes a JWS in compact form around a signature that is made elsewhere, which no JOSE library offers. The
 * protected header gets `alg` and `kid` from the signer, whatever else is in it.
 *
 * @see RFC 7515 §5.1, §7.1
 */
export async function signCompactJws(
  { alg, kid, sign }: Pick<Signer, 'alg' | 'kid' | 'sign'>,
  header: { typ: string },
  payload: object,
): Promise<string> {
  const encode = (value: object) => Buffer.from(JSON.stringify(value), 'utf8').toString('base64url')
  const signingInput = `${encode({ ...header, alg, kid })}.${encode(payload)}`
  const signature = await sign(new TextEncoder().encode(signingInput))
  return `${signingInput}.${Buffer.from(signature).toString('base64url')}`
}
