import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'

/**
 * What counts as one source: an IPv4 address, or the /64 of an IPv6 address, of which one customer has 2^64 to choose
 * from (R22). IPv4 inside IPv6 (`::ffff:192.0.2.1`), as sockets that listen on both report it, is IPv4. Undefined for
 * what is no address.
 */
export function sourceOf(address: string | undefined): string | undefined {
  // A zone (`fe80::1%eth0`) names an interface of this machine, not a peer.
  const [bare = ''] = (address ?? '').split('%', 1)
  if (isIP(bare) === 0) return undefined
  const parsed = ipaddr.process(bare)
  if (parsed instanceof ipaddr.IPv4) return parsed.toString()
  const network = parsed.parts.slice(0, 4).map(part => part.toString(16))
  return `${network.join(':')}::/64`
}
