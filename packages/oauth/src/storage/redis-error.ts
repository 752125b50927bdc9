import { StoreUnavailableError } from '../errors.ts'

/** Codes that Redis puts in front of an error; inside a script, older versions hide them in the middle. */
const replyCode =
  /\b(READONLY|LOADING|OOM|NOREPLICAS|CLUSTERDOWN|MASTERDOWN|TRYAGAIN|MISCONF|BUSY|NOSCRIPT|NOAUTH|NOPERM|WRONGPASS|WRONGTYPE|CROSSSLOT|MOVED|ASK)\b/

/** Refusals that pass by themselves, or once the connection has found the server that now takes writes. */
const passing = new Set([
  'READONLY',
  'LOADING',
  'CLUSTERDOWN',
  'MASTERDOWN',
  'TRYAGAIN',
  'BUSY',
  'MOVED',
  'ASK',
])

/** A failure of Redis or of the way to it, as one word: never its message, which can quote arguments. */
export function redisErrorCode(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  if (error.message === 'Command timed out') return 'timeout'
  // What a user may not do inside a script comes without a code.
  if (/user executing the script|ACL failure/.test(error.message)) return 'NOPERM'
  const code = replyCode.exec(error.message)?.[1]
  if (code) return code
  if (error.name === 'ReplyError') return 'ERR'
  return 'code' in error && typeof error.code === 'string' && /^[A-Z_]+$/.test(error.code)
    ? error.code
    : 'connection'
}

/** Whether a step that failed so may be sent again: it is the same step, so that it happens once (R164). */
export function isPassing(code: string): boolean {
  return passing.has(code) || code === 'late' || isUnanswered(code)
}

/** Whether Redis said nothing: what was sent may have happened, or may still. */
export function isUnanswered(code: string): boolean {
  return code === 'timeout' || code === 'connection' || (code !== 'ERR' && /^E[A-Z_]+$/.test(code))
}

/** R166: whatever Redis fails with, the outcome is unknown and nothing else takes its place. */
export function redisUnavailable(code: string): StoreUnavailableError {
  return new StoreUnavailableError(`Redis could not answer (${code})`, { cause: code })
}
