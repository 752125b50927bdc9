import type { JsonObject } from './json.ts'

/** Where a token endpoint leaves RFC 6749; what is absent is as the RFC says. */
export interface TokenFormat {
  /** How parameters are sent. Default `form` (RFC 6749 appendix B). */
  body?: 'form' | 'json'
  /** Headers sent along, such as the version of an API. Default: none. */
  headers?: Readonly<Record<string, string>>
  /** The reply in the members of RFC 6749 §5.1 and §5.2. A 2xx reply with `error` is a refusal. Default: as it is. */
  readReply?(reply: JsonObject): JsonObject
  /** Seconds to wait, said in a header of the provider's own. Default: `Retry-After` alone. */
  retryAfter?(headers: Headers, now: number): number | undefined
}
