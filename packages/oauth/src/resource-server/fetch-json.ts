import { collectBytes } from '../collect-bytes.ts'
import { parseJsonObject } from '../protocol/parameters.ts'

/** How a resource server asks its issuer. Default: the platform's `fetch`. */
export type IssuerFetch = (url: string, init: RequestInit) => Promise<Response>

const timeoutMs = 5_000
/** Key sets with certificate chains are long; more than this is none. */
const maxBytes = 256 * 1024

/** A JSON answer; `object` is undefined when the body holds none. */
export interface JsonAnswer {
  status: number
  object: Record<string, unknown> | undefined
}

/**
 * One request to the issuer, never a redirect: keys come from the configured address or not at all.
 *
 * @throws {Error} when there is no answer within five seconds, or it is too long; the message holds none of it
 */
export async function fetchJson(
  fetch: IssuerFetch,
  url: string,
  init: RequestInit = {},
): Promise<JsonAnswer> {
  const response = await fetch(url, { ...init, redirect: 'manual', signal: AbortSignal.timeout(timeoutMs) })
  const bytes = await collectBytes(response.body, maxBytes)
  if (!bytes) throw new Error('the answer is too long')
  const text = new TextDecoder().decode(bytes)
  return { status: response.status, object: parseJsonObject(text) }
}
