import type { Credentials } from './test-caller.ts'
import type { IssuedTokens } from './token-requests.ts'

/**
 * Tokens as a client holds them.
 *
 * @param refresh absent: there is nothing to renew them with
 */
export function holdTokens(
  issued: IssuedTokens,
  refresh?: (refreshToken: string) => Promise<IssuedTokens>,
): Credentials {
  let held = issued
  let renewing: Promise<boolean> | undefined

  async function renew(): Promise<boolean> {
    if (!refresh || held.refreshToken === undefined) return false
    try {
      held = await refresh(held.refreshToken)
      return true
    } catch {
      // The session has ended: what the client is told then is the challenge.
      return false
    }
  }
  return {
    scopes: () => held.scopes,
    token: () => held.accessToken,
    // Shared: a refresh token that comes twice ends the session.
    renew: () =>
      (renewing ??= renew().finally(() => {
        renewing = undefined
      })),
  }
}
