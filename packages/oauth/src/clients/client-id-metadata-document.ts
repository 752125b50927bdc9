import { LRUCache } from 'lru-cache'
import { OAuthError } from '../errors.ts'
import { parseJsonObject } from '../protocol/parameters.ts'
import type { Clock } from '../runtime.ts'
import { type ClientMetadata, parseClientMetadata } from './client-metadata.ts'
import {
  createDocumentFetch,
  type DocumentAnswer,
  type DocumentFetch,
  type DocumentFetchOptions,
  isLoopbackHost,
} from './document-fetch.ts'
import { createLoadOnce } from './load-once.ts'

/** Clients whose client_id is the URL of their metadata (draft-ietf-oauth-client-id-metadata-document). */
export interface MetadataDocuments {
  /** Whether a client_id can be such a URL at all. Says no without any request. */
  isDocumentUrl(clientId: string): boolean
  /**
   * The metadata behind a URL for which `isDocumentUrl` holds; undefined when the document is not acceptable.
   *
   * @throws {OAuthError} `temporarily_unavailable`, the same for every way a document cannot be had (R38)
   */
  findMetadata(clientId: string): Promise<ClientMetadata | undefined>
}

export interface MetadataDocumentOptions extends DocumentFetchOptions {
  clock: Clock
  /** Private-use redirect URI schemes without a dot, besides the built-in ones. */
  schemes: readonly string[]
  /** Whether the server takes identity assertions. Default false. */
  identityAssertions?: boolean
  /** Replaces the guarded fetch. */
  fetchDocument?: DocumentFetch
}

interface CachedDocument {
  metadata: ClientMetadata
  freshUntil: number
  /** Until then it stands in when its host does not answer. */
  staleUntil: number
}

const maxUrlLength = 1000
const maxDocuments = 1000
const minFreshSeconds = 60
const maxFreshSeconds = 86_400
/** For a document that does not say how long it may be kept. */
const defaultFreshSeconds = 3600
const staleSeconds = 86_400

/**
 * R27: scheme, host and perhaps a port, a path that is more than `/`, and a query perhaps; in characters of RFC 3986.
 * No fragment, user, white space, backslash or control character.
 */
const urlPattern =
  /^https:\/\/[^/?#@]+\/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})+(?:\?(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2})*)?$/

/** Reads client ID metadata documents and keeps them for as long as they allow (R27–R35). */
export function createMetadataDocuments(options: MetadataDocumentOptions): MetadataDocuments {
  const { clock, allowLoopback = false, fetchDocument = createDocumentFetch(options) } = options
  const cache = new LRUCache<string, CachedDocument>({ max: maxDocuments })

  const loadOnce = createLoadOnce(async (url): Promise<ClientMetadata | undefined> => {
    const answer = await fetchDocument(url)
    if (answer.outcome === 'withdrawn') {
      cache.delete(url)
      throw new Error('document is withdrawn')
    }
    const document = parseJsonObject(answer.body)
    // R28: byte for byte. Another document, or none, is no answer of this client: the same as a host that is down.
    if (document?.client_id !== url) throw new Error('document is not that of the client')
    const metadata = acceptableMetadata(document, options)
    const freshSeconds = freshFor(answer)
    // R33: what is not acceptable or not to be stored is not kept, and neither is what was there before.
    if (!metadata || freshSeconds === 0) cache.delete(url)
    else {
      const freshUntil = clock() + freshSeconds
      cache.set(url, { metadata, freshUntil, staleUntil: freshUntil + staleSeconds })
    }
    return metadata
  })

  return {
    isDocumentUrl: clientId => isDocumentUrl(clientId, allowLoopback),
    async findMetadata(url) {
      const cached = cache.get(url)
      if (cached && clock() < cached.freshUntil) return cached.metadata
      try {
        return await loadOnce(url)
      } catch (cause) {
        // A web host that is down must not end the sessions of its users. A document that its host has withdrawn
        // is not in the cache any more.
        const stale = cache.get(url)
        if (stale && clock() < stale.staleUntil) {
          // Not asked again at once: each of those requests might wait until the time is up.
          stale.freshUntil = clock() + minFreshSeconds
          return stale.metadata
        }
        throw new OAuthError(
          'temporarily_unavailable',
          'The metadata document of the client could not be read. Check its URL or try again in a moment.',
          { cause },
        )
      }
    },
  }
}

function isDocumentUrl(clientId: string, allowLoopback: boolean): boolean {
  if (clientId.length > maxUrlLength || !urlPattern.test(clientId) || !URL.canParse(clientId)) return false
  const url = new URL(clientId)
  // What a parser would change has a second spelling: dot segments, %2e too, upper case, 127.1, `:443` (R27).
  if (url.href !== clientId) return false
  // R32: no way to try out ports.
  return url.port === '' || (allowLoopback && isLoopbackHost(url.hostname))
}

/** Undefined when the document breaks a rule of R16, R17, R18, R28 or R34. */
function acceptableMetadata(
  document: Readonly<Record<string, unknown>>,
  options: Pick<MetadataDocumentOptions, 'schemes' | 'identityAssertions'>,
): ClientMetadata | undefined {
  const hasName = typeof document.client_name === 'string' && document.client_name.trim() !== ''
  const hasSecret = Object.keys(document).some(member => member.startsWith('client_secret'))
  if (!hasName || hasSecret) return undefined
  // `application_type` is a rule of registration; a document stands for all installations, web and native.
  const { application_type: _applicationType, ...members } = document
  const parse = (method: 'none' | 'private_key_jwt'): ClientMetadata | undefined => {
    try {
      return parseClientMetadata({ ...members, token_endpoint_auth_method: method }, options)
    } catch (error) {
      if (error instanceof OAuthError) return undefined
      throw error
    }
  }
  const methods = usableMethods(document)
  // R34: with a key, and nothing else offered, the key is required.
  const withKey = methods.includes('private_key_jwt') ? parse('private_key_jwt') : undefined
  if (!methods.includes('none')) return withKey
  return withKey ? { ...withKey, token_endpoint_auth_method: 'none' } : parse('none')
}

/**
 * How the client of a document may authenticate. R34: a published document can hold no shared secret. Large clients
 * prefer `private_key_jwt` and list `none` beside it (OpenID Connect RP Metadata Choices), and then send either; one
 * that lists nothing else must not be let in unauthenticated.
 */
function usableMethods(document: Readonly<Record<string, unknown>>): ('none' | 'private_key_jwt')[] {
  const method = document.token_endpoint_auth_method ?? 'none'
  if (method === 'none') return ['none']
  if (method !== 'private_key_jwt') return []
  const offered = document.token_endpoint_auth_methods_supported
  return Array.isArray(offered) && offered.includes('none')
    ? ['private_key_jwt', 'none']
    : ['private_key_jwt']
}

/** Seconds a document may be used without asking again, 0 for `no-store`: its own wish within our bounds (R33). */
function freshFor({ cacheControl, ageSeconds }: DocumentAnswer & { outcome: 'fetched' }): number {
  const directives = cacheControl
    .toLowerCase()
    .split(',')
    .map(directive => directive.trim())
  if (directives.includes('no-store')) return 0
  if (directives.some(directive => /^no-cache(=|$)/.test(directive))) return minFreshSeconds
  const maxAge = directives.map(directive => /^max-age="?(\d{1,9})"?$/.exec(directive)?.[1]).find(Boolean)
  const wanted = maxAge === undefined ? defaultFreshSeconds : Number(maxAge) - ageSeconds
  return Math.min(Math.max(wanted, minFreshSeconds), maxFreshSeconds)
}
