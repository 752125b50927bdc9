import { createRemoteJWKSet, customFetch, type RemoteJWKSet } from 'jose'
import { fetchLimited } from './limited-fetch.ts'
import { UpstreamError } from './upstream-error.ts'

const limits = { timeoutMs: 5_000, maxBytes: 256 * 1024 }

/**
 * A provider's keys by their address, fetched within limits and cached; the address may change, and only the keys of the
 * latest are kept. An unknown `kid` has them fetched again, twice a minute at most. Throws `UpstreamError` of class
 * `transient` when they cannot be had now.
 */
export function createRemoteKeys(): (uri: string) => RemoteJWKSet {
  let source: { uri: string; keys: RemoteJWKSet } | undefined
  return uri => {
    if (source?.uri !== uri) {
      source = { uri, keys: createRemoteJWKSet(new URL(uri), { [customFetch]: fetchKeys }) }
    }
    return source.keys
  }
}

async function fetchKeys(url: string, init: RequestInit): Promise<Response> {
  const response = await fetchLimited(url, init, limits).catch(() => undefined)
  if (response?.status !== 200) throw new UpstreamError('transient')
  return new Response(response.text)
}
