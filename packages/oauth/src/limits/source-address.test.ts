import { describe, expect, it } from 'vitest'
import { sourceOf } from './source-address.ts'

describe('sourceOf', () => {
  it.each([
    ['198.51.100.7', '198.51.100.7'],
    ['::ffff:198.51.100.7', '198.51.100.7'],
    ['::FFFF:c633:6407', '198.51.100.7'],
    ['0:0:0:0:0:ffff:198.51.100.7', '198.51.100.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002::', '2001:db8:1:2::/64'],
    ['2001:db8:1:2:ffff:ffff:ffff:ffff', '2001:db8:1:2::/64'],
    ['2001:db8:1:3::1', '2001:db8:1:3::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ])('R22: %s counts as %s, however it is written', (address, source) => {
    expect(sourceOf(address)).toBe(source)
  })

  it.each([undefined, '', 'localhost', '198.51.100', '198.51.100.7:443', '0x7f.1', '/run/socket', '%eth0'])(
    'R22: %s is no address, and limits nobody together with others',
    address => {
      expect(sourceOf(address)).toBeUndefined()
    },
  )
})
