import {
  createMemoryStore,
  createSecretRing,
  type RandomBytes,
  type SecretRing,
  type Store,
} from '@sallyport/oauth'
import { loadSecrets } from '../load-secrets.ts'
import { openStore } from '../open-store.ts'
import type { Ingredients } from './ingredients.ts'

/** What a server keeps, and the secrets it is sealed with. */
export interface Kept {
  ring: SecretRing
  /** Where calls, sessions and subscriptions are kept. */
  store: Store
  /** The same, on a server with sign-in: where users are kept. */
  users: Store | undefined
  /** Closes the store if it was opened here. */
  close(): Promise<void>
}

/**
 * Opens what a server keeps. One without sign-in opens nothing, and keeps in memory what calls need.
 *
 * @throws {ConfigurationError} when a secret is missing or weak, or the store cannot be used
 * @throws {StoreUnavailableError} when the store does not answer
 */
export async function openKept({
  config,
  signIn,
  store: given,
  log,
  emit,
  random,
}: Pick<Ingredients, 'config' | 'signIn' | 'store' | 'log' | 'emit' | 'random'>): Promise<Kept> {
  // Secrets first: a server that may not start leaves no store behind.
  const secrets = signIn
    ? loadSecrets(config, path =>
        log.warn({ path }, 'made a development secret; set SALLYPORT_SECRET in production'),
      )
    : // Without sign-in there are none unless they are set; what callers bring back is then good in this process only.
      (config.secrets ?? [randomSecret(random)])
  const ring = createSecretRing(secrets)
  const users = signIn && (given ?? (await openStore(config, emit, message => log.warn(message))))
  return {
    ring,
    store: users ?? given ?? createMemoryStore({ tenant: config.sandbox }),
    users,
    async close() {
      if (!given) await users?.close()
    },
  }
}

const randomSecret = (random: RandomBytes): string => Buffer.from(random(32)).toString('base64url')
