import type { ConnectedProvider } from '@sallyport/mcp-server'
import type { TokenSource } from './get-fresh-token.ts'

/** A redirect status that means "ask there instead". */
const redirectStatuses = [301, 302, 303, 307, 308]
const maxRedirects = 5

/** Headers that belong to one origin, ours or the tool's, and must not travel on to another. */
const originHeaders = ['authorization', 'cookie', 'proxy-authorization']

/** One request of a tool, taken apart so that it can be sent again. */
interface Outgoing {
  url: URL
  method: string
  headers: Headers
  body: RequestInit['body'] | undefined
  /** Whether `body` is a value that can be sent twice, not a stream. */
  isRepeatable: boolean
  redirect: 'follow' | 'error' | 'manual'
  signal: AbortSignal | undefined
  rest: RequestInit
}

/**
 * `fetch` with the user's token towards the provider's API origins (R184). It follows redirects itself: within the
 * origin with the token, to another origin without it. When the token is rejected it refreshes once and tries once more.
 * The returned function throws `TypeError` for any other URL, besides what `fetch` and the token source throw.
 */
export function createProviderFetch(parts: {
  label: string
  isApiUrl(url: URL): boolean
  /** Whether an answer of the API says that the token is no good. */
  rejectsToken(response: Response): Promise<boolean>
  tokens: Pick<TokenSource, 'get' | 'renew'>
}): ConnectedProvider['fetch'] {
  const { label, isApiUrl, rejectsToken, tokens } = parts
  return async (userId, scopes, input, init, account) => {
    const outgoing = takeApart(input, init)
    const { signal } = outgoing
    if (!isApiUrl(outgoing.url)) {
      throw new TypeError(`${label}: this URL is outside the API origins that receive the user's token`)
    }
    signal?.throwIfAborted()
    const token = await abortable(tokens.get(userId, scopes, account), signal)
    const { response, sawToken } = await send(outgoing, token.value)
    if (!sawToken || !(await rejectsToken(response))) return response
    const renewed = await abortable(tokens.renew(userId, scopes, account, token.value), signal)
    if (renewed.value === token.value || !outgoing.isRepeatable) return response
    await response.body?.cancel()
    return (await send(outgoing, renewed.value)).response
  }
}

function takeApart(input: string | URL | Request, init: RequestInit = {}): Outgoing {
  if (!(input instanceof Request)) {
    return {
      url: new URL(input),
      method: (init.method ?? 'GET').toUpperCase(),
      headers: new Headers(init.headers),
      body: init.body ?? null,
      isRepeatable: isRepeatable(init.body),
      redirect: init.redirect ?? 'follow',
      signal: init.signal ?? undefined,
      rest: init,
    }
  }
  const request = new Request(input, init)
  return {
    url: new URL(request.url),
    method: request.method,
    headers: request.headers,
    body: request.body,
    // The body of a Request is a stream and can be read once.
    isRepeatable: request.body === null,
    redirect: request.redirect,
    signal: request.signal,
    rest: init,
  }
}

function isRepeatable(body: RequestInit['body'] | undefined): boolean {
  return (
    body === undefined ||
    body === null ||
    typeof body === 'string' ||
    body instanceof URLSearchParams ||
    body instanceof FormData ||
    body instanceof Blob ||
    body instanceof ArrayBuffer ||
    ArrayBuffer.isView(body)
  )
}

/** `sawToken`: whether the answer comes from the provider, so that a 401 says something about the token. */
async function send(outgoing: Outgoing, token: string): Promise<{ response: Response; sawToken: boolean }> {
  let { url, method, body, headers } = outgoing
  headers = new Headers(headers)
  headers.set('authorization', `Bearer ${token}`)
  for (let redirects = 0; ; redirects++) {
    const response = await fetchOnce(outgoing, { url, method, headers, body, redirect: 'manual' })
    const target = redirectTarget(response, url)
    if (!target || outgoing.redirect === 'manual') return { response, sawToken: true }
    if (outgoing.redirect === 'error') throw new TypeError('redirect refused')
    if (redirects === maxRedirects) throw new TypeError('too many redirects')
    // Fetch Standard, HTTP-redirect fetch: these become a GET without body.
    const becomesGet =
      (response.status === 303 && method !== 'GET' && method !== 'HEAD') ||
      ((response.status === 301 || response.status === 302) && method === 'POST')
    if (becomesGet) {
      method = 'GET'
      body = null
      for (const name of ['content-type', 'content-length', 'content-encoding']) headers.delete(name)
    }
    const leaves = target.origin !== url.origin
    // A body meant for the provider goes nowhere else, and a stream cannot be sent twice: the tool decides.
    if (body !== null && body !== undefined && (leaves || !outgoing.isRepeatable)) {
      return { response, sawToken: true }
    }
    await response.body?.cancel()
    if (leaves) {
      for (const name of originHeaders) headers.delete(name)
      const left = { url: target, method, headers, body: null, redirect: 'follow' as const }
      return { response: await fetchOnce(outgoing, left), sawToken: false }
    }
    url = target
  }
}

function fetchOnce(
  { rest, signal }: Outgoing,
  { url, ...request }: Pick<Outgoing, 'url' | 'method' | 'headers' | 'body' | 'redirect'>,
): Promise<Response> {
  return fetch(url, {
    ...rest,
    ...request,
    ...(signal && { signal }),
    // Required by the Fetch Standard for a body that is a stream.
    ...(request.body && { duplex: 'half' }),
  } as RequestInit)
}

function redirectTarget(response: Response, from: URL): URL | undefined {
  const location = response.headers.get('location')
  if (!redirectStatuses.includes(response.status) || location === null) return undefined
  if (!URL.canParse(location, from.href)) return undefined
  const target = new URL(location, from)
  return target.protocol === 'https:' || target.protocol === 'http:' ? target : undefined
}

/** The caller stops waiting when it aborts; the refresh it waited for goes on, for it belongs to others too. */
async function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise
  let onAbort = () => {}
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason)
  })
  if (signal.aborted) onAbort()
  else signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
