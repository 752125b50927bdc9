import { UrlElicitationRequiredError } from '@modelcontextprotocol/server'
import { StoreUnavailableError } from '@sallyport/oauth'
import { ClientCapabilityError } from '../elicit/client-capability-error.ts'
import { ConnectionRequiredError, ProviderUnavailableError } from '../provider.ts'
import { ToolError } from './tool-error.ts'

const known = [
  ToolError,
  StoreUnavailableError,
  ProviderUnavailableError,
  ConnectionRequiredError,
  ClientCapabilityError,
  UrlElicitationRequiredError,
]
const maxDepth = 8

const isKnown = (error: unknown): boolean => known.some(kind => error instanceof kind)

/** Whether somebody can do something about an error, or about what it wraps. */
export const hasKnownCause = (error: unknown): boolean => isKnown(knownCause(error))

/**
 * The error that somebody can do something about, where a client library (Octokit, googleapis) wrapped what `fetch` of
 * the call threw in an error of its own; else the error as it is.
 */
export function knownCause(error: unknown): unknown {
  let inner = error
  for (let depth = 0; depth < maxDepth && inner instanceof Error; depth++) {
    if (isKnown(inner)) return inner
    inner = inner.cause
  }
  return error
}
