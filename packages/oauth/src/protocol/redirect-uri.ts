/** What RFC 3986 §2 lets a URI hold, fragment excluded: no white space, control, backslash or non-ASCII character. */
const uriCharacters = /^(?:[A-Za-z0-9\-._~:/?[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+$/
const maxLength = 2000

/** Private-use schemes without a dot that shipping MCP clients redirect to, against the advice of RFC 8252 §7.1. */
export const builtInRedirectUriSchemes: readonly string[] = [
  'cursor',
  'vscode',
  'vscode-insiders',
  'vscodium',
  'windsurf',
  'zed',
  'kiro',
  'trae',
  'claude',
  'raycast',
]

/** Schemes that run, read or open something in the browser itself: no option lets them in. */
const forbiddenSchemes: ReadonlySet<string> = new Set([
  'about',
  'blob',
  'chrome',
  'data',
  'file',
  'filesystem',
  'ftp',
  'intent',
  'jar',
  'javascript',
  'mailto',
  'resource',
  'tel',
  'vbscript',
  'view-source',
  'ws',
  'wss',
])

/** Parameters an authorization response brings; a registered query that has them already would double them (R47). */
const responseParameters: ReadonlySet<string> = new Set([
  'code',
  'state',
  'iss',
  'error',
  'error_description',
  'error_uri',
])

/** http on these hosts stays on the machine (RFC 8252 §7.3); `localhost` because MCP clients use it. */
const loopbackHost = /^(?:127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\]|localhost)$/

const schemeOf = (uri: string) => /^[a-z][a-z0-9+.-]*(?=:)/.exec(uri)?.[0]

/** Authority and host of an http(s) or other hierarchical URI, as written. */
const authorityOf = (uri: string) => /^[^:/?#]*:\/\/([^/?#]*)/.exec(uri)?.[1]
const withoutPort = (authority: string) => authority.replace(/:\d*$/, '')

/**
 * What is wrong with a redirect URI that a client wants to register, as a constant sentence for its developer;
 * undefined when nothing is (R16, R47).
 *
 * Every rule reads the raw string and lists what is allowed: URL parsers repair what browsers then run.
 *
 * @param options.schemes private-use schemes without a dot, besides the built-in ones
 */
export function redirectUriProblem(
  uri: string,
  { schemes }: { schemes: readonly string[] },
): string | undefined {
  if (uri.length > maxLength) return 'A redirect URI is longer than 2000 characters.'
  if (uri.includes('#')) return 'A redirect URI has a fragment.'
  if (!uriCharacters.test(uri)) return 'A redirect URI holds a character that must be percent-encoded.'
  const scheme = schemeOf(uri)
  if (scheme === undefined) return 'A redirect URI is not absolute, or its scheme is not in lower case.'
  if (!isAllowedScheme(scheme, schemes)) {
    return 'A redirect URI has a scheme that is not allowed: use https, http on loopback, or a scheme in reverse domain form.'
  }
  if (!uri.startsWith('/', scheme.length + 1)) return 'A redirect URI must have a slash after its scheme.'
  const authority = authorityOf(uri)
  if (authority?.includes('@')) return 'A redirect URI has a user name or password.'
  if (scheme === 'https' || scheme === 'http') {
    const host = withoutPort(authority ?? '')
    // The user is shown this host, so it must be the one the browser goes to: 127.1, 0x7f000001 and %6c are not.
    if (host === '' || !URL.canParse(uri) || new URL(uri).hostname !== host) {
      return 'A redirect URI must have a host in its normal form: lower case, addresses in full.'
    }
    if (scheme === 'http' && !loopbackHost.test(host)) {
      return 'A redirect URI with http must be on 127.0.0.1, [::1] or localhost.'
    }
  }
  if (!URL.canParse(uri)) return 'A redirect URI is not a valid URL.'
  const [path = '', query = ''] = splitOnce(uri, '?')
  if (/\/(?:\.|%2e){1,2}(?:\/|$)/i.test(path)) return 'A redirect URI has a dot segment in its path.'
  // Semicolons too: some servers read them as separators.
  const names = query.split(/[&;]/).map(pair => [...new URLSearchParams(pair).keys()][0])
  if (names.some(name => name !== undefined && responseParameters.has(name.toLowerCase()))) {
    return 'A redirect URI already has a parameter that the response brings, such as code or state.'
  }
  return undefined
}

/** Whether a scheme may be used without a dot: for the start-up check of a deployer's own list. */
export function isPrivateUseScheme(scheme: string): boolean {
  return /^[a-z][a-z0-9+.-]*$/.test(scheme) && !forbiddenSchemes.has(scheme) && !/^https?$/.test(scheme)
}

function isAllowedScheme(scheme: string, schemes: readonly string[]): boolean {
  if (scheme === 'https' || scheme === 'http') return true
  if (forbiddenSchemes.has(scheme)) return false
  // RFC 8252 §7.1: a reverse domain name; a lone dot at either end names nobody.
  return (
    /[a-z0-9]\.[a-z0-9]/.test(scheme) ||
    builtInRedirectUriSchemes.includes(scheme) ||
    schemes.includes(scheme)
  )
}

/**
 * Whether a client may be sent to this URI: it is one of those registered, byte for byte (R41, OAuth 2.1 §2.3.1).
 * The only exception is the port of an http URI on 127.0.0.1, [::1] or localhost, which native apps learn when they
 * listen (RFC 8252 §7.3); the three hosts never match each other.
 */
export function matchesRedirectUri(registered: readonly string[], presented: string): boolean {
  if (registered.includes(presented)) return true
  const wanted = withoutLoopbackPort(presented)
  return wanted !== undefined && registered.some(uri => withoutLoopbackPort(uri) === wanted)
}

function withoutLoopbackPort(uri: string): string | undefined {
  const match = /^(http:\/\/(?:127\.0\.0\.1|\[::1\]|localhost))(?::([1-9]\d{0,4}))?((?:[/?].*)?)$/s.exec(uri)
  if (!match) return undefined
  const [, origin, port, rest] = match
  // The space can stand in no host, so no other string gets this form.
  return port !== undefined && Number(port) > 65_535 ? undefined : `${origin} ${rest}`
}

/**
 * Whether the redirect stays on the user's machine, where any local process can be listening (R37). Takes in the
 * whole of 127/8, names below `localhost` and trailing dots (R24).
 */
export function isLoopbackRedirectUri(uri: string): boolean {
  if (!/^https?:/i.test(uri) || !URL.canParse(uri)) return false
  const host = new URL(uri).hostname.replace(/\.$/, '')
  return loopbackHost.test(host) || host.endsWith('.localhost')
}

/** Where a redirect URI leads, for the user to read: its host, or the scheme of an app as in `cursor:`. */
export function redirectUriHost(uri: string): string {
  const scheme = schemeOf(uri)
  if (scheme !== 'https' && scheme !== 'http') return `${scheme ?? ''}:`
  return withoutPort(authorityOf(uri) ?? '')
}

/**
 * The URL of an authorization response: the redirect URI byte for byte, then the parameters that have a value (R47).
 * Values come back from any form or percent decoder exactly as they were (R46).
 */
export function appendResponseParameters(
  uri: string,
  parameters: Readonly<Record<string, string | undefined>>,
): string {
  const pairs = Object.entries(parameters).flatMap(([name, value]) =>
    value === undefined ? [] : [`${encodeURIComponent(name)}=${encodeURIComponent(value)}`],
  )
  if (pairs.length === 0) return uri
  const separator = !uri.includes('?') ? '?' : /[?&]$/.test(uri) ? '' : '&'
  return uri + separator + pairs.join('&')
}

function splitOnce(text: string, separator: string): string[] {
  const index = text.indexOf(separator)
  return index === -1 ? [text] : [text.slice(0, index), text.slice(index + separator.length)]
}
