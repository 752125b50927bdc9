import { type HTMLElement, parse } from 'node-html-parser'
import { CookieJar } from 'tough-cookie'
import { request } from 'undici'

/** Where the browser came to rest. */
export interface Page {
  url: URL
  /** 0 when the browser stopped in front of `url` because of `stopAt`. */
  status: number
  headers: Headers
  html: string
  root: HTMLElement
  /** Visible text. */
  text: string
}

/** One request and its answer, as on the wire. */
export interface Exchange {
  method: string
  url: string
  requestBody: string
  status: number
  /** `name: value` lines of the response. */
  head: string
  body: string
}

export interface BrowserOptions {
  /** The browser does not go to such URLs: redirect URIs with nobody behind them. */
  stopAt?: (url: URL) => boolean
}

/** A browser without a window: cookies, redirects, plain forms. It runs no script. */
export interface Browser {
  readonly cookies: CookieJar
  /** Every exchange so far, redirects included. */
  readonly exchanges: readonly Exchange[]
  /** Types an address and follows redirects. */
  open(url: string | URL): Promise<Page>
  /**
   * Fills in the page's form and submits it with the button that matches.
   *
   * @throws {Error} when there is no such form, button or field
   */
  submit(page: Page, button: RegExp, fields?: Readonly<Record<string, string>>): Promise<Page>
}

interface Navigation {
  method: 'GET' | 'POST'
  url: URL
  body: string
  /** Page the navigation starts from; undefined when the address was typed. */
  from: URL | undefined
  referrerPolicy: string
}

const userAgent = 'Mozilla/5.0 (X11; Linux x86_64) SallyportTestBrowser/1.0'

/** Same site as browsers see it on loopback: scheme and host, whatever the port. */
const isSameSite = (a: URL, b: URL): boolean => a.protocol === b.protocol && a.hostname === b.hostname

/** A new browser with an empty cookie jar. */
export function createBrowser({ stopAt = () => false }: BrowserOptions = {}): Browser {
  // `__Host-` rules are kept strictly; loopback counts as a secure context, as in Chromium and Firefox.
  const cookies = new CookieJar(undefined, { prefixSecurity: 'strict', allowSecureOnLocal: true })
  const exchanges: Exchange[] = []

  async function navigate(start: Navigation): Promise<Page> {
    let { method, url, body } = start
    let crossSite = start.from !== undefined && !isSameSite(start.from, url)
    for (let hops = 0; hops < 30; hops++) {
      if (stopAt(url)) return createPage(url, 0, new Headers(), '')
      const sameSiteContext = !crossSite ? 'strict' : method === 'GET' ? 'lax' : 'none'
      const cookie = await cookies.getCookieString(url.href, { sameSiteContext })
      const isSameOrigin = start.from?.origin === url.origin
      const answer = await request(url, {
        method,
        headers: {
          accept: 'text/html,application/xhtml+xml,*/*;q=0.8',
          'accept-language': 'en',
          'user-agent': userAgent,
          'sec-fetch-mode': 'navigate',
          'sec-fetch-dest': 'document',
          'sec-fetch-site':
            start.from === undefined
              ? 'none'
              : crossSite
                ? 'cross-site'
                : isSameOrigin
                  ? 'same-origin'
                  : 'same-site',
          ...(cookie ? { cookie } : {}),
          ...(method === 'POST'
            ? {
                'content-type': 'application/x-www-form-urlencoded',
                origin: originHeader(start, isSameOrigin),
              }
            : {}),
        },
        ...(method === 'POST' ? { body } : {}),
      })
      const text = await answer.body.text()
      const headers = new Headers()
      for (const [name, value] of Object.entries(answer.headers))
        for (const each of [value].flat()) if (each !== undefined) headers.append(name, each)
      for (const line of headers.getSetCookie()) await cookies.setCookie(line, url.href)
      exchanges.push({
        method,
        url: url.href,
        requestBody: method === 'POST' ? body : '',
        status: answer.statusCode,
        head: [...headers].map(([name, value]) => `${name}: ${value}`).join('\n'),
        body: text,
      })

      const location = headers.get('location')
      if (answer.statusCode < 300 || answer.statusCode > 399 || location === null)
        return createPage(url, answer.statusCode, headers, text)
      const next = new URL(location, url)
      crossSite ||= !isSameSite(url, next)
      url = next
      // 307 and 308 keep method and body; that a form meant for us would be posted to the client shows here.
      if (answer.statusCode !== 307 && answer.statusCode !== 308) {
        method = 'GET'
        body = ''
      }
    }
    throw new Error('too many redirects')
  }

  return {
    cookies,
    exchanges,
    open: url =>
      navigate({ method: 'GET', url: new URL(url), body: '', from: undefined, referrerPolicy: '' }),
    submit(page, button, fields = {}) {
      const { form, pressed } = findButton(page, button)
      const data = readForm(form, fields)
      const name = pressed.getAttribute('name')
      if (name) data.append(name, pressed.getAttribute('value') ?? '')
      const url = new URL(pressed.getAttribute('formaction') ?? form.getAttribute('action') ?? '', page.url)
      const method = (form.getAttribute('method') ?? 'get').toLowerCase() === 'post' ? 'POST' : 'GET'
      if (method === 'GET') url.search = data.toString()
      return navigate({
        method,
        url,
        body: method === 'POST' ? data.toString() : '',
        from: page.url,
        referrerPolicy: page.headers.get('referrer-policy') ?? '',
      })
    },
  }
}

/** Fetch §3.2.7: some referrer policies make the origin of a form opaque. */
function originHeader({ from, referrerPolicy }: Navigation, isSameOrigin: boolean): string {
  const hidden = referrerPolicy === 'no-referrer' || (referrerPolicy === 'same-origin' && !isSameOrigin)
  return hidden || from === undefined ? 'null' : from.origin
}

function createPage(url: URL, status: number, headers: Headers, html: string): Page {
  const root = parse(html)
  return { url, status, headers, html, root, text: root.textContent.replace(/\s+/g, ' ').trim() }
}

function findButton(page: Page, pattern: RegExp): { form: HTMLElement; pressed: HTMLElement } {
  for (const form of page.root.querySelectorAll('form')) {
    for (const pressed of form.querySelectorAll('button, input[type=submit]')) {
      const label = pressed.textContent.trim() || (pressed.getAttribute('value') ?? '')
      if (pressed.getAttribute('type') !== 'button' && pattern.test(label)) return { form, pressed }
    }
  }
  throw new Error(`no button ${pattern} on ${page.url.origin}${page.url.pathname}: ${page.text}`)
}

function readForm(form: HTMLElement, fields: Readonly<Record<string, string>>): URLSearchParams {
  const data = new URLSearchParams()
  const unused = new Set(Object.keys(fields))
  for (const control of form.querySelectorAll('input, select, textarea')) {
    const name = control.getAttribute('name')
    const type = (control.getAttribute('type') ?? 'text').toLowerCase()
    if (!name || control.hasAttribute('disabled') || ['submit', 'button', 'image', 'reset'].includes(type))
      continue
    const wanted = fields[name]
    unused.delete(name)
    const value = control.getAttribute('value') ?? ''
    if (type === 'radio' || type === 'checkbox') {
      const on = value || 'on'
      if (wanted === undefined ? control.hasAttribute('checked') : wanted === on) data.append(name, on)
    } else if (control.rawTagName === 'select') {
      const options = control.querySelectorAll('option')
      const chosen = options.find(option => option.hasAttribute('selected')) ?? options[0]
      data.append(name, wanted ?? chosen?.getAttribute('value') ?? '')
    } else {
      data.append(name, wanted ?? (control.rawTagName === 'textarea' ? control.textContent : value))
    }
  }
  if (unused.size > 0) throw new Error(`no field named ${[...unused].join(', ')}`)
  return data
}
