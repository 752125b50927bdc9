import fc from 'fast-check'
import { expect, it } from 'vitest'
import { appendResponseParameters, matchesRedirectUri, redirectUriProblem } from './redirect-uri.ts'

/** Strings near URIs, so that the rules are reached and not only the first of them. */
const piece = fc.oneof(
  fc.constantFrom(
    'https:',
    'http:',
    'javascript:',
    'cursor:',
    'a.b:',
    '//',
    '/',
    '\\',
    '@',
    ':',
    '?',
    '#',
    '&',
    '=',
  ),
  fc.constantFrom(
    'localhost',
    '127.0.0.1',
    '[::1]',
    'client.example',
    '%2e',
    '..',
    ' ',
    '\t',
    'code=',
    '443',
    'X',
  ),
  fc.string({ unit: 'binary', maxLength: 3 }),
)
const nearUri = fc.array(piece, { maxLength: 8 }).map(pieces => pieces.join(''))
const path = fc.stringMatching(/^[a-z0-9/_-]{0,12}$/)
const port = fc.integer({ min: 1, max: 65_535 })
const loopback = fc.constantFrom('127.0.0.1', '[::1]', 'localhost')

it('R16: whatever is accepted is what a browser goes to, by https, on this machine, or to an app', () => {
  fc.assert(
    fc.property(nearUri, uri => {
      if (redirectUriProblem(uri, { schemes: [] }) !== undefined) return
      const url = new URL(uri)
      expect(url.username + url.password + url.hash).toBe('')
      expect(url.protocol).toMatch(/^(https|http|cursor|.*[a-z0-9]\.[a-z0-9].*):$/)
      if (url.protocol === 'http:') expect(url.hostname).toMatch(/^(127\.\d+\.\d+\.\d+|\[::1\]|localhost)$/)
      for (const name of ['code', 'state', 'iss', 'error']) expect(url.searchParams.has(name)).toBe(false)
      expect(uri.startsWith(`${url.protocol}/`)).toBe(true)
    }),
    { numRuns: 20_000 },
  )
})

it('R41: what differs from a registered URI off this machine never matches it', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('https://client.example', 'https://localhost', 'cursor://x'),
      path,
      nearUri,
      (origin, rest, other) => {
        const uri = `${origin}/${rest}`
        expect(matchesRedirectUri([uri], other)).toBe(other === uri)
        expect(matchesRedirectUri([uri], uri)).toBe(true)
      },
    ),
  )
})

it('R41: on loopback the port is free, and nothing else', () => {
  fc.assert(
    fc.property(
      loopback,
      loopback,
      fc.option(port),
      port,
      path,
      path,
      (host, otherHost, registered, presented, rest, otherRest) => {
        const uri = `http://${host}${registered === null ? '' : `:${registered}`}/${rest}`
        const other = `http://${otherHost}:${presented}/${otherRest}`
        expect(matchesRedirectUri([uri], other)).toBe(host === otherHost && rest === otherRest)
      },
    ),
  )
})

it('R47: an answer has each parameter once, behind the registered URI', () => {
  const value = fc.string({ unit: 'binary', minLength: 1 })
  const query = fc.constantFrom('', '?', '?x=1', '?x=1&', '?x=%2f&y')
  fc.assert(
    fc.property(path, query, value, value, (rest, suffix, code, state) => {
      const uri = `https://client.example/${rest}${suffix}`
      const answer = appendResponseParameters(uri, {
        code,
        state,
        error: undefined,
        iss: 'https://mcp.example.com',
      })
      expect(answer.startsWith(uri)).toBe(true)
      expect(answer).toMatch(/^[\x21-\x7e]+$/)
      const { searchParams } = new URL(answer)
      expect(searchParams.getAll('code')).toEqual([code])
      expect(searchParams.getAll('state')).toEqual([state])
      expect(searchParams.getAll('iss')).toEqual(['https://mcp.example.com'])
      expect(searchParams.has('error')).toBe(false)
    }),
  )
})
