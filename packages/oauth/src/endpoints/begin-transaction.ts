import type { Context } from '../context.ts'
import { newTransactionCookie, putTransactionCookie, randomText } from '../pages/cookies.ts'
import { PageRefusal } from '../pages/refusal.ts'
import { sha256 } from '../protocol/hash.ts'
import { operationId } from '../storage/operation-id.ts'
import { startLeg } from './legs.ts'
import { seeOther } from './respond.ts'
import { type Leg, type Transaction, transactionRecord } from './transaction.ts'

/**
 * Begins what the user has just approved: the first thing that is stored of it (R60), the cookie that binds it to
 * this browser (R66), and only then an upstream state.
 *
 * @param userId when it is known already
 * @throws {LoginError} when the first login cannot be reached; nothing is stored then
 * @throws {PageRefusal} `busy` when too many are under way
 * @throws {OAuthError} `temporarily_unavailable` (429) when too many came from the same source
 * @throws {StoreUnavailableError}
 */
export async function beginTransaction(
  context: Context,
  request: Request,
  { goal, legs, userId }: { goal: Transaction['goal']; legs: [Leg, ...Leg[]]; userId?: string },
): Promise<Response> {
  const { issuer, store, random, signIn, limits, maxPendingAuthorizations } = context
  // R60: one source cannot hold all the places that everybody has together.
  await limits.countSource('sign_in')
  const [first, ...remaining] = legs
  const now = context.clock()
  const id = randomText(random)
  const cookie = newTransactionCookie(random, now)
  const { url, awaited } = await startLeg(context, signIn, first, id, userId)
  const transaction: Transaction = { goal, cookieHash: sha256(cookie), awaited, remaining }
  const record = transactionRecord(context, { id, step: 0, transaction }, operationId(random))
  if ((await store.putPendingAuthorization({ record, limit: maxPendingAuthorizations, now })) === 'full') {
    throw new PageRefusal('busy')
  }
  const headers = new Headers()
  putTransactionCookie(headers, { issuer, request, id, value: cookie })
  return seeOther(url, headers)
}
