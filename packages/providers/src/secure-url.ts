import { ConfigurationError } from '@sallyport/oauth'

/** Whether tokens and secrets may travel to this URL: https, or http on the loopback interface. */
export function isSecureUrl(value: string): boolean {
  if (!URL.canParse(value)) return false
  const { protocol, hostname, username, password } = new URL(value)
  if (username || password) return false
  return (
    protocol === 'https:' ||
    (protocol === 'http:' && /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(hostname))
  )
}

/**
 * Checks addresses that options may have set.
 *
 * @throws {ConfigurationError} when one is neither https nor http on loopback
 */
export function assertSecureUrls(label: string, urls: readonly string[]): void {
  if (urls.every(isSecureUrl)) return
  throw new ConfigurationError(`Every address of ${label} must be an https URL, or http on localhost.`)
}
