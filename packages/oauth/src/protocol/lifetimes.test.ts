import { describe, expect, it } from 'vitest'
import { shortestLifetimes, type TokenLifetimes } from './lifetimes.ts'

const base: TokenLifetimes = {
  accessTokenSeconds: 900,
  refreshTokenSeconds: 86_400,
  sessionMaxAgeSeconds: 2_592_000,
}

describe('R110: of all lifetimes that apply the shortest wins', () => {
  it.each<
    [string, Partial<TokenLifetimes>, (Partial<TokenLifetimes> | undefined)[], Partial<TokenLifetimes>]
  >([
    ['no override: the server’s own', {}, [], {}],
    ['an override of nothing', {}, [undefined, {}], {}],
    [
      'an override of one lifetime leaves the others',
      {},
      [{ accessTokenSeconds: 60 }],
      { accessTokenSeconds: 60 },
    ],
    ['a longer override has no effect', {}, [{ accessTokenSeconds: 3600, refreshTokenSeconds: 1e6 }], {}],
    [
      'the shorter of client and scope, each way round',
      {},
      [
        { accessTokenSeconds: 300, refreshTokenSeconds: 600 },
        { accessTokenSeconds: 60, refreshTokenSeconds: 7200 },
      ],
      { accessTokenSeconds: 60, refreshTokenSeconds: 600 },
    ],
    [
      'a session without end is bounded by one that has one',
      { sessionMaxAgeSeconds: 0 },
      [{ sessionMaxAgeSeconds: 5 }],
      { sessionMaxAgeSeconds: 5 },
    ],
    ['an override of "no end" takes no end away', {}, [{ sessionMaxAgeSeconds: 0 }], {}],
    [
      'no end anywhere stays no end',
      { sessionMaxAgeSeconds: 0 },
      [{ sessionMaxAgeSeconds: 0 }, {}],
      { sessionMaxAgeSeconds: 0 },
    ],
  ])('%s', (_, change, overrides, expected) => {
    const server = { ...base, ...change }
    expect(shortestLifetimes(server, overrides)).toEqual({ ...server, ...expected })
  })
})
