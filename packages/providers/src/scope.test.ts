import { describe, expect, it } from 'vitest'
import { coversScopes, normaliseScopes, parseScope, type ScopeRules } from './scope.ts'

const rules: ScopeRules = {
  replySeparator: /[\s,]+/,
  aliases: { 'https://long.example/email': 'email' },
  prefix: 'https://graph.example/',
  includes: { admin: ['write'], write: ['read'], loop: ['loop', 'admin'] },
}

describe('scopes have one form', () => {
  it('long forms become short, duplicates go, order stays', () => {
    expect(
      normaliseScopes(
        ['b', 'https://long.example/email', 'email', '', 'https://graph.example/Mail.Read'],
        rules,
      ),
    ).toEqual(['b', 'email', 'Mail.Read'])
    expect(parseScope('b,email c', rules)).toEqual(['b', 'email', 'c'])
  })
})

describe('a grant covers what a tool needs', () => {
  it.each<[string[], string[], boolean]>([
    [['read'], ['read'], true],
    [['read'], ['write'], false],
    [['write'], ['read'], true],
    [['admin'], ['read', 'write'], true],
    [['loop'], ['read'], true],
    [['read'], ['read', 'offline_access'], true],
    [['Mail.Read'], ['https://graph.example/Mail.Read'], true],
    [['Mail.Read'], ['mail.read'], false],
    [['constructor'], ['read'], false],
    [[], [], true],
  ])('%j for %j: %s', (granted, needed, covers) => {
    expect(coversScopes(granted, needed, rules)).toBe(covers)
  })

  it('where case does not count, a tool need not write it as the provider does', () => {
    const loose = { ...rules, ignoresCase: true }
    expect(coversScopes(['Mail.Read'], ['mail.read'], loose)).toBe(true)
    expect(coversScopes(['mail.read'], ['https://graph.example/Mail.Send'], loose)).toBe(false)
  })
})
