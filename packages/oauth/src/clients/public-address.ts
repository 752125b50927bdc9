import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'

/** All IPv6 addresses assigned to the public internet (RFC 4291 §2.4): NAT64, mapped, unique local … lie outside. */
const globalUnicast = ipaddr.IPv6.parseCIDR('2000::/3')

/**
 * Whether an address is one on the public internet, and no special-use one (RFC 6890, R30). Asks what is allowed:
 * an address counts as public only when it is ordinary unicast. IPv6 forms that carry an IPv4 address (mapped,
 * compatible, NAT64, 6to4, Teredo, ISATAP) are refused whatever they carry: a translator may deliver them inside.
 */
export function isPublicAddress(address: string): boolean {
  // Strict first: ipaddr.js also reads 0x7f.1 and 010.1.1.1, each in its own way.
  if (isIP(address) === 0 || address.includes('%')) return false
  const parsed = ipaddr.parse(address)
  if (parsed.range() !== 'unicast') return false
  if (parsed instanceof ipaddr.IPv4) return true
  return parsed.match(globalUnicast) && !isIsatap(parsed)
}

/** Whether an address is the machine itself: 127/8 or ::1. */
export function isLoopbackAddress(address: string): boolean {
  return isIP(address) !== 0 && !address.includes('%') && ipaddr.parse(address).range() === 'loopback'
}

/** Interface identifier `[0|2]00:5efe:<IPv4>` (RFC 5214 §6.1), under any prefix. */
function isIsatap({ parts }: ipaddr.IPv6): boolean {
  return (parts[4]! & ~0x0200) === 0 && parts[5] === 0x5efe
}
