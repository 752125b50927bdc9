/** What an upstream server may cost us: its answer must end within the time and fit the size (R187). */
export interface FetchLimits {
  timeoutMs: number
  maxBytes: number
}

/** An answer that was read whole. */
export interface LimitedResponse {
  status: number
  headers: Headers
  text: string
}

/**
 * One request to an upstream server, never a redirect: credentials and key material come from the configured
 * address or not at all.
 *
 * @throws {Error} when the server cannot be reached, is too slow or sends too much; the message holds none of it
 */
export async function fetchLimited(
  url: string,
  init: RequestInit,
  limits: FetchLimits,
): Promise<LimitedResponse> {
  const timeout = AbortSignal.timeout(limits.timeoutMs)
  const signal = init.signal ? AbortSignal.any([init.signal, timeout]) : timeout
  const response = await fetch(url, { ...init, redirect: 'manual', signal })
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength
    // Leaving the loop cancels the body, so that an endless answer stops here.
    if (size > limits.maxBytes) throw new Error(`answer exceeds ${limits.maxBytes} bytes`)
    chunks.push(chunk)
  }
  const text = await new Blob(chunks as Uint8Array<ArrayBuffer>[]).text()
  return { status: response.status, headers: response.headers, text }
}
