import { type CryptoKey, compactVerify, importJWK } from 'jose'
import { ConfigurationError, OAuthError } from '../errors.ts'
import type { EventSink } from '../events.ts'
import { signCompactJws } from './compact-jws.ts'
import { assertSigningJwk, publicPart } from './jwk.ts'
import type { Signer } from './signer.ts'
import type { ActiveSigningKey, SigningKeys } from './signing-keys.ts'

/** How long a signature may take, in milliseconds: a request is answered within three seconds. */
const signTimeoutMs = 2_500

/** A timer that belongs to nobody's clock: what a signer does takes real time. */
const withinTime = <T>(work: Promise<T>): Promise<T> => {
  let timer: ReturnType<typeof setTimeout> | undefined
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new DOMException('too slow', 'TimeoutError')), signTimeoutMs)
  })
  return Promise.race([work, timeout]).finally(() => clearTimeout(timer))
}

/**
 * Creates signing keys over signers, newest first: the first signs, all are published and verified with. Before the
 * first one is used, a signature of it is verified. `active` and `signJwt` throw:
 *
 * @throws {ConfigurationError} here when a signer's key is not one for its algorithm or two share a `kid`; from
 *   `active` when its signatures do not fit its public key
 * @throws {OAuthError} `temporarily_unavailable` when the signer gives no signature
 */
export function createSignerKeys({
  signers,
  emit,
}: {
  signers: readonly Signer[]
  /** Default: nobody hears of signers that fail. */
  emit?: EventSink
}): SigningKeys {
  const [first] = signers
  if (!first) throw new ConfigurationError('The option signers is empty: leave it out, or name a signer.')
  const byKid = new Map(signers.map(signer => [signer.kid, signer]))
  if (byKid.size < signers.length || byKid.has('')) {
    throw new ConfigurationError('The option signers needs a kid for each signer, unlike that of any other.')
  }
  for (const { publicJwk, alg } of signers) assertSigningJwk(publicJwk, alg)

  const imported = new Map<string, Promise<CryptoKey>>()
  const publicKeyOf = ({ kid, publicJwk, alg }: Signer): Promise<CryptoKey> => {
    let key = imported.get(kid)
    if (!key) {
      key = importJWK(publicPart(publicJwk), alg) as Promise<CryptoKey>
      imported.set(kid, key)
    }
    return key
  }

  const signature = async (data: Uint8Array): Promise<Uint8Array> => {
    try {
      return await withinTime(first.sign(data))
    } catch (cause) {
      const errorName = cause instanceof Error ? cause.name : typeof cause
      emit?.({ type: 'signer_failed', kid: first.kid, errorName })
      throw new OAuthError(
        'temporarily_unavailable',
        'The server cannot answer now. Try again in a moment.',
        { cause },
      )
    }
  }
  const { kid, alg } = first
  const signing: ActiveSigningKey = {
    kid,
    alg,
    signJwt: (claims, header) => signCompactJws({ kid, alg, sign: signature }, header, claims),
  }

  // A signer that hashes twice, answers in DER or holds another key would fail every request, and not say why.
  const assertFits = async (): Promise<void> => {
    try {
      await Promise.all(signers.map(publicKeyOf))
      // Of a type that nobody takes for a token.
      const probe = await signing.signJwt({}, { typ: 'signer-check' })
      await compactVerify(probe, await publicKeyOf(first), { algorithms: [alg] })
    } catch (cause) {
      if (cause instanceof OAuthError) throw cause
      throw new ConfigurationError(
        `The signer ${JSON.stringify(kid)} makes signatures that its publicJwk does not verify: check its key, ` +
          'its algorithm and the form of its signatures (RFC 7518 section 3).',
        { cause },
      )
    }
  }
  let fits: Promise<void> | undefined

  return {
    async active() {
      fits ??= assertFits().catch((error: unknown) => {
        fits = undefined
        throw error
      })
      await fits
      return signing
    },
    async find(wanted) {
      const signer = byKid.get(wanted)
      return signer && { alg: signer.alg, publicKey: await publicKeyOf(signer) }
    },
    isPublished: wanted => byKid.has(wanted),
    jwks: async () => ({
      keys: signers.map(signer => ({
        ...publicPart(signer.publicJwk),
        use: 'sig',
        alg: signer.alg,
        kid: signer.kid,
      })),
    }),
    // Whoever runs the signers rotates them.
    rotateIfDue: async () => {},
    close: async () => {},
  }
}
