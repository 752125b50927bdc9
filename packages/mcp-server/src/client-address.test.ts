import { describe, expect, it } from 'vitest'
import { createClientAddress } from './client-address.ts'

const publicUrl = 'https://mcp.example.com'

function find(trustedProxies: string[], peer: string | undefined, forwarded?: string) {
  const warnings: string[] = []
  const clientAddress = createClientAddress({ trustedProxies, publicUrl, warn: text => warnings.push(text) })
  const headers = new Headers(forwarded === undefined ? {} : { 'X-Forwarded-For': forwarded })
  return { address: clientAddress(peer, headers), warnings }
}

describe('createClientAddress', () => {
  it.each([
    ['nobody is trusted by default', [], '203.0.113.9', '198.51.100.7', '203.0.113.9'],
    ['a peer that is not listed', ['10.0.0.1'], '10.0.0.2', '198.51.100.7', '10.0.0.2'],
    ['a neighbour of a listed network', ['10.0.0.0/30'], '10.0.0.4', '198.51.100.7', '10.0.0.4'],
    ['an IPv6 peer outside of the network', ['2001:db8::/32'], '2001:db9::1', '198.51.100.7', '2001:db9::1'],
  ])('R197: %s cannot choose its address by a header', (_, trusted, peer, forwarded, address) => {
    expect(find(trusted, peer, forwarded).address).toBe(address)
  })

  it.each([
    ['a listed proxy', ['10.0.0.1'], '10.0.0.1', '198.51.100.7', '198.51.100.7'],
    ['a listed network', ['10.0.0.0/8'], '10.9.8.7', '198.51.100.7', '198.51.100.7'],
    [
      'a proxy on a socket for both IP versions',
      ['10.0.0.0/8'],
      '::ffff:10.9.8.7',
      '198.51.100.7',
      '198.51.100.7',
    ],
    ['an IPv6 proxy', ['2001:db8::/32'], '2001:db8::1', '2001:db9::5', '2001:db9::5'],
    ['two proxies in a row', ['10.0.0.0/8'], '10.0.0.1', '198.51.100.7, 10.0.0.2', '198.51.100.7'],
    ['a proxy that adds a port', ['10.0.0.1'], '10.0.0.1', '198.51.100.7:51234', '198.51.100.7'],
    ['a proxy that adds brackets and a port', ['10.0.0.1'], '10.0.0.1', '[2001:db9::5]:443', '2001:db9::5'],
    ['only proxies', ['10.0.0.0/8'], '10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
    ['a proxy that says nothing', ['10.0.0.1'], '10.0.0.1', undefined, '10.0.0.1'],
  ])('R197: behind %s the client counts, not the proxy', (_, trusted, peer, forwarded, address) => {
    expect(find(trusted, peer, forwarded).address).toBe(address)
  })

  it.each([
    ['an address further left', '192.0.2.1, 198.51.100.7', '198.51.100.7'],
    ['the address of a proxy further left', '10.0.0.9, 198.51.100.7', '198.51.100.7'],
    ['what is no address', '192.0.2.1, unknown', '10.0.0.1'],
    ['what is no address before the last proxy', '192.0.2.1, <script>, 10.0.0.2', '10.0.0.2'],
    ['an empty entry', '192.0.2.1, ', '10.0.0.1'],
    ['a lone port', ':443', '10.0.0.1'],
  ])('R197: a client that sends the header itself, with %s, gains nothing', (_, forwarded, address) => {
    expect(find(['10.0.0.0/8'], '10.0.0.1', forwarded).address).toBe(address)
  })

  it('a host that tells no address gets none from a header', () => {
    expect(find(['10.0.0.0/8'], undefined, '198.51.100.7').address).toBeUndefined()
  })

  it.each(['127.0.0.1', '10.1.2.3', '::ffff:172.16.0.9', 'fd00::1', '::1', 'fe80::1%eth0'])(
    'a deployer is told once that all clients share one limit when a proxy at %s is not configured',
    peer => {
      const warnings: string[] = []
      const options = { trustedProxies: [], publicUrl, warn: (text: string) => warnings.push(text) }
      const clientAddress = createClientAddress(options)
      clientAddress(peer, new Headers())
      clientAddress(peer, new Headers())
      expect(warnings).toEqual([expect.stringContaining('SALLYPORT_TRUSTED_PROXIES')])
    },
  )

  it.each([
    ['on a public address', publicUrl, '203.0.113.9', []],
    ['in development', 'http://localhost:3000', '127.0.0.1', []],
    ['once a proxy is configured', publicUrl, '10.0.0.1', ['10.0.0.1']],
  ])('nobody is warned %s', (_, url, peer, trustedProxies) => {
    const warnings: string[] = []
    const options = { trustedProxies, publicUrl: url, warn: (text: string) => warnings.push(text) }
    createClientAddress(options)(peer, new Headers())
    expect(warnings).toEqual([])
  })
})
