/**
 * A URL's query and fragment, and credentials in it. Whatever follows `://` fits, and a scheme has an end: an attacker's
 * text, which an error quotes, is gone through once (R196).
 */
const urlParts = /([a-z][a-z0-9+.-]{0,30}:\/\/)(?:[^\s/?#"'<>]*@)?([^\s?#"'<>]*)(?:[?#][^\s"'<>]*)?/gi
/** What is long and opaque enough to be a token, code, secret or key. */
const opaque = /\beyJ[A-Za-z0-9_.-]+|[A-Za-z0-9_~+=-]{24,}(?:\.[A-Za-z0-9_~+=-]+)*/g
const bearer = /\b(bearer|dpop|basic)\s+[^\s"',]+/gi

/** How much of a text is looked at, and how much is logged, in characters. */
const maxRead = 16_384
const maxLogged = 2_000

/** The beginning of a long text, up to a space: half a secret would not look like one. */
const beginning = (text: string): string =>
  text.length <= maxRead ? text : text.slice(0, Math.max(0, text.lastIndexOf(' ', maxRead)))

/**
 * Text of an error as it may be logged: without queries, credentials and anything that looks like a secret
 * (R188). Errors of tools and libraries quote URLs, headers and bodies; what is not known is not kept.
 */
export const redact = (text: string): string =>
  beginning(text)
    .replace(urlParts, '$1$2')
    .replace(bearer, '$1 [redacted]')
    .replace(opaque, '[redacted]')
    .slice(0, maxLogged)
