import { z } from 'zod'
import type { Context } from '../context.ts'
import { putAccountCookie, readAccountCookie } from '../pages/cookies.ts'
import { endpointPaths } from './paths.ts'
import { seeOther } from './respond.ts'
import { createSealedMessage } from './sealed-message.ts'

/** How long a user may look at their account before they sign in again, in seconds. Not renewed. */
const accountSeconds = 900

const session = createSealedMessage(
  'account-session',
  'account-session',
  z.strictObject({ userId: z.string().min(1) }),
  accountSeconds,
)

/** All sessions are bound to the same: the page they are for. */
const boundTo = 'account'

/** The address of the account page: from configuration, never from a request (R3). */
export const accountUrl = ({ issuer }: Pick<Context, 'issuer'>): string => issuer + endpointPaths.account

/** Sends a user who has just signed in to their account. The session is in the browser and nowhere else. */
export function openAccount(context: Context, userId: string, headers: Headers): Response {
  putAccountCookie(headers, context.issuer, session.seal(context, boundTo, { userId }), accountSeconds)
  return seeOther(accountUrl(context), headers)
}

/** Ends the session of this browser. */
export function closeAccount(context: Context): Response {
  const headers = new Headers()
  putAccountCookie(headers, context.issuer, '', 0)
  return seeOther(accountUrl(context), headers)
}

/** Who is signed in to the account page; nobody once they are disabled (R109). */
export async function accountUser(context: Context, request: Request): Promise<string | undefined> {
  const sealed = readAccountCookie(context.issuer, request)
  const userId = sealed === undefined ? undefined : session.open(context, boundTo, sealed)?.userId
  if (userId === undefined) return undefined
  const isDisabled = await context.store.isUserDisabled({ userId, now: context.clock() })
  return isDisabled ? undefined : userId
}
