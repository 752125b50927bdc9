import { createHash } from 'node:crypto'
import { type Html, html, trusted } from './html.ts'
import { style } from './style.ts'

/** A page of ours before it becomes an answer. */
export interface Page {
  title: string
  /** Name of the server, as its operator wrote it. */
  serverName: string
  /** The server's own host, so that users see where they are; left out where the page cannot know it. */
  serverHost?: string
  body: Html
}

const gate = trusted(
  '<svg viewBox="0 0 32 32" fill="none" stroke="currentColor" stroke-width="2" stroke-linejoin="round" aria-hidden="true">' +
    '<path d="M4 28V8h4V4h4v4h8V4h4v4h4v20z"/><path d="M11 28v-8a5 5 0 0 1 10 0v8"/><path d="M16 15v13"/></svg>',
)

const icon =
  'data:image/svg+xml,' +
  encodeURIComponent(
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" fill="none" stroke="#14614a" stroke-width="3" ' +
      'stroke-linejoin="round"><path d="M4 28V8h4V4h4v4h8V4h4v4h4v20z"/><path d="M11 28v-8a5 5 0 0 1 10 0v8"/></svg>',
  )

/**
 * No `form-action`: Chromium applies it to the whole chain of redirects after a form, and would stop the answer on
 * its way to the client (R71). What it guards against cannot happen without foreign markup in the page.
 */
const contentSecurityPolicy = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`,
  "img-src 'self' data:",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** Headers of every page a user sees, whoever made it (R50, R51, R198). */
const pageHeaders: Readonly<Record<string, string>> = {
  'Cache-Control': 'no-store',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
}

/** A whole page as an answer: no script, nothing from other origins, readable in light and dark. */
export function renderPage(page: Page, init: ResponseInit = {}): Response {
  const document = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>${page.title} – ${page.serverName}</title>
<link rel="icon" href="${icon}">
<style>${trusted(style)}</style>
</head>
<body>
<header class="server">${gate}<p><bdi>${page.serverName}</bdi>${
    page.serverHost !== undefined && html`<small>${page.serverHost}</small>`
  }</p></header>
<main>
${page.body}
</main>
</body>
</html>
`
  const headers = new Headers(init.headers)
  headers.set('Content-Type', 'text/html; charset=utf-8')
  headers.set('Content-Security-Policy', contentSecurityPolicy)
  for (const [name, value] of Object.entries(pageHeaders)) headers.set(name, value)
  return new Response(document.toString(), { ...init, headers })
}

/**
 * A page that the application made, on an address that holds a sign-in's state: it keeps its own policy for what it
 * loads, and gets everything that keeps it out of caches, frames and referrers.
 */
export function guardForeignPage(response: Response): Response {
  const headers = new Headers(response.headers)
  for (const [name, value] of Object.entries(pageHeaders)) headers.set(name, value)
  const policy = headers.get('Content-Security-Policy')
  if (!policy?.includes('frame-ancestors'))
    headers.append('Content-Security-Policy', "frame-ancestors 'none'")
  return new Response(response.body, { status: response.status, headers })
}
