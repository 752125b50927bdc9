import { BlockList, isIP } from 'node:net'

const networkPattern = /^(\d{1,3}(?:\.\d{1,3}){3}|[\da-f:.]*:[\da-f:.]*)(?:\/(\d{1,3}))?$/i

function parseNetwork(
  text: string,
): { address: string; prefix: number; family: 'ipv4' | 'ipv6' } | undefined {
  const [, address = '', prefix] = networkPattern.exec(text) ?? []
  const version = isIP(address)
  if (version === 0) return undefined
  const bits = version === 4 ? 32 : 128
  const length = prefix === undefined ? bits : Number(prefix)
  // R197: a network of every address would let each client name any address as its own.
  return length > 0 && length <= bits
    ? { address, prefix: length, family: version === 4 ? 'ipv4' : 'ipv6' }
    : undefined
}

/** Whether this is an IP address or a network in CIDR notation; `/0` is none. */
export const isNetwork = (text: string): boolean => parseNetwork(text) !== undefined

/**
 * Whether an address lies in one of some networks; an IPv4 address inside IPv6 (`::ffff:10.0.0.1`) is the IPv4
 * address.
 */
export function createNetworks(networks: readonly string[]): (address: string) => boolean {
  const list = new BlockList()
  for (const network of networks) {
    const parsed = parseNetwork(network)
    if (parsed) list.addSubnet(parsed.address, parsed.prefix, parsed.family)
  }
  return address => {
    const version = isIP(address)
    return version !== 0 && list.check(address, version === 4 ? 'ipv4' : 'ipv6')
  }
}
