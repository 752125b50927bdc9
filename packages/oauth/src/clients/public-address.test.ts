import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isLoopbackAddress, isPublicAddress } from './public-address.ts'

describe('isPublicAddress', () => {
  it.each([
    '1.1.1.1',
    '8.8.8.8',
    '93.184.216.34',
    '172.15.0.1',
    '172.32.0.1',
    '100.63.255.255',
    '100.128.0.1',
    '2606:4700:4700::1111',
    '2a00:1450:4001:81b::200e',
  ])('R30: %s is on the public internet', address => {
    expect(isPublicAddress(address)).toBe(true)
  })

  it.each([
    ['this network', '0.0.0.0'],
    ['this network', '0.1.2.3'],
    ['private', '10.0.0.1'],
    ['private', '172.16.0.1'],
    ['private', '172.31.255.255'],
    ['private', '192.168.1.1'],
    ['CGNAT', '100.64.0.1'],
    ['CGNAT', '100.127.255.255'],
    ['loopback', '127.0.0.1'],
    ['loopback', '127.255.255.254'],
    ['link local, cloud metadata', '169.254.169.254'],
    ['IETF protocol assignments', '192.0.0.192'],
    ['documentation', '192.0.2.1'],
    ['documentation', '198.51.100.1'],
    ['documentation', '203.0.113.1'],
    ['6to4 relay', '192.88.99.1'],
    ['AS112', '192.31.196.1'],
    ['AMT', '192.52.193.1'],
    ['benchmarking', '198.18.0.1'],
    ['benchmarking', '198.19.255.255'],
    ['multicast', '224.0.0.1'],
    ['multicast', '239.255.255.255'],
    ['reserved', '240.0.0.1'],
    ['broadcast', '255.255.255.255'],
    ['unspecified', '::'],
    ['loopback', '::1'],
    ['mapped private', '::ffff:10.0.0.1'],
    ['mapped loopback', '::ffff:7f00:1'],
    ['mapped public', '::ffff:8.8.8.8'],
    ['compatible loopback', '::127.0.0.1'],
    ['compatible public', '::8.8.8.8'],
    ['translated', '::ffff:0:10.0.0.1'],
    ['NAT64 of private', '64:ff9b::10.0.0.1'],
    ['NAT64 of metadata', '64:ff9b::a9fe:a9fe'],
    ['NAT64 of public', '64:ff9b::8.8.8.8'],
    ['local NAT64', '64:ff9b:1::a00:1'],
    ['local NAT64', '64:ff9b:1:ffff::1'],
    ['discard', '100::1'],
    ['dummy prefix', '100:0:0:1::1'],
    ['Teredo', '2001::1'],
    ['Teredo', '2001:0:4136:e378:8000:63bf:3fff:fdd2'],
    ['benchmarking', '2001:2::1'],
    ['ORCHID', '2001:10::1'],
    ['ORCHIDv2', '2001:20::1'],
    ['documentation', '2001:db8::1'],
    ['documentation', '3fff::1'],
    ['6to4 of private', '2002:a00:1::1'],
    ['6to4 of public', '2002:808:808::1'],
    ['segment routing', '5f00::1'],
    ['unique local', 'fc00::1'],
    ['unique local', 'fd12:3456::1'],
    ['unique local, cloud metadata', 'fd00:ec2::254'],
    ['link local', 'fe80::1'],
    ['link local with zone', 'fe80::1%eth0'],
    ['site local', 'fec0::1'],
    ['multicast', 'ff02::1'],
    ['ISATAP of private', '2606:4700::5efe:10.0.0.1'],
    ['ISATAP of public', '2606:4700::200:5efe:8.8.8.8'],
    ['not assigned', '4000::1'],
    ['not assigned', '1::1'],
    ['public with zone', '2606:4700::1%eth0'],
  ])('R30: %s, %s, is not', (_, address) => {
    expect(isPublicAddress(address)).toBe(false)
  })

  it.each([
    '',
    'localhost',
    '127.1',
    '0x7f.1',
    '2130706433',
    '010.1.1.1',
    '8.8.8',
    '8.8.8.8 ',
    '[::1]',
    '8.8.8.8:80',
    '１.1.1.1',
  ])('R30: %j is no address at all', text => {
    expect(isPublicAddress(text)).toBe(false)
    expect(isLoopbackAddress(text)).toBe(false)
  })

  it('R30: no IPv6 address that carries an IPv4 one is public, whatever it carries', () => {
    const forms = [
      '::ffff:',
      '::',
      '::ffff:0:',
      '64:ff9b::',
      '64:ff9b:1::',
      '2001:db8::',
      '2a00:1450::5efe:',
      '2a00::200:5efe:',
      'fe80::',
    ]
    fc.assert(
      fc.property(fc.constantFrom(...forms), fc.ipV4(), (prefix, address) => {
        expect(isPublicAddress(prefix + address)).toBe(false)
      }),
    )
  })

  it('R30: no address is both public and this machine', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), address => {
        expect(isPublicAddress(address) && isLoopbackAddress(address)).toBe(false)
      }),
    )
    expect(['127.0.0.1', '127.9.9.9', '::1'].every(isLoopbackAddress)).toBe(true)
    expect(
      ['0.0.0.0', '::', '::ffff:127.0.0.1', '10.0.0.1', '8.8.8.8', '::1%lo'].some(isLoopbackAddress),
    ).toBe(false)
  })
})
