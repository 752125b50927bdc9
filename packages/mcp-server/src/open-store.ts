import {
  ConfigurationError,
  createFileStore,
  createMemoryStore,
  type EventSink,
  type Store,
} from '@sallyport/oauth'
import type { Config } from './config.ts'

/**
 * The store the configuration names.
 *
 * @param warn told at start what puts records at risk
 * @throws {ConfigurationError} when production would keep its sessions in memory, the folder or the Redis cannot be
 *   used, or `ioredis` is not installed
 * @throws {StoreUnavailableError} when Redis does not answer
 */
export async function openStore(
  { sessionProvider, redisUrl, redisWaitFor, production, directory, sandbox: tenant }: Config,
  emit: EventSink,
  warn: (message: string) => void,
): Promise<Store> {
  if (sessionProvider === 'file') return createFileStore({ directory, tenant, onEvent: emit })
  if (sessionProvider === 'redis') {
    const { createRedisStore } = await importRedis()
    return createRedisStore({
      url: redisUrl ?? '',
      tenant,
      waitFor: redisWaitFor,
      onWarning: warn,
      onEvent: emit,
    })
  }
  if (production) {
    throw new ConfigurationError(
      'SESSION_PROVIDER=memory forgets every sign-in at a restart and production refuses it: use file, or pass createMemoryStore() as the option store to insist.',
    )
  }
  return createMemoryStore({ tenant, onEvent: emit })
}

/** Only who keeps sessions in Redis needs its client. */
async function importRedis(): Promise<typeof import('@sallyport/oauth/redis')> {
  try {
    return await import('@sallyport/oauth/redis')
  } catch (cause) {
    throw new ConfigurationError('SESSION_PROVIDER=redis needs the package ioredis: install it.', { cause })
  }
}
