import { expect, it } from 'vitest'
import { createSecretRing } from '../keys/secret-ring.ts'
import { createDpopNonces } from './dpop-nonces.ts'

const older = 'an older secret, long enough to be one'
const newer = 'a newer secret, long enough to be one!'
const issuer = 'https://mcp.example.com'

function setUp(ring: readonly string[] = [newer], of = issuer) {
  const time = { now: 1_800_000_000 }
  return {
    time,
    nonces: createDpopNonces({ issuer: of, secrets: createSecretRing(ring), clock: () => time.now }),
  }
}

it('R159: a nonce is good for five minutes, in every process', () => {
  const { nonces, time } = setUp()
  const nonce = nonces.next()
  // RFC 9449 §8.1
  expect(nonce).toMatch(/^[\x21\x23-\x5b\x5d-\x7e]+$/)
  const elsewhere = setUp()
  elsewhere.time.now += 299
  expect(elsewhere.nonces.isCurrent(nonce)).toBe(true)
  time.now += 299
  expect(nonces.isCurrent(nonce)).toBe(true)
  expect(nonces.next()).not.toBe(nonce)
  time.now += 1
  expect(nonces.isCurrent(nonce)).toBe(false)
})

it('R159: nobody else can make one, also not for later', () => {
  const { nonces } = setUp()
  const nonce = nonces.next()
  const [at, tag] = nonce.split('.')
  for (const guess of [
    undefined,
    '',
    at,
    `${at}.${'A'.repeat(43)}`,
    `${Number(at) + 1}.${tag}`,
    `${at}.${tag}x`,
    `${nonce}\n`,
    setUp([older]).nonces.next(),
    setUp([newer], 'https://other.example').nonces.next(),
  ]) {
    expect(nonces.isCurrent(guess)).toBe(false)
  }
})

it('R178: a nonce outlives a rotation of the secret', () => {
  const nonce = setUp([older]).nonces.next()
  expect(setUp([newer, older]).nonces.isCurrent(nonce)).toBe(true)
})
