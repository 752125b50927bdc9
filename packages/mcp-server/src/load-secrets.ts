import { ConfigurationError } from '@sallyport/oauth'
import type { Config } from './config.ts'
import { developmentSecret } from './development-secret.ts'

/**
 * The secrets of the server. Development makes one when there is none.
 *
 * @param onCreated told the path of a secret that was made just now
 * @throws {ConfigurationError} when production has none, or the folder cannot be written
 */
export function loadSecrets(
  { secrets, production, directory }: Pick<Config, 'secrets' | 'production' | 'directory'>,
  onCreated: (path: string) => void,
): readonly string[] {
  if (secrets) return secrets
  if (production) {
    throw new ConfigurationError(
      'SALLYPORT_SECRET is not set, which production needs: make one with "openssl rand -base64 48".',
    )
  }
  const { secret, path, created } = developmentSecret(directory)
  if (created) onCreated(path)
  return [secret]
}
