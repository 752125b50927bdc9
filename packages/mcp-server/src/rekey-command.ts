import { createSealer, createSecretRing, type RekeyCount, rekey, systemRandom } from '@sallyport/oauth'
import { loadConfig } from './config.ts'
import type { Environment } from './environment.ts'
import { loadSecrets } from './load-secrets.ts'
import { openStore } from './open-store.ts'

/**
 * `sallyport rekey`: seals again, by the newest secret, whatever an older one sealed, in the store that the
 * environment names. Servers go on working meanwhile.
 *
 * @param print told one line at a time
 * @throws {ConfigurationError} when the environment cannot work
 * @throws {StoreUnavailableError} when the store does not answer; doing it again is safe
 */
export async function rekeyCommand(environment: Environment, print: (line: string) => void): Promise<void> {
  const config = loadConfig({}, environment)
  const ring = createSecretRing(loadSecrets(config, () => {}))
  // One by one, each would wait; and who rekeys looks afterwards whether all is well.
  const store = await openStore({ ...config, redisWaitFor: 'none' }, () => {}, print)
  try {
    const { connections, signingKeys, revocations } = await rekey({
      store,
      sealer: createSealer(ring, systemRandom),
    })
    print(`Connections: ${inWords(connections)}.`)
    print(`Signing keys: ${inWords(signingKeys)}.`)
    print(`Tokens to be revoked: ${inWords(revocations)}.`)
    if (connections.unreadable + signingKeys.unreadable + revocations.unreadable === 0) {
      print(
        'The older secrets can be taken out of SALLYPORT_SECRET; clients registered under one register again.',
      )
    } else {
      print('What is unreadable was sealed by a secret that is missing: put it back into SALLYPORT_SECRET.')
    }
  } finally {
    await store.close()
  }
}

const inWords = ({ resealed, current, unreadable }: RekeyCount) =>
  `${resealed} sealed again, ${current} already up to date, ${unreadable} unreadable`
