import type { Clock, Store } from '@sallyport/oauth'
import { digest } from '../elicit/digest.ts'
import type { Caller, ClientCaller } from '../tools/call-context.ts'

/** Where sign-ins are looked up, and who may have one. */
export type SignIns = Pick<Store, 'findGrant' | 'isUserDisabled' | 'isClientDeleted'>

/**
 * Whether a task may go on: not when the sign-in it was begun with is revoked. One that has ended by itself cannot be
 * revoked any more; then its user and its client have to be welcome still (R157).
 */
export async function isWanted(
  caller: Caller | ClientCaller | undefined,
  { signIns, clock }: { signIns: SignIns; clock: Clock },
): Promise<boolean> {
  if (!caller) return true
  const now = clock()
  const grant = await signIns.findGrant({ id: caller.grantId, now })
  if (grant) return grant.revokedAt === undefined
  const { userId, clientId } = caller
  const isUnwelcome = await Promise.all([
    userId !== undefined && signIns.isUserDisabled({ userId, now }),
    signIns.isClientDeleted({ clientIdHash: digest(clientId), now }),
  ])
  return !isUnwelcome.includes(true)
}
