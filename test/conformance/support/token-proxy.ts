import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, request } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A proxy on loopback. */
export interface TokenProxy {
  /** The endpoint behind it, as its clients reach it. */
  url: string
  close(): Promise<void>
}

/**
 * Stands in front of a protected endpoint and adds an access token to every request, for a client that can send none. It
 * is addressed in place of the endpoint; any other Host or Origin goes on as it is, for the endpoint to refuse.
 */
export async function startTokenProxy(endpoint: string, accessToken: string): Promise<TokenProxy> {
  const target = new URL(endpoint)
  const server = createServer((incoming, outgoing) => {
    const forwarded = request(
      {
        host: '127.0.0.1',
        port: target.port,
        method: incoming.method,
        path: incoming.url,
        headers: {
          ...readdressed(incoming.headers, { from: String(port), to: target.port }),
          authorization: `Bearer ${accessToken}`,
        },
      },
      answer => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
        outgoing.flushHeaders()
        answer.pipe(outgoing)
        answer.on('error', () => outgoing.destroy())
      },
    )
    forwarded.on('error', () => outgoing.destroy())
    // Who hangs up ends the request behind the proxy too.
    outgoing.on('close', () => forwarded.destroy())
    incoming.pipe(forwarded)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://${target.hostname}:${port}${target.pathname}`,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

function readdressed(headers: IncomingHttpHeaders, { from, to }: { from: string; to: string }) {
  const { host, origin } = headers
  const readdress = (value: string) =>
    value.replace(/^((?:https?:\/\/)?[^/:]+):(\d+)$/, (whole, name, port) =>
      port === from ? `${name}:${to}` : whole,
    )
  return {
    ...headers,
    ...(host !== undefined && { host: readdress(host) }),
    ...(origin !== undefined && { origin: readdress(origin) }),
  }
}
