import { ConfigurationError } from '@sallyport/oauth'
import type { ListSettings } from './calls/lists.ts'
import type { ServerOptions } from './server.ts'

/** @throws {ConfigurationError} when lists cannot be served so */
export function listSettings({ pageSize, cache }: Pick<ServerOptions, 'pageSize' | 'cache'>): ListSettings {
  if (pageSize !== undefined && !(Number.isSafeInteger(pageSize) && pageSize > 0)) {
    throw new ConfigurationError('pageSize must be a whole number of items, 1 or more.')
  }
  const { ttlMs = 0, cacheScope = 'private' } = cache ?? {}
  if (!Number.isSafeInteger(ttlMs) || ttlMs < 0 || !['public', 'private'].includes(cacheScope)) {
    throw new ConfigurationError(
      'cache must have ttlMs, a whole number of milliseconds, and cacheScope, "public" or "private".',
    )
  }
  return { pageSize, cache }
}
