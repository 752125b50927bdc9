import type { RandomBytes } from '../runtime.ts'

/**
 * Three kinds of cookies, all opaque, all short-lived (R67):
 * - one per browser, set with a page of ours: the sealed form in that page opens with it only (R65);
 * - one per sign-in, set when the user has approved and not before: the way back from a provider works in that
 *   browser only (R66);
 * - one for the account page: its session, sealed.
 */

/** Seconds a cookie lives: as long as a page may be answered, or a provider may be visited. */
export const cookieSeconds = 600

/**
 * Sign-ins one browser can have under way; beyond that the oldest is given up, so that the `Cookie` header stays
 * below what servers accept (R67). 16 of them are 2.4 KB, where both kinds of names are sent.
 */
const maxTransactionCookies = 16

const browserCookie = 'sallyport-browser'
const transactionCookie = 'sallyport-tx-'
const accountCookie = 'sallyport-account'
const accountValuePattern = /^[\w.-]{1,1024}$/
const secretPattern = /^[\w-]{24}$/
const transactionValuePattern = /^[0-9a-z]{1,11}\.[\w-]{24}$/
const transactionIdPattern = /^[\w-]{24}$/

/** 144 random bits in base64url: 24 characters. */
export const randomText = (random: RandomBytes): string => Buffer.from(random(18)).toString('base64url')

/**
 * Prefixes of a cookie's name, best first. A browser takes `__Host-` from this host over https alone, so that no
 * neighbour can plant one. On http://localhost Safari refuses `Secure` cookies, so there, and nowhere else, a
 * second one without prefix is set and accepted.
 */
const prefixes = (issuer: string): readonly string[] =>
  issuer.startsWith('http:') ? ['__Host-', ''] : ['__Host-']

/**
 * Reads the `Cookie` header: names and values byte for byte between `;` and `=`. Only spaces and tabs around them
 * are dropped: a no-break space belongs to a name, or `\u00a0__Host-x` would pass for `__Host-x` (R67). A name
 * that comes twice with different values is nobody's.
 */
export function parseCookies(header: string | null): ReadonlyMap<string, string> {
  const cookies = new Map<string, string>()
  const ambiguous = new Set<string>()
  for (const pair of (header ?? '').split(';')) {
    const equals = pair.indexOf('=')
    if (equals === -1) continue
    const name = trimBlanks(pair.slice(0, equals))
    const value = trimBlanks(pair.slice(equals + 1))
    if (cookies.has(name) && cookies.get(name) !== value) ambiguous.add(name)
    cookies.set(name, value)
  }
  for (const name of ambiguous) cookies.delete(name)
  return cookies
}

/** `trim` would drop every Unicode space; a regular expression takes quadratic time on a header full of blanks. */
function trimBlanks(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && isBlank(text[start])) start++
  while (end > start && isBlank(text[end - 1])) end--
  return text.slice(start, end)
}

const isBlank = (character: string | undefined) => character === ' ' || character === '\t'

function readCookie(issuer: string, request: Request, name: string, pattern: RegExp): string | undefined {
  const cookies = parseCookies(request.headers.get('Cookie'))
  const value = prefixes(issuer)
    .map(prefix => cookies.get(prefix + name))
    .find(candidate => candidate !== undefined)
  return value !== undefined && pattern.test(value) ? value : undefined
}

function appendCookie(headers: Headers, issuer: string, name: string, value: string, maxAge: number): void {
  for (const prefix of prefixes(issuer)) {
    const secure = prefix === '' ? '' : '; Secure'
    headers.append(
      'Set-Cookie',
      `${prefix}${name}=${value}; Path=/; Max-Age=${maxAge}; HttpOnly; SameSite=Lax${secure}`,
    )
  }
}

/** The browser's cookie, or undefined when it sent none that can be ours. */
export function readBrowserCookie(issuer: string, request: Request): string | undefined {
  return readCookie(issuer, request, browserCookie, secretPattern)
}

/** Makes sure the browser has its cookie, for another ten minutes; the value goes into what the page is sealed with. */
export function putBrowserCookie(
  { issuer, random }: { issuer: string; random: RandomBytes },
  request: Request,
): { value: string; headers: Headers } {
  const value = readBrowserCookie(issuer, request) ?? randomText(random)
  const headers = new Headers()
  appendCookie(headers, issuer, browserCookie, value, cookieSeconds)
  return { value, headers }
}

/** Takes the browser's cookie back: no page it was shown can be answered any more. */
export function dropBrowserCookie(issuer: string, headers: Headers): void {
  appendCookie(headers, issuer, browserCookie, '', 0)
}

/** The sealed session of the account page, or undefined when the browser has none. */
export function readAccountCookie(issuer: string, request: Request): string | undefined {
  return readCookie(issuer, request, accountCookie, accountValuePattern)
}

/** Sets the session of the account page for `seconds`; 0 ends it. */
export function putAccountCookie(headers: Headers, issuer: string, value: string, seconds: number): void {
  appendCookie(headers, issuer, accountCookie, value, seconds)
}

/** A new value for a sign-in's cookie: when it was made, so that the oldest can be told, and 144 random bits. */
export function newTransactionCookie(random: RandomBytes, now: number): string {
  return `${now.toString(36)}.${randomText(random)}`
}

/** The cookie of one sign-in, or undefined when this browser has none. */
export function readTransactionCookie(issuer: string, request: Request, id: string): string | undefined {
  return readCookie(issuer, request, transactionCookie + id, transactionValuePattern)
}

/** Sets the cookie of one sign-in, and gives up the oldest ones that would be too many. */
export function putTransactionCookie(
  headers: Headers,
  { issuer, request, id, value }: { issuer: string; request: Request; id: string; value: string },
): void {
  const others = transactionCookies(issuer, request).filter(other => other.id !== id)
  for (const { id } of others.slice(maxTransactionCookies - 1)) dropTransactionCookie(headers, issuer, id)
  appendCookie(headers, issuer, transactionCookie + id, value, cookieSeconds)
}

/** Ends the cookie of one sign-in. */
export function dropTransactionCookie(headers: Headers, issuer: string, id: string): void {
  appendCookie(headers, issuer, transactionCookie + id, '', 0)
}

/** This browser's sign-ins, newest first; ids are checked, since they go into headers again. */
function transactionCookies(issuer: string, request: Request): { id: string; madeAt: number }[] {
  const found = new Map<string, number>()
  for (const [name, value] of parseCookies(request.headers.get('Cookie'))) {
    const prefix = prefixes(issuer).find(each => name.startsWith(each + transactionCookie))
    if (prefix === undefined) continue
    const id = name.slice(prefix.length + transactionCookie.length)
    if (!transactionIdPattern.test(id)) continue
    found.set(id, transactionValuePattern.test(value) ? Number.parseInt(value, 36) : 0)
  }
  return [...found].map(([id, madeAt]) => ({ id, madeAt })).sort((a, b) => b.madeAt - a.madeAt)
}
