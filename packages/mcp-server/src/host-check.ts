import { jsonResponse } from './json-response.ts'
import { isLoopback, loopbackNames } from './loopback.ts'

/** Which names and origins a server answers to (R193). */
export interface HostCheck {
  /** A refusal when the request names a host that is not this server: a page that rebinds DNS does. */
  checkHost(request: Request): Response | undefined
  /** Whether a value of `Host` is a name of this server. */
  isOwnHost(host: string): boolean
  /** A refusal when a page of another origin sends the request. No `Origin`: not a page. */
  checkOrigin(request: Request): Response | undefined
  /** Whether pages of this origin were allowed by configuration, and so may read the answers. */
  isAllowedOrigin(origin: string): boolean
}

/**
 * Creates the checks.
 *
 * @param options.port where the server listens. Loopback names with it are answered: a proxy on the same machine
 *   calls by them, and no rebound page can, which is known by its own name
 * @param options.allowedHosts further values of `Host`, with the port unless it is the scheme's
 * @param options.allowedOrigins further origins whose pages may use the MCP endpoint
 */
export function createHostCheck(options: {
  publicUrl: string
  port: number
  allowedHosts?: readonly string[]
  allowedOrigins?: readonly string[]
}): HostCheck {
  const { protocol, hostname, host } = new URL(options.publicUrl)
  const local = loopbackNames.map(name => `${name}:${options.port}`)
  // `URL.host` leaves the scheme's own port out, a client may write it.
  const withPort = host === hostname ? `${hostname}:${protocol === 'https:' ? 443 : 80}` : host
  const hosts = new Set([
    host,
    withPort,
    ...local,
    ...(options.allowedHosts ?? []).map(name => name.toLowerCase()),
  ])
  const localOrigins = isLoopback(hostname) ? local.map(name => new URL(`http://${name}`).origin) : []
  const own = new Set([options.publicUrl, ...localOrigins])
  const allowed = new Set(options.allowedOrigins)

  const isOwnHost = (host: string) => hosts.has(host) || hosts.has(host.toLowerCase())

  return {
    isOwnHost,
    checkHost(request) {
      const header = request.headers.get('host')
      // The target of the request line can name another host than the header does; both must be ours.
      const names = [new URL(request.url).host, ...(header === null ? [] : [header])]
      if (names.every(isOwnHost)) return undefined
      return jsonResponse(
        {
          error: 'invalid_request',
          error_description:
            'This server does not answer to that host name. Its operator sets PUBLIC_URL to the address clients use, and proxies must pass the Host header on.',
        },
        403,
      )
    },
    checkOrigin(request) {
      const origin = request.headers.get('origin')
      if (origin === null || own.has(origin) || allowed.has(origin)) return undefined
      return jsonResponse(
        {
          error: 'invalid_request',
          error_description: 'Pages of this origin may not use the server. Its operator can allow it.',
        },
        403,
      )
    },
    isAllowedOrigin: origin => allowed.has(origin),
  }
}
