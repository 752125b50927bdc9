import { type AccessTokenVerifier, type Clock, OAuthError } from '@sallyport/oauth'
import { type Caller, type ClientCaller, callerOf } from '../tools/caller.ts'
import type { HeldSignIn, HeldSignInStore } from './held-sign-in.ts'
import type { LocalClient } from './local-client.ts'

/** The sign-in of this machine's user. */
export interface Session {
  /** Who is signed in, verified now; undefined when nobody is. Rejects when that cannot be known now. */
  caller(): Promise<Caller | ClientCaller | undefined>
  /** Keeps a new sign-in, if its token is good here. */
  accept(held: HeldSignIn): Promise<boolean>
}

/** An access token with less life than this, in seconds, is renewed before it is used. */
const skewSeconds = 30

/** Creates a session over what is kept; other processes may write there too. */
export function createSession(options: {
  store: HeldSignInStore
  client: LocalClient
  verify: (token: string) => ReturnType<AccessTokenVerifier['verifyAccessToken']>
  clock: Clock
}): Session {
  const { store, client, verify, clock } = options
  let renewing: Promise<HeldSignIn | undefined> | undefined

  const isFresh = ({ endsAt }: HeldSignIn) => endsAt === 0 || endsAt - skewSeconds > clock()

  /** The next tokens. A refresh token works once, and another process may have been first. */
  async function renew(used: HeldSignIn): Promise<HeldSignIn | undefined> {
    const current = store.read()
    if (current && current.accessToken !== used.accessToken && isFresh(current)) return current
    const next = await client.refresh(current ?? used)
    if (next) {
      store.write(next)
      return next
    }
    const since = store.read()
    if (since && since.accessToken !== (current ?? used).accessToken) return since
    store.write(undefined)
    return undefined
  }
  const renewed = (used: HeldSignIn) => {
    renewing ??= renew(used).finally(() => {
      renewing = undefined
    })
    return renewing
  }

  async function callerBy(held: HeldSignIn): Promise<Caller | ClientCaller | undefined> {
    try {
      return callerOf(await verify(held.accessToken))
    } catch (error) {
      if (error instanceof OAuthError && error.code === 'invalid_token') return undefined
      throw error
    }
  }

  return {
    async caller() {
      const held = store.read()
      if (!held) return undefined
      const fresh = isFresh(held) ? held : await renewed(held)
      const caller = fresh && (await callerBy(fresh))
      if (caller || !fresh || fresh !== held) return caller
      // Revoked, or ended by a clock that is not ours: the refresh token may still be good.
      const next = await renewed(held)
      return next && callerBy(next)
    },
    async accept(held) {
      if (!(await callerBy(held))) return false
      store.write(held)
      return true
    },
  }
}
