import type { Context } from '../context.ts'
import { type Login, LoginError, type LoginResult, letGo } from '../login.ts'
import { PageRefusal } from '../pages/refusal.ts'
import { findUser } from '../storage/find-user.ts'
import { StaleAuthentication } from './stale-authentication.ts'
import type { Leg, Transaction } from './transaction.ts'

/**
 * The user behind a login: the same (issuer, subject) is the same user for ever, and nothing else makes two logins
 * one user, least of all an e-mail address (R76). When a connection is made for somebody, it must be this user, and
 * that is checked before anything of the login is kept (R80).
 *
 * @param trip the leg it came back from and when that began: what the client asked of the authentication is checked
 *   before anything is kept
 * @throws {PageRefusal} `wrong_user`
 * @throws {StaleAuthentication}
 * @throws {LoginError} `disabled`; or when the login named nobody, or could not keep its connection
 */
export async function signInUser(
  context: Pick<Context, 'store' | 'clock' | 'random' | 'emit'>,
  login: Pick<Login, 'id' | 'kind'>,
  trip: { leg: Pick<Leg, 'maxAgeSeconds'>; startedAt: number | undefined },
  result: LoginResult,
  goal: Transaction['goal'],
): Promise<{ user: NonNullable<Transaction['user']>; isIncomplete: boolean }> {
  const { store, random, emit } = context
  const { issuer, subject } = result
  // An empty subject would be one user for everybody.
  if (!issuer || !subject) throw new LoginError('failed')
  const now = context.clock()
  const authTime = authTimeOf(login, result, now)
  assertRecent(authTime, trip)
  const id = await findUser({ store, random }, [issuer, subject], now)
  if (goal.kind === 'connect' && id !== goal.connect.userId) {
    await letGo(result, id)
    throw new PageRefusal('wrong_user')
  }
  // R109: a user who may not refresh must not get around that by signing in.
  if (await store.isUserDisabled({ userId: id, now })) {
    if (goal.kind === 'connect') await letGo(result, id)
    throw new LoginError('disabled')
  }
  const isIncomplete = (await keepConnection(result, id)) === 'incomplete'
  emit({ type: 'sign_in_succeeded', loginId: login.id, userId: id })
  const amr = (result.amr ?? []).filter(method => method !== '')
  return {
    user: {
      id,
      ...(authTime !== undefined && { authTime }),
      amr,
      ...(result.acr && { acr: result.acr }),
    },
    isIncomplete,
  }
}

/** Who has too many accounts can still sign in; one more they cannot connect. */
async function keepConnection({ onUser }: LoginResult, userId: string) {
  try {
    return await onUser?.(userId)
  } catch (error) {
    if (error instanceof LoginError && error.reason === 'too_many_accounts') return undefined
    throw error
  }
}

/** When the user authenticated, as far as that can be true. A provider that does not say may have asked nothing. */
function authTimeOf(
  { kind }: Pick<Login, 'kind'>,
  { authTime }: LoginResult,
  now: number,
): number | undefined {
  if (authTime !== undefined && Number.isInteger(authTime) && authTime >= 0) return Math.min(authTime, now)
  return kind === 'page' ? now : undefined
}

/** How far the clock of a provider may be behind ours, in seconds. */
const clockToleranceSeconds = 60

/**
 * OpenID Connect Core §3.1.2.1: counted from when the user was sent there, so that who is slow at the password does
 * not have to give it twice.
 */
function assertRecent(
  authTime: number | undefined,
  { leg: { maxAgeSeconds }, startedAt }: Parameters<typeof signInUser>[2],
): void {
  if (maxAgeSeconds === undefined) return
  const isRecent =
    authTime !== undefined &&
    startedAt !== undefined &&
    authTime + maxAgeSeconds + clockToleranceSeconds >= startedAt
  if (!isRecent) throw new StaleAuthentication()
}
