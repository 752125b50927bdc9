/** Serves one request: a server's own `fetch`. */
export type Serve = (request: Request) => Promise<Response>

/** Where a browser is: on a page of the server, or away from it. */
export interface Place {
  url: URL
  /** Absent away from the server. */
  status?: number
  html?: string
}

/** A browser with cookies and without scripts, for the plain pages of a server. */
export interface Browser {
  /** Every address it was sent to. */
  readonly visited: readonly string[]
  /** Every page it was shown. */
  readonly pages: readonly string[]
  /** Follows redirects on the server; ends on a page, or where they lead away. */
  browse(url: string, init?: RequestInit): Promise<Place>
  /** Submits the form of a page with its first button. */
  submit(page: Place, fields?: Readonly<Record<string, string>>): Promise<Place>
}

/**
 * Creates one.
 *
 * @param headers sent with every request, as an extension of the browser would
 */
export function createBrowser(
  serve: Serve,
  origin: string,
  headers: Readonly<Record<string, string>> = {},
): Browser {
  const cookies = new Map<string, string>()
  const visited: string[] = []
  const pages: string[] = []

  function keepCookies(response: Response): void {
    for (const cookie of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? []
      if (value === '' || /max-age=0/i.test(cookie)) cookies.delete(name)
      else cookies.set(name, value)
    }
  }

  const browser: Browser = {
    visited,
    pages,
    async browse(start, init = {}) {
      let url = new URL(start)
      let request = init
      for (let hops = 0; hops < 10; hops++) {
        visited.push(url.href)
        if (url.origin !== origin) return { url }
        const sent = new Headers({ ...headers, ...Object.fromEntries(new Headers(request.headers)) })
        if (cookies.size > 0) sent.set('cookie', [...cookies].map(pair => pair.join('=')).join('; '))
        const response = await serve(new Request(url, { ...request, headers: sent }))
        keepCookies(response)
        const location = response.headers.get('location')
        if (location === null) {
          const html = await response.text()
          pages.push(html)
          return { url, status: response.status, html }
        }
        url = new URL(location, url)
        request = {}
      }
      throw new Error('The server redirects in circles.')
    },
    submit({ url, html = '' }, fields = {}) {
      const form = /<form[^>]*>/.exec(html)?.[0] ?? ''
      const body = new URLSearchParams()
      for (const [tag] of html.matchAll(/<(input|button)[^>]*>/g)) {
        const name = attribute(tag, 'name')
        if (name && !body.has(name)) body.set(name, attribute(tag, 'value') ?? '')
      }
      for (const [name, value] of Object.entries(fields)) body.set(name, value)
      return browser.browse(new URL(attribute(form, 'action') ?? '', url).href, {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded', origin },
        body,
      })
    },
  }
  return browser
}

const attribute = (tag: string, name: string) =>
  new RegExp(`\\b${name}="([^"]*)"`).exec(tag)?.[1]?.replaceAll('&amp;', '&')
