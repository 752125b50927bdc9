import { type CryptoKey, importJWK, type JWK } from 'jose'
import { LRUCache } from 'lru-cache'
import { OAuthError } from '../errors.ts'
import { parseJsonObject } from '../protocol/parameters.ts'
import type { Clock } from '../runtime.ts'
import { publicJwks } from './client-metadata.ts'
import {
  createDocumentFetch,
  type DocumentFetch,
  type DocumentFetchOptions,
  isDocumentLocation,
} from './document-fetch.ts'
import { createLoadOnce, type LoadCaps } from './load-once.ts'

/** Where the public keys of a client are: registered with it, or behind a URL of its own. */
export type ClientKeySource = { jwks: readonly JWK[] } | { jwksUri: string }

/**
 * The keys that may have made an assertion: by `kid` when it names one, and by algorithm. Empty when there is none.
 *
 * @throws {OAuthError} `temporarily_unavailable`, the same for every way keys cannot be had (R38)
 */
export type ClientKeyFinder = (
  source: ClientKeySource,
  assertion: { keyId: string | undefined; algorithm: string },
) => Promise<(CryptoKey | Uint8Array)[]>

interface CachedKeys {
  keys: readonly JWK[]
  fetchedAt: number
  /** When a fetch last failed; absent when none has since. */
  failedAt?: number
}

const maxKeySets = 1000
/** RSA keys with certificate chains are long; more than this is no key set. */
const maxBodyBytes = 65_536
const freshSeconds = 300
/** A key set stands in for this long when its host does not answer. */
const staleSeconds = 86_400
/** A key that is not in the set may have been added since; asking again must not be free for strangers (R32). */
const cooldownSeconds = 30

/** Makes the finder of client keys; sets behind URLs go through the fetch guard (R31) and are kept for five minutes. */
export function createClientKeys(
  options: DocumentFetchOptions & {
    clock: Clock
    fetchDocument?: DocumentFetch
    /** How many sets may be fetched at once. Default: eight, two of them at one host. */
    caps?: LoadCaps
  },
): ClientKeyFinder {
  const {
    clock,
    allowLoopback = false,
    fetchDocument = createDocumentFetch({ ...options, maxBodyBytes }),
  } = options
  const cache = new LRUCache<string, CachedKeys>({ max: maxKeySets })

  const loadOnce = createLoadOnce(async (url): Promise<readonly JWK[]> => {
    if (!isDocumentLocation(url, { allowLoopback })) throw new Error('not to be fetched')
    const answer = await fetchDocument(url)
    if (answer.outcome === 'withdrawn') {
      cache.delete(url)
      throw new Error('key set is withdrawn')
    }
    const keys = publicJwks(parseJsonObject(answer.body))
    if (!keys) throw new Error('key set is not acceptable')
    cache.set(url, { keys, fetchedAt: clock() })
    return keys
  }, options.caps)

  const keysAt = async (url: string, isUsable: (key: JWK) => boolean): Promise<readonly JWK[]> => {
    const cached = cache.get(url)
    const age = cached === undefined ? Number.POSITIVE_INFINITY : clock() - cached.fetchedAt
    if (cached && age < (cached.keys.some(isUsable) ? freshSeconds : cooldownSeconds)) return cached.keys
    // R32: a host that is down is not asked again for every assertion with a key nobody knows.
    const sinceFailure = clock() - (cached?.failedAt ?? Number.NEGATIVE_INFINITY)
    if (cached && age < staleSeconds && sinceFailure < cooldownSeconds) return cached.keys
    try {
      return await loadOnce(url)
    } catch (cause) {
      // A host that is down must not stop its clients. A set that its host has withdrawn is gone from the cache.
      const stale = cache.get(url)
      if (stale && age < staleSeconds) {
        stale.failedAt = clock()
        return stale.keys
      }
      throw new OAuthError(
        'temporarily_unavailable',
        'The keys of the client could not be read. Check its jwks_uri or try again in a moment.',
        { cause },
      )
    }
  }

  return async (source, { keyId, algorithm }) => {
    const isUsable = (key: JWK) =>
      (keyId === undefined || key.kid === keyId) &&
      (key.alg === undefined || key.alg === algorithm) &&
      (key.use === undefined || key.use === 'sig') &&
      fits(key, algorithm)
    const keys = 'jwks' in source ? source.jwks : await keysAt(source.jwksUri, isUsable)
    // A key that is none on closer look is as good as absent: it must not stop the client's other keys.
    const imported = keys.filter(isUsable).map(key => importJWK(key, algorithm).catch(() => undefined))
    return (await Promise.all(imported)).filter(key => key !== undefined)
  }
}

/** Whether a key is of the kind an algorithm works with (RFC 7518 §3.1, RFC 8037 §3.1). */
function fits({ kty, crv }: JWK, algorithm: string): boolean {
  switch (algorithm) {
    case 'ES256':
      return kty === 'EC' && crv === 'P-256'
    case 'EdDSA':
      return kty === 'OKP' && crv === 'Ed25519'
    default:
      return kty === 'RSA'
  }
}
