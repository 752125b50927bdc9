import type { Clock } from '@sallyport/oauth'
import { fetchLimited } from './limited-fetch.ts'
import { UpstreamError } from './upstream-error.ts'

/** How long a document is used before it is read again, in seconds. */
const cacheSeconds = 3600
const limits = { timeoutMs: 5_000, maxBytes: 256 * 1024 }

/**
 * What a provider publishes about itself: read at first use and again after an hour; parallel callers share one request,
 * and a failure is not remembered.
 *
 * @param read the text → what it says; undefined when it is not what it should be
 * @returns throws `UpstreamError`: `transient` when the document cannot be had now, `misconfigured` when it is of no use
 */
export function createCachedDocument<T extends object>(
  address: string,
  read: (text: string) => T | undefined,
  clock: Clock,
): () => Promise<T> {
  let cached: { document: Promise<T>; until: number } | undefined
  return async () => {
    if (cached && clock() < cached.until) return cached.document
    const entry = { document: load(address, read), until: clock() + cacheSeconds }
    cached = entry
    entry.document.catch(() => {
      if (cached === entry) cached = undefined
    })
    return entry.document
  }
}

async function load<T extends object>(address: string, read: (text: string) => T | undefined): Promise<T> {
  const response = await fetchLimited(address, { headers: { accept: 'application/json' } }, limits).catch(
    () => undefined,
  )
  if (!response || response.status >= 500 || response.status === 429) throw new UpstreamError('transient')
  const document = response.status === 200 ? read(response.text) : undefined
  if (!document) throw new UpstreamError('misconfigured')
  return document
}
