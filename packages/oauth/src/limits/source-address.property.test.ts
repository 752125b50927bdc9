import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { sourceOf } from './source-address.ts'

const hex = (value: number) => value.toString(16)
const group = fc.nat(0xffff)

describe('sourceOf', () => {
  it('R22: whatever a host says where a request comes from, nothing is thrown', () => {
    fc.assert(fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string()), address => void sourceOf(address)))
  })

  it('R22: all 2^64 addresses of a /64 are one source, and no address of another is', () => {
    fc.assert(
      fc.property(
        fc.tuple(group, group, group, fc.integer({ min: 1, max: 0xffff })),
        fc.array(group, { minLength: 4, maxLength: 4 }),
        fc.array(group, { minLength: 4, maxLength: 4 }),
        (network, hostA, hostB) => {
          const source = sourceOf([...network, ...hostA].map(hex).join(':'))
          expect(sourceOf([...network, ...hostB].map(hex).join(':').toUpperCase())).toBe(source)
          const neighbour = [...network.slice(0, 3), network[3] - 1]
          expect(sourceOf([...neighbour, ...hostA].map(hex).join(':'))).not.toBe(source)
        },
      ),
    )
  })

  it('R22: an IPv4 address is the same source inside IPv6', () => {
    fc.assert(
      fc.property(fc.ipV4(), address => {
        expect(sourceOf(`::ffff:${address}`)).toBe(sourceOf(address))
      }),
    )
  })
})
