import { describe, expect, it } from 'vitest'
import { systemRandom } from '../runtime.ts'
import {
  newTransactionCookie,
  parseCookies,
  putBrowserCookie,
  putTransactionCookie,
  randomText,
  readBrowserCookie,
  readTransactionCookie,
} from './cookies.ts'

const https = 'https://mcp.example.com'
const loopback = 'http://localhost:3000'

/** The part of `Request` that is read; fetch's own class would refuse or normalise some of these headers. */
const withCookie = (cookie: string | undefined) =>
  ({ headers: { get: () => cookie ?? null } }) as unknown as Request

/** A browser's jar: applies Set-Cookie and gives the Cookie header. */
function createJar() {
  const jar = new Map<string, string>()
  return {
    apply(headers: Headers) {
      for (const line of headers.getSetCookie()) {
        const [, name, value] = /^([^=]+)=([^;]*)/.exec(line)!
        if (/Max-Age=0\b/.test(line)) jar.delete(name!)
        else jar.set(name!, value!)
      }
    },
    header: () => [...jar].map(([name, value]) => `${name}=${value}`).join('; '),
    size: () => jar.size,
  }
}

describe('attributes', () => {
  it('R67: over https every cookie is __Host-, Secure, HttpOnly, SameSite=Lax, at / and short-lived', () => {
    const { headers } = putBrowserCookie({ issuer: https, random: systemRandom }, withCookie(undefined))
    const id = randomText(systemRandom)
    putTransactionCookie(headers, {
      issuer: https,
      request: withCookie(undefined),
      id,
      value: newTransactionCookie(systemRandom, 1),
    })
    const lines = headers.getSetCookie()
    expect(lines).toHaveLength(2)
    for (const line of lines) {
      expect(line).toMatch(
        /^__Host-sallyport-[\w-]+=[\w.-]+; Path=\/; Max-Age=600; HttpOnly; SameSite=Lax; Secure$/,
      )
    }
  })

  it('a user of Safari on http://localhost can sign in: the cookie is there without Secure too', () => {
    const { headers } = putBrowserCookie({ issuer: loopback, random: systemRandom }, withCookie(undefined))
    expect(headers.getSetCookie().map(line => [line.split('=')[0], /; Secure/.test(line)])).toEqual([
      ['__Host-sallyport-browser', true],
      ['sallyport-browser', false],
    ])
    const plain = headers.getSetCookie()[1]!.split(';')[0]!
    expect(readBrowserCookie(loopback, withCookie(plain))).toBe(plain.split('=')[1])
  })

  it('R67: over https a cookie without __Host- counts for nothing', () => {
    expect(readBrowserCookie(https, withCookie(`sallyport-browser=${'a'.repeat(24)}`))).toBeUndefined()
  })

  it('R67: on localhost a planted plain cookie does not replace the prefixed one', () => {
    const header = `sallyport-browser=${'b'.repeat(24)}; __Host-sallyport-browser=${'a'.repeat(24)}`
    expect(readBrowserCookie(loopback, withCookie(header))).toBe('a'.repeat(24))
  })

  it('a browser keeps its cookie when a second tab opens a page', () => {
    const { value } = putBrowserCookie({ issuer: https, random: systemRandom }, withCookie(undefined))
    const second = putBrowserCookie(
      { issuer: https, random: systemRandom },
      withCookie(`__Host-sallyport-browser=${value}`),
    )
    expect(second.value).toBe(value)
    expect(second.headers.getSetCookie()).toHaveLength(1)
  })
})

describe('parseCookies', () => {
  const name = '__Host-sallyport-browser'
  const value = 'a'.repeat(24)

  it.each([
    ['no-break space before the name', `\u00a0${name}=${value}`],
    ['byte order mark before the name', `\ufeff${name}=${value}`],
    ['vertical tab before the name', `\u000b${name}=${value}`],
    ['no-break space after the name', `${name}\u00a0=${value}`],
    ['another case', `${name.toUpperCase()}=${value}`],
    ['percent-encoding', `%5F_Host-sallyport-browser=${value}`],
    ['quotes', `${name}="${value}"`],
    ['the name twice, with different values', `${name}=${'b'.repeat(24)}; ${name}=${value}`],
    ['a value that is too long', `${name}=${value}a`],
    ['no value', `${name}`],
    ['a header that is empty', ''],
  ])('R67: a cookie that only looks like ours is ignored: %s', (_, header) => {
    expect(readBrowserCookie(https, withCookie(header))).toBeUndefined()
  })

  it('R67: a look-alike beside the real cookie does not shadow it', () => {
    const header = `\u00a0${name}=${'b'.repeat(24)}; ${name}=${value}`
    expect(readBrowserCookie(https, withCookie(header))).toBe(value)
  })

  it('reads names, values and the spaces a browser sends', () => {
    expect([...parseCookies('a=1;b=2;\tc=x=y ; d=')]).toEqual([
      ['a', '1'],
      ['b', '2'],
      ['c', 'x=y'],
      ['d', ''],
    ])
    expect(parseCookies(null).size).toBe(0)
  })

  it('R171: names of the prototype are names like any other', () => {
    expect(parseCookies('__proto__=1; constructor=2').get('__proto__')).toBe('1')
  })
})

describe('one cookie per sign-in', () => {
  it.each([https, loopback])(
    'R67: 200 sign-ins in one browser keep its Cookie header below 8 KB at %s',
    issuer => {
      const jar = createJar()
      const ids = Array.from({ length: 200 }, () => randomText(systemRandom))
      ids.forEach((id, at) => {
        const headers = new Headers()
        putTransactionCookie(headers, {
          issuer,
          request: withCookie(jar.header()),
          id,
          value: newTransactionCookie(systemRandom, 1_800_000_000 + at),
        })
        jar.apply(headers)
      })
      expect(jar.header().length).toBeLessThan(8192)
      const alive = ids.filter(id => readTransactionCookie(issuer, withCookie(jar.header()), id))
      expect(alive).toEqual(ids.slice(-16))
    },
  )

  it('R150: what a browser sends as the name of a cookie never gets into a header of ours', () => {
    const planted = Array.from(
      { length: 20 },
      (_, at) => `__Host-sallyport-tx-x%0d%0aSet-Cookie:${at}=1`,
    ).join('; ')
    const headers = new Headers()
    putTransactionCookie(headers, {
      issuer: https,
      request: withCookie(planted),
      id: randomText(systemRandom),
      value: newTransactionCookie(systemRandom, 1),
    })
    expect(headers.getSetCookie()).toHaveLength(1)
  })
})
