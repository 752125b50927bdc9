import { isIP } from 'node:net'
import { isLoopback } from './loopback.ts'
import { createNetworks } from './networks.ts'

/**
 * Address of the client a request comes from; undefined when it is not known.
 *
 * @param peer who is connected to this server
 */
export type ClientAddress = (peer: string | undefined, headers: Headers) => string | undefined

/** Where nobody on the internet has an address: who is connected from there is a proxy, or a neighbour. */
const isInside = createNetworks([
  '127.0.0.0/8',
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '169.254.0.0/16',
  '100.64.0.0/10',
  '::1/128',
  'fc00::/7',
  'fe80::/10',
])

/**
 * Finds the client behind the proxies that the deployer trusts: from the right, `X-Forwarded-For` is what each of
 * them saw, and the first address that is no proxy's is the client. Everything further left is what the client says,
 * and everything said by a peer that is not listed is not looked at (R197).
 *
 * @param options.warn told once when a public server is reached through a proxy that it was not told of: all
 *   clients then count as one
 */
export function createClientAddress(options: {
  trustedProxies: readonly string[]
  publicUrl: string
  warn: (message: string) => void
}): ClientAddress {
  const { trustedProxies, publicUrl, warn } = options
  const isTrusted = createNetworks(trustedProxies)
  let mayWarn = trustedProxies.length === 0 && !isLoopback(new URL(publicUrl).hostname)

  return (peer, headers) => {
    if (peer === undefined) return undefined
    const address = withoutZone(peer)
    if (mayWarn && isInside(address)) {
      mayWarn = false
      warn(
        'requests come from a private address, so through a proxy: set SALLYPORT_TRUSTED_PROXIES to its address, or all clients share one rate limit',
      )
    }
    if (!isTrusted(address)) return address
    let client = address
    for (const hop of (headers.get('x-forwarded-for') ?? '').split(',').reverse()) {
      const seen = forwardedAddress(hop.trim())
      // Not an address: what stands further left cannot be believed either.
      if (seen === undefined) break
      client = seen
      if (!isTrusted(seen)) break
    }
    return client
  }
}

const withoutZone = (address: string) => address.split('%', 1)[0]!

/** An entry of `X-Forwarded-For`: an address, from some proxies with a port, in brackets when it is IPv6. */
function forwardedAddress(entry: string): string | undefined {
  const address =
    /^\[([^\]]+)\](?::\d{1,5})?$/.exec(entry)?.[1] ?? /^([\d.]+):\d{1,5}$/.exec(entry)?.[1] ?? entry
  return isIP(address) === 0 ? undefined : withoutZone(address)
}
