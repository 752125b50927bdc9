import { z } from 'zod'
import type { Context } from '../context.ts'
import { putAccountCookie, readAccountCookie } from '../pages/cookies.ts'
import { accountSeconds } from '../sign-out.ts'
import { endpointPaths } from './paths.ts'
import { seeOther } from './respond.ts'
import { createSealedMessage } from './sealed-message.ts'

const session = createSealedMessage(
  'account-session',
  'account-session',
  z.strictObject({ userId: z.string().min(1), startedAt: z.int() }),
  accountSeconds,
)

/** All sessions are bound to the same: the page they are for. */
const boundTo = 'account'

/** The address of the account page: from configuration, never from a request (R3). */
export const accountUrl = ({ issuer }: Pick<Context, 'issuer'>): string => issuer + endpointPaths.account

/** Sends a user who has just signed in to their account. The session is in the browser and nowhere else. */
export function openAccount(context: Context, userId: string, headers: Headers): Response {
  const sealed = session.seal(context, boundTo, { userId, startedAt: context.clock() })
  putAccountCookie(headers, context.issuer, sealed, accountSeconds)
  return seeOther(accountUrl(context), headers)
}

/** Ends the session of this browser. */
export function closeAccount(context: Context): Response {
  const headers = new Headers()
  putAccountCookie(headers, context.issuer, '', 0)
  return seeOther(accountUrl(context), headers)
}

/** Who is signed in to the account page; nobody once they are disabled (R109), or all their sessions have ended (R157). */
export async function accountUser(context: Context, request: Request): Promise<string | undefined> {
  const sealed = readAccountCookie(context.issuer, request)
  const opened = sealed === undefined ? undefined : session.open(context, boundTo, sealed)
  if (!opened) return undefined
  const { userId, startedAt } = opened
  const now = context.clock()
  const [isDisabled, signedOutAt] = await Promise.all([
    context.store.isUserDisabled({ userId, now }),
    context.store.findSignOut({ userId, now }),
  ])
  return isDisabled || (signedOutAt !== undefined && startedAt <= signedOutAt) ? undefined : userId
}
