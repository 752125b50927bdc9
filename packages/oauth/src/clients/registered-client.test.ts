import { describe, expect, it } from 'vitest'
import { OAuthError } from '../errors.ts'
import { createSecretRing } from '../keys/secret-ring.ts'
import { systemRandom } from '../runtime.ts'
import { type ClientMetadata, parseClientMetadata } from './client-metadata.ts'
import {
  isRegisteredClientSecret,
  packClientId,
  registeredClientSecret,
  unpackClientId,
} from './registered-client.ts'

const oldSecret = 'old-ring-secret-0123456789-0123456789'
const newSecret = 'new-ring-secret-0123456789-0123456789'
const secrets = createSecretRing([oldSecret])
const rotated = createSecretRing([newSecret, oldSecret])
const parts = { secrets, random: systemRandom, clock: () => 1_800_000_000 }
const metadata = parseClientMetadata(
  { redirect_uris: ['http://127.0.0.1/cb'], client_name: 'Café ☕', token_endpoint_auth_method: 'none' },
  { schemes: [] },
)
const withName = (length: number): ClientMetadata => ({ ...metadata, client_name: 'x'.repeat(length) })
const { clientId } = packClientId(parts, metadata)

describe('a stateless registration', () => {
  it('R21: the client_id brings back what was registered, also after the ring was rotated', () => {
    expect(unpackClientId(secrets, clientId)).toEqual(metadata)
    expect(unpackClientId(rotated, clientId)).toEqual(metadata)
    expect(unpackClientId(createSecretRing([newSecret]), clientId)).toBeUndefined()
  })

  it('R15: each client_id has 128 random bits of its own and is no URL', () => {
    const asked: number[] = []
    const random = (length: number) => {
      asked.push(length)
      return systemRandom(length)
    }
    const other = packClientId({ ...parts, random }, metadata)
    expect(other.issuedAt).toBe(1_800_000_000)
    expect(other.clientId).not.toBe(clientId)
    expect(Math.max(...asked) * 8).toBeGreaterThanOrEqual(128)
    expect(clientId).toMatch(/^dcr\.[\w-]+\.[\w-]{43}$/)
  })

  it('R22: metadata of more than 2 KB is refused, and 2 KB fit', () => {
    const overhead =
      Buffer.from(packClientId(parts, withName(1)).clientId.split('.')[1]!, 'base64url').length - 1
    const largest = packClientId(parts, withName(2048 - overhead)).clientId
    expect(unpackClientId(secrets, largest)?.client_name).toHaveLength(2048 - overhead)
    expect(() => packClientId(parts, withName(2049 - overhead))).toThrow(OAuthError)
    expect(() => packClientId(parts, withName(2049 - overhead))).toThrow('invalid_client_metadata')
  })

  const [, body, tag] = clientId.split('.') as [string, string, string]
  const forged = Buffer.from(
    JSON.stringify({ ...metadata, iat: 1, jti: 'x', redirect_uris: ['https://evil.example/'] }),
  )
  it.each([
    ['nothing', ''],
    ['only the prefix', 'dcr.'],
    ['no MAC', `dcr.${body}`],
    ['an empty MAC', `dcr.${body}.`],
    ['another prefix', `DCR.${body}.${tag}`],
    ['other metadata', `dcr.${forged.toString('base64url')}.${tag}`],
    ['metadata that is no JSON', `dcr.AAAA.${tag}`],
    ['a longer MAC', `${clientId}A`],
    ['padding', `${clientId}=`],
    ['a line break', `${clientId}\n`],
    ['another alphabet', `dcr.${body}.${tag.replace(/^./, '+')}`],
    ['more than any client_id', `dcr.${'A'.repeat(100_000)}.${tag}`],
    ['the MAC of another purpose', `dcr.${body}.${registeredClientSecret(secrets, `dcr.${body}`)}`],
  ])('R15: a client_id with %s is none of ours', (_, value) => {
    expect(unpackClientId(secrets, value)).toBeUndefined()
  })

  it('R22: what is longer than any client_id costs no MAC', () => {
    const ring = { ...secrets, verifyMac: () => expect.unreachable() }
    expect(unpackClientId(ring, `dcr.${'A'.repeat(2732)}.${tag}`)).toBeUndefined()
  })

  it('R15: a client_id that differs in any one character is none of ours', () => {
    for (let index = 0; index < clientId.length; index++) {
      for (const character of ['A', 'B', 'g', '.']) {
        if (clientId[index] === character) continue
        const changed = clientId.slice(0, index) + character + clientId.slice(index + 1)
        expect(unpackClientId(secrets, changed)).toBeUndefined()
      }
    }
  })

  it('R87: the secret of a registered client is its own, and known under every secret of the ring', () => {
    const secret = registeredClientSecret(secrets, clientId)
    expect(isRegisteredClientSecret(secrets, clientId, secret)).toBe(true)
    expect(isRegisteredClientSecret(rotated, clientId, secret)).toBe(true)
    const other = packClientId(parts, metadata).clientId
    expect(isRegisteredClientSecret(secrets, other, secret)).toBe(false)
    for (const wrong of ['', 'x', secret.slice(1), `${secret}=`, `${secret}A`, tag, 'é'.repeat(43)]) {
      expect(isRegisteredClientSecret(secrets, clientId, wrong)).toBe(false)
    }
    // The two spare bits of the last character.
    const twin = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_']
      .map(last => secret.slice(0, -1) + last)
      .filter(
        spelling =>
          spelling !== secret && Buffer.from(spelling, 'base64url').equals(Buffer.from(secret, 'base64url')),
      )
    expect(twin).toHaveLength(3)
    for (const spelling of twin) expect(isRegisteredClientSecret(secrets, clientId, spelling)).toBe(false)
  })
})
