import { createLocalJWKSet, errors, type JWTVerifyGetKey } from 'jose'
import { z } from 'zod'
import { OAuthError } from '../errors.ts'
import type { Clock } from '../runtime.ts'
import { fetchJson, type IssuerFetch } from './fetch-json.ts'

const keySetSchema = z.object({ keys: z.array(z.looseObject({ kty: z.string() })).max(200) })

/** How long a key set is used before it is read again, in seconds. */
const freshSeconds = 600
/** A key that is not in the set may be new; asking for it must not be free for strangers (R32, R154). */
const cooldownSeconds = 30
/** A key set stands in for this long when the issuer does not answer. */
const staleSeconds = 86_400

/**
 * The keys of a foreign issuer, by `kid` and algorithm. Key sets are kept for ten minutes; an unknown `kid` reads
 * them again, at most every 30 seconds.
 *
 * @param location address of the key set (RFC 7517 §5)
 * @returns a key finder that throws `OAuthError` `temporarily_unavailable` when no keys can be had
 */
export function createIssuerKeys({
  location,
  fetch,
  clock,
}: {
  location: () => Promise<string>
  fetch: IssuerFetch
  clock: Clock
}): JWTVerifyGetKey {
  let known: { find: JWTVerifyGetKey; readAt: number } | undefined
  let triedAt = Number.NEGATIVE_INFINITY
  let running: Promise<void> | undefined

  async function read(): Promise<void> {
    triedAt = clock()
    try {
      const { status, object } = await fetchJson(fetch, await location(), {
        headers: { accept: 'application/json' },
      })
      const parsed = status === 200 ? keySetSchema.safeParse(object) : undefined
      if (!parsed?.success) throw new Error('no key set')
      // A symmetric key has no business in a public set, and must never verify anything.
      const keys = parsed.data.keys.filter(key => key.kty !== 'oct')
      known = { find: createLocalJWKSet({ keys }), readAt: clock() }
    } finally {
      running = undefined
    }
  }

  const unavailable = (cause?: unknown) =>
    new OAuthError('temporarily_unavailable', 'The keys of the issuer cannot be read now.', {
      headers: { 'Retry-After': '5' },
      cause,
    })

  const refresh = async () => {
    running ??= read()
    try {
      await running
    } catch (cause) {
      throw cause instanceof OAuthError ? cause : unavailable(cause)
    }
  }
  const age = () => (known ? clock() - known.readAt : Number.POSITIVE_INFINITY)
  const sinceTried = () => clock() - triedAt

  return async (header, token) => {
    const mayAsk = running !== undefined || sinceTried() >= (known ? cooldownSeconds : 1)
    if (age() >= freshSeconds && mayAsk) {
      await refresh().catch(error => {
        if (age() >= staleSeconds) throw error
      })
    }
    if (!known || age() >= staleSeconds) throw unavailable()
    try {
      return await known.find(header, token)
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey) || sinceTried() < cooldownSeconds) throw error
      await refresh().catch(() => {})
      return known.find(header, token)
    }
  }
}
