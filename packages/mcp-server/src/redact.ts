/** A URL's query and fragment, and credentials in it. */
const urlParts = /(\b[a-z][a-z0-9+.-]*:\/\/)(?:[^\s/@"'<>]*@)?([^\s?#"'<>]*)[?#][^\s"'<>]*/gi
/** What is long and opaque enough to be a token, code, secret or key. */
const opaque = /\beyJ[A-Za-z0-9_.-]+|[A-Za-z0-9_~+=-]{24,}(?:\.[A-Za-z0-9_~+=-]+)*/g
const bearer = /\b(bearer|dpop|basic)\s+[^\s"',]+/gi

/**
 * Text of an error as it may be logged: without queries, credentials and anything that looks like a secret
 * (R188). Errors of tools and libraries quote URLs, headers and bodies; what is not known is not kept.
 */
export const redact = (text: string): string =>
  text.replace(urlParts, '$1$2').replace(bearer, '$1 [redacted]').replace(opaque, '[redacted]').slice(0, 2000)
