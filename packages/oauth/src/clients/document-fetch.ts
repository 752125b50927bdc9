import { lookup as systemLookup } from 'node:dns/promises'
import { isIP, type LookupFunction } from 'node:net'
import { collectBytes } from '../collect-bytes.ts'
import { isLoopbackAddress, isPublicAddress } from './public-address.ts'

/** All addresses of a host name. */
export type Lookup = (hostname: string) => Promise<readonly { address: string; family: number }[]>

export interface DocumentFetchOptions {
  /** Lets `https://localhost:<port>`, `127.0.0.1` and `[::1]` through. For tests. Default false. */
  allowLoopback?: boolean
  /** Certificates to trust instead of the system's, PEM. */
  ca?: string
  /** Resolves host names. Default: the system's resolver. */
  lookup?: Lookup
  /** Largest body, in bytes. Default 5120, what a metadata document may be. */
  maxBodyBytes?: number
  /** Time for everything, from the name look-up to the last byte. Default 5000. */
  timeoutMs?: number
}

/**
 * Whether a document behind this URL may be fetched at all: https, on the usual port unless it is on this machine and
 * that is allowed, nobody's password in it, and written as a parser would write it (R30, R32).
 */
export function isDocumentLocation(url: string, { allowLoopback }: { allowLoopback: boolean }): boolean {
  if (!url.startsWith('https://') || !URL.canParse(url)) return false
  const { href, username, password, hash, port, hostname } = new URL(url)
  if (href !== url || username !== '' || password !== '' || hash !== '') return false
  return port === '' || (allowLoopback && isLoopbackHost(hostname))
}

/** An answer: the document as it came, or `withdrawn` when its host says that there is none (404, 410). */
export type DocumentAnswer =
  | { outcome: 'fetched'; body: string; cacheControl: string; ageSeconds: number }
  | { outcome: 'withdrawn' }

/**
 * Fetches one document of a stranger.
 *
 * @throws {Error} when there is no acceptable answer; the reason is for us and must not leave the process (R38)
 */
export type DocumentFetch = (url: string) => Promise<DocumentAnswer>

/** R32: what a metadata document may cost. */
const defaultMaxBodyBytes = 5120
const maxHeaderBytes = 8192
const defaultTimeoutMs = 5000

const loopbackHosts: readonly string[] = ['localhost', '127.0.0.1', '[::1]']

/** Whether a URL host is this machine by one of its three names. */
export function isLoopbackHost(hostname: string): boolean {
  return loopbackHosts.includes(hostname)
}

const systemLookupAll: Lookup = hostname => systemLookup(hostname, { all: true })

/** Makes the guarded fetch of client ID metadata documents and of client keys (R29, R30, R32). */
export function createDocumentFetch({
  allowLoopback = false,
  ca,
  lookup = systemLookupAll,
  maxBodyBytes = defaultMaxBodyBytes,
  timeoutMs = defaultTimeoutMs,
}: DocumentFetchOptions = {}): DocumentFetch {
  return async url => {
    const { origin, hostname } = new URL(url)
    const isAllowed = allowLoopback && isLoopbackHost(hostname) ? isLoopbackAddress : isPublicAddress
    const literal = hostname.replace(/^\[|\]$/g, '')
    // A connection to an address never asks `lookup`.
    if (isIP(literal) !== 0 && !isAllowed(literal)) throw new Error('address is not public')
    // A fifth of the time that the whole package takes to load, and most servers never fetch a document.
    const { Client } = await import('undici')
    // One connection for one request: no redirect is followed, and nobody else's connection is reused.
    const client = new Client(origin, {
      allowH2: false,
      maxHeaderSize: maxHeaderBytes,
      connect: {
        timeout: timeoutMs,
        lookup: checkedLookup(lookup, isAllowed),
        ...(ca !== undefined && { ca }),
      },
    })
    try {
      const { statusCode, headers, body } = await client.request({
        method: 'GET',
        path: url.slice(origin.length),
        headers: { accept: 'application/json', 'accept-encoding': 'identity', 'user-agent': 'sallyport' },
        // Runs on while the body is read: a slow drip ends here too.
        signal: AbortSignal.timeout(timeoutMs),
      })
      // An abandoned body may fail later, and nobody is waiting for it then.
      body.on('error', () => {})
      if (statusCode === 404 || statusCode === 410) return { outcome: 'withdrawn' }
      if (statusCode !== 200) throw new Error('status is not 200')
      // A compressed body could grow past any limit.
      if (!/^(identity)?$/i.test(headerOf(headers, 'content-encoding'))) throw new Error('body is encoded')
      if (!/^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i.test(headerOf(headers, 'content-type'))) {
        throw new Error('body is not JSON')
      }
      return {
        outcome: 'fetched',
        body: await readText(body, maxBodyBytes),
        cacheControl: headerOf(headers, 'cache-control'),
        ageSeconds: Number(/^\d{1,9}$/.exec(headerOf(headers, 'age'))?.[0] ?? 0),
      }
    } finally {
      await client.destroy()
    }
  }
}

/**
 * The addresses that are connected to are the very ones that were checked, so a name cannot point elsewhere in
 * between; one bad address among them and there is no connection at all (R30).
 */
function checkedLookup(lookup: Lookup, isAllowed: (address: string) => boolean): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname).then(
      addresses => {
        const [first] = addresses
        if (!first || !addresses.every(({ address }) => isAllowed(address))) {
          callback(new Error('address is not public'), '')
        } else if (options.all) callback(null, [...addresses])
        else callback(null, first.address, first.family)
      },
      (error: Error) => callback(error, ''),
    )
  }
}

function headerOf(headers: Readonly<Record<string, string | string[] | undefined>>, name: string): string {
  return [headers[name] ?? []].flat().join(', ').trim()
}

async function readText(body: AsyncIterable<Uint8Array>, maxBodyBytes: number): Promise<string> {
  const bytes = await collectBytes(body, maxBodyBytes)
  if (!bytes) throw new Error('body is too large')
  return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
}
