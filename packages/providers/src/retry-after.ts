/** Longest wait we follow, so that one wrong header does not close a provider for days. */
const maxSeconds = 3600

/** `Retry-After` in seconds from now (RFC 9110 §10.2.3): a number or a date; anything else counts as not sent. */
export function readRetryAfter(headers: Headers, now: number): number | undefined {
  const value = headers.get('retry-after')
  if (value === null) return undefined
  return boundedWait(/^\d+$/.test(value) ? Number(value) : Math.ceil(Date.parse(value) / 1000) - now)
}

/** A wait in seconds that we can keep to; undefined when it is no number. */
export function boundedWait(seconds: number): number | undefined {
  return Number.isFinite(seconds) ? Math.min(Math.max(seconds, 0), maxSeconds) : undefined
}
