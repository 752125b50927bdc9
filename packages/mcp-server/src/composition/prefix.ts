import { ConfigurationError } from '@sallyport/oauth'

/** What a prefix is made of: in every client's names of tools, and in every URI. */
const allowed = /^[A-Za-z0-9](?:[A-Za-z0-9_-]{0,30}[A-Za-z0-9])?$/

/** @throws {ConfigurationError} when names with it would be none */
export function checkPrefix(prefix: unknown, where: string): asserts prefix is string {
  if (typeof prefix !== 'string' || !allowed.test(prefix)) {
    throw new ConfigurationError(
      `The prefix of ${where} must be 1 to 32 of A-Z, a-z, 0-9, "_" and "-", with a letter or digit at both ends.`,
    )
  }
}

/** Name of a tool or prompt under a prefix, such as `weather_forecast`. */
export const prefixName = (prefix: string, name: string): string => `${prefix}_${name}`

const start = /^[a-z][a-z0-9+.-]*:(?:\/\/)?/i

/** URI or template under a prefix, which goes in front of its path: `notes://all` becomes `notes://office/all`. */
export const prefixUri = (prefix: string, uri: string): string =>
  uri.replace(start, scheme => `${scheme}${prefix}/`)

/** The same of a pattern with `*`; undefined when no URI under the prefix can fit it. */
export function patternWithoutPrefix(prefix: string, pattern: string): string | undefined {
  const [begin = ''] = pattern.split('*')
  const inner = withoutPrefix(prefix, pattern)
  // The prefix is there as far as the pattern goes before its first `*`.
  if (inner !== undefined || begin === pattern) return inner
  const scheme = start.exec(begin)?.[0]
  if (scheme === undefined) return /^[a-z0-9+.-]*$/i.test(begin) ? pattern : undefined
  return `${prefix}/`.startsWith(begin.slice(scheme.length)) ? `${scheme}*` : undefined
}

/** The URI without its prefix; undefined when it is not under it. */
export function withoutPrefix(prefix: string, uri: string): string | undefined {
  const scheme = start.exec(uri)?.[0]
  if (scheme === undefined || !uri.startsWith(`${prefix}/`, scheme.length)) return undefined
  return scheme + uri.slice(scheme.length + prefix.length + 1)
}
