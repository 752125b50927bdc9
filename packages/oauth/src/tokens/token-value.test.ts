import { describe, expect, it } from 'vitest'
import { createSecretRing } from '../keys/secret-ring.ts'
import { sha256 } from '../protocol/hash.ts'
import { systemRandom as random } from '../runtime.ts'
import {
  mintAuthorizationCode,
  mintRefreshToken,
  newGrantId,
  openReplay,
  parseAuthorizationCode,
  parseRefreshToken,
  sealReplay,
} from './token-value.ts'

const older = 'an older secret, long enough to be one'
const newer = 'a newer secret, long enough to be one!'
const secrets = createSecretRing([newer])
const grantId = newGrantId(random)
const mint = (generation = 3, ring = secrets) =>
  mintRefreshToken({ secrets: ring, random, grantId, generation })
const secretOf = (code: string) => code.split('.')[1]!

/** Pearson's χ² of the characters of many secrets against an even spread over the 64 of base64url. */
function chiSquare(secretParts: string[]): number {
  const counts = new Map<string, number>()
  for (const character of secretParts.join('')) counts.set(character, (counts.get(character) ?? 0) + 1)
  const expected = secretParts.join('').length / 64
  return [...counts.values()].reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
}

describe('authorization code', () => {
  it('R57: holds 168 random bits, and its parts can be told apart', () => {
    const { value, hash } = mintAuthorizationCode(random, grantId)
    expect(value).toMatch(/^sp_ac_[\w-]{24}\.[\w-]{28}$/)
    expect(parseAuthorizationCode(value)).toEqual({ grantId, hash })
    expect(hash).toBe(sha256(value))
  })

  it('R176: 100 000 codes differ, and their characters are spread evenly', () => {
    const codes = Array.from({ length: 100_000 }, () => mintAuthorizationCode(random, grantId).value)
    expect(new Set(codes).size).toBe(codes.length)
    // 63 degrees of freedom: above 150 once in more than 10⁸ runs.
    expect(chiSquare(codes.map(secretOf))).toBeLessThan(150)
  })

  it('R57: every random byte shows in the code', () => {
    const codes = Array.from(
      { length: 21 },
      (_, at) => mintAuthorizationCode(length => new Uint8Array(length).fill(1, at, at + 1), grantId).value,
    )
    expect(new Set(codes).size).toBe(21)
  })
})

describe('refresh token', () => {
  it('R112: says its family and generation, and that it is ours', () => {
    const { value, hash } = mint()
    expect(parseRefreshToken(secrets, value)).toEqual({ grantId, generation: 3, hash, genuine: true })
    expect(hash).toBe(sha256(value))
  })

  it('R159: one that is bound says to which key, and nobody can take that off or change it', () => {
    const jkt = 'k'.repeat(43)
    const { value } = mintRefreshToken({ secrets, random, grantId, generation: 3, dpopJkt: jkt })
    expect(parseRefreshToken(secrets, value)).toMatchObject({ dpopJkt: jkt, generation: 3, genuine: true })
    expect(parseRefreshToken(secrets, mint().value)?.dpopJkt).toBeUndefined()
    for (const change of [`.${'l'.repeat(43)}`, '']) {
      expect(parseRefreshToken(secrets, value.replace(`.${jkt}`, change))).toMatchObject({ genuine: false })
    }
    // The MAC of an unbound token is no key: with another behind it, it is a guess.
    expect(parseRefreshToken(secrets, `${mint().value}.${'A'.repeat(43)}`)?.genuine).toBe(false)
  })

  it('R176: 5 000 tokens of one generation differ', () => {
    const values = new Set(Array.from({ length: 5_000 }, () => mint().value))
    expect(values.size).toBe(5_000)
  })

  it('R106: an older secret of the ring still proves its tokens, one that left does not', () => {
    const { value } = mint(0, createSecretRing([older]))
    expect(parseRefreshToken(createSecretRing([newer, older]), value)?.genuine).toBe(true)
    expect(parseRefreshToken(createSecretRing([newer]), value)?.genuine).toBe(false)
  })

  it.each<[string, (parts: string[]) => string[]]>([
    ['another generation', ([id, , secret, mac]) => [id!, '4', secret!, mac!]],
    [
      'another family',
      ([, generation, secret, mac]) => [`sp_rt_${newGrantId(random)}`, generation!, secret!, mac!],
    ],
    ['a guessed secret', ([id, generation, , mac]) => [id!, generation!, 'A'.repeat(28), mac!]],
    ['a guessed MAC', ([id, generation, secret]) => [id!, generation!, secret!, 'A'.repeat(43)]],
    [
      'the MAC of another token',
      ([id, generation, secret]) => [id!, generation!, secret!, mint().value.split('.')[3]!],
    ],
  ])('R97: with %s it is a guess', (_, change) => {
    const guess = change(mint().value.split('.')).join('.')
    expect(parseRefreshToken(secrets, guess)).toMatchObject({ genuine: false })
  })

  it('R97: another spelling of the same MAC is a guess', () => {
    const { value } = mint()
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    const last = alphabet.indexOf(value.at(-1)!)
    const other = value.slice(0, -1) + alphabet[last ^ 1]
    expect(Buffer.from(other.split('.')[3]!, 'base64url')).toEqual(
      Buffer.from(value.split('.')[3]!, 'base64url'),
    )
    expect(parseRefreshToken(secrets, other)?.genuine).toBe(false)
  })
})

describe('strict parsing', () => {
  const code = mintAuthorizationCode(random, grantId).value
  const token = mint().value
  it.each([
    ['nothing', ''],
    ['a prefix alone', 'sp_ac_'],
    ['a space in front', ` ${code}`],
    ['a line feed behind', `${code}\n`],
    ['one character less', code.slice(0, -1)],
    ['one character more', `${code}A`],
    ['no secret', `sp_ac_${grantId}.`],
    ['no family', code.replace(grantId, '')],
    ['padding', `${code.slice(0, -1)}=`],
    ['another alphabet', code.replace(/.$/, '+')],
    ['a refresh token where a code belongs', token],
    ['a JWT', 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.'],
    ['a megabyte', `sp_ac_${'A'.repeat(1_000_000)}.${'A'.repeat(28)}`],
  ])('R155: %s is no authorization code', (_, value) => {
    expect(parseAuthorizationCode(value)).toBeUndefined()
  })

  it.each([
    ['nothing', ''],
    ['an authorization code', code],
    ['a line feed behind', `${token}\n`],
    ['a generation with a zero in front', token.replace('.3.', '.03.')],
    ['a negative generation', token.replace('.3.', '.-3.')],
    ['a generation beyond all whole numbers', token.replace('.3.', `.${'9'.repeat(16)}.`)],
    ['one part less', token.split('.').slice(0, 3).join('.')],
    ['one part more', `${token}.A`],
    ['a megabyte', token.replace(grantId, 'A'.repeat(1_000_000))],
  ])('R155: %s is no refresh token', (_, value) => {
    expect(parseRefreshToken(secrets, value)).toBeUndefined()
  })
})

describe('sealed reply of a rotation', () => {
  const reply = JSON.stringify({ access_token: 'access', refresh_token: 'refresh' })

  it('R105: opens with the token that was presented, and with no other', () => {
    const [presented, other] = [mint().value, mint().value]
    const sealed = sealReplay(presented, reply)
    expect(openReplay(presented, sealed)).toBe(reply)
    expect(openReplay(other, sealed)).toBeUndefined()
  })

  it('R105, R159: opens with the key that was proven beside it, and with no other', () => {
    const { value } = mint()
    for (const jkt of ['one', undefined]) {
      const sealed = sealReplay(value, reply, jkt)
      expect(openReplay(value, sealed, jkt)).toBe(reply)
      for (const other of ['one', 'two', undefined].filter(name => name !== jkt)) {
        expect(openReplay(value, sealed, other)).toBeUndefined()
      }
    }
  })

  it('R162: the hash the store knows does not open it, and it shows nothing of the reply', () => {
    const { value, hash } = mint()
    const sealed = sealReplay(value, reply)
    expect(openReplay(hash, sealed)).toBeUndefined()
    expect(Buffer.from(sealed, 'base64url').toString('latin1')).not.toContain('access')
  })

  it('different replies to one token share no IV', () => {
    const { value } = mint()
    const ivs = ['a', 'b', 'c'].map(text => sealReplay(value, text).slice(0, 16))
    expect(new Set(ivs).size).toBe(3)
  })

  it('changed or cut, it does not open', () => {
    const { value } = mint()
    const sealed = Buffer.from(sealReplay(value, reply), 'base64url')
    for (let at = 0; at < sealed.length; at++) {
      const changed = sealed.with(at, sealed[at]! ^ 1)
      expect(openReplay(value, Buffer.from(changed).toString('base64url'))).toBeUndefined()
    }
    expect(openReplay(value, '')).toBeUndefined()
    expect(openReplay(value, sealed.subarray(0, 27).toString('base64url'))).toBeUndefined()
  })
})
