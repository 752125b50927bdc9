import type { CryptoKey } from 'jose'
import { z } from 'zod'
import { type ClientKeyFinder, createClientKeys } from '../clients/client-keys.ts'
import { createDocumentFetch, type DocumentFetch, isDocumentLocation } from '../clients/document-fetch.ts'
import { createLoadOnce, type LoadCaps } from '../clients/load-once.ts'
import { OAuthError } from '../errors.ts'
import { parseJsonObject } from '../protocol/parameters.ts'
import type { Clock } from '../runtime.ts'
import { discoveryUrl, type TrustedIssuer } from './enterprise-issuers.ts'

/**
 * The keys of an issuer that may have made an assertion; empty when there is none.
 *
 * @throws {OAuthError} `temporarily_unavailable` when they cannot be had
 */
export type IssuerKeyFinder = (
  issuer: Pick<TrustedIssuer, 'issuer' | 'keys'>,
  assertion: { keyId: string | undefined; algorithm: string },
) => Promise<(CryptoKey | Uint8Array)[]>

/** Discovery documents of large providers list hundreds of names. */
const maxBodyBytes = 65_536
const freshSeconds = 3600
/** An issuer whose document cannot be read keeps the keys it named for this long. */
const staleSeconds = 86_400
/** R129: a host that is down is not asked again for every assertion. */
const cooldownSeconds = 30

/** Which URLs there are is the deployer's choice, and no stranger's: all may be asked at once, each once. */
const caps: LoadCaps = { all: Number.POSITIVE_INFINITY, perHost: Number.POSITIVE_INFINITY }

interface Discovered {
  issuer: string
  jwksUri: string
  freshUntil: number
  staleUntil: number
}

/**
 * Makes the finder of issuers' keys, with a cache of its own: clients with slow keys take nothing from the issuers. A
 * key nobody knows, or a host that is down, causes one request in 30 s at most (R129).
 */
export function createIssuerKeys(options: {
  clock: Clock
  allowLoopback: boolean
  /** Replaces the guarded fetch. */
  fetchDocument?: DocumentFetch
}): IssuerKeyFinder {
  const { clock, allowLoopback, fetchDocument } = options
  const fetchMetadata = fetchDocument ?? createDocumentFetch({ allowLoopback, maxBodyBytes })
  const findKeys: ClientKeyFinder = createClientKeys({
    clock,
    allowLoopback,
    caps,
    ...(fetchDocument && { fetchDocument }),
  })
  const discovered = new Map<string, Discovered>()
  /** URL → when nothing was to be had there last. */
  const failedAt = new Map<string, number>()
  /** Loads, unless that failed a moment ago, and remembers a failure. */
  const guarded = async <Value>(url: string, load: () => Promise<Value>): Promise<Value> => {
    if (clock() - (failedAt.get(url) ?? Number.NEGATIVE_INFINITY) < cooldownSeconds) {
      throw new Error('issuer did not answer a moment ago')
    }
    try {
      return await load()
    } catch (cause) {
      failedAt.set(url, clock())
      throw cause
    }
  }

  const discoverOnce = createLoadOnce(async (url): Promise<Discovered> => {
    const answer = await fetchMetadata(url)
    if (answer.outcome === 'withdrawn') throw new Error('issuer has no discovery document')
    const document = metadataSchema.parse(parseJsonObject(answer.body))
    if (!isDocumentLocation(document.jwks_uri, { allowLoopback }))
      throw new Error('keys are not to be fetched')
    const freshUntil = clock() + freshSeconds
    return {
      issuer: document.issuer,
      jwksUri: document.jwks_uri,
      freshUntil,
      staleUntil: freshUntil + staleSeconds,
    }
  }, caps)

  const jwksUriOf = async (issuer: string): Promise<string> => {
    const known = discovered.get(issuer)
    if (known && clock() < known.freshUntil) return known.jwksUri
    const url = discoveryUrl(issuer)
    try {
      return await guarded(url, async () => {
        const found = await discoverOnce(url)
        // R121: a document of somebody else names somebody else's keys.
        if (found.issuer !== issuer) throw new Error('document is that of another issuer')
        discovered.set(issuer, found)
        return found.jwksUri
      })
    } catch (cause) {
      if (known && clock() < known.staleUntil) return known.jwksUri
      throw cause
    }
  }

  return async ({ issuer, keys }, assertion) => {
    if (keys && 'jwks' in keys) return findKeys(keys, assertion)
    try {
      const jwksUri = keys?.jwksUri ?? (await jwksUriOf(issuer))
      return await guarded(jwksUri, () => findKeys({ jwksUri }, assertion))
    } catch (cause) {
      throw new OAuthError(
        'temporarily_unavailable',
        'The keys of the issuer could not be read. Try again in a moment.',
        { cause },
      )
    }
  }
}

const metadataSchema = z.object({ issuer: z.string(), jwks_uri: z.string() })
