/** Lifetimes that a client or a scope may have of its own, in seconds. */
export interface TokenLifetimes {
  /** Access token. */
  accessTokenSeconds: number
  /** Refresh token: idle time, slides with each use. */
  refreshTokenSeconds: number
  /** Absolute end of a session, counted from the sign-in; 0 = none. */
  sessionMaxAgeSeconds: number
}

/**
 * What counts for one token: of each lifetime the shortest of all that apply, so that an override can shorten what the
 * server allows and never lengthen it. No end at all (`sessionMaxAgeSeconds: 0`) is the longest there is.
 */
export function shortestLifetimes(
  base: TokenLifetimes,
  overrides: readonly (Partial<TokenLifetimes> | undefined)[],
): TokenLifetimes {
  const shortest = (name: keyof TokenLifetimes, none?: number) => {
    const all = [base[name], ...overrides.flatMap(each => each?.[name] ?? [])].filter(each => each !== none)
    return all.length > 0 ? Math.min(...all) : 0
  }
  return {
    accessTokenSeconds: shortest('accessTokenSeconds'),
    refreshTokenSeconds: shortest('refreshTokenSeconds'),
    sessionMaxAgeSeconds: shortest('sessionMaxAgeSeconds', 0),
  }
}
