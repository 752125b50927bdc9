import { timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import type { Context } from '../context.ts'
import { sha256 } from '../protocol/hash.ts'
import type { PendingAuthorization } from '../storage/records.ts'

const text = z.string().min(1)

/** What a client asks of the authentication. */
const authentication = {
  maxAgeSeconds: z.int().nonnegative().optional(),
  prompts: z.array(z.enum(['login', 'select_account'])).optional(),
  acrValues: text.optional(),
}

const clientRequestSchema = z.strictObject({
  clientId: text,
  clientName: z.string().optional(),
  redirectUri: text,
  state: text.optional(),
  codeChallenge: text,
  resource: text,
  scopes: z.array(text),
  /** Present when the client pushed it: which one it is, and until when its use must be remembered. */
  pushed: z.strictObject({ id: text, expiresAt: z.int() }).optional(),
  nonce: text.optional(),
  dpopJkt: text.optional(),
  ...authentication,
})
/** What the user was shown and asked about; `clientName` is there to notice when it changes (R36). */
export type ClientRequest = z.infer<typeof clientRequestSchema>
/** Schema of a client's request, in pages and in transactions. */
export const clientRequest: z.ZodType<ClientRequest> = clientRequestSchema

const connectGoalSchema = z.strictObject({
  userId: text,
  providerId: text,
  scopes: z.array(text),
  account: text.optional(),
})
/** One user's wish to connect one provider, and there an account they have, or another one. */
export type ConnectGoal = z.infer<typeof connectGoalSchema>

const legSchema = z.strictObject({
  loginId: text,
  /** Provider scopes asked for on this leg. */
  scopes: z.array(text),
  purpose: z.enum(['sign-in', 'connection']),
  /** As in `LoginStart`. */
  account: text.optional(),
  ...authentication,
})
/** One trip of the browser to a login and back. */
export type Leg = z.infer<typeof legSchema>

const transactionSchema = z.strictObject({
  /** What stands at the end: an answer to a client, a connection, or the user's own page. */
  goal: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('authorize'), request: clientRequestSchema }),
    z.strictObject({ kind: z.literal('connect'), connect: connectGoalSchema }),
    z.strictObject({ kind: z.literal('account') }),
  ]),
  /** Of the cookie that only the browser of this transaction has (R66). */
  cookieHash: text,
  /** The leg the browser is on; absent from its return until the next one begins. */
  awaited: z
    .strictObject({
      leg: legSchema,
      /** Of the upstream state; of the state itself nothing is kept (R73). */
      stateHash: text,
      memory: z.record(z.string(), z.string()),
      startedAt: z.int().nonnegative().optional(),
    })
    .optional(),
  remaining: z.array(legSchema),
  /** Who signed in; absent before. */
  user: z
    .strictObject({
      id: text,
      authTime: z.int().nonnegative().optional(),
      amr: z.array(text),
      acr: text.optional(),
    })
    .optional(),
})
/** An approved request on its way through logins: everything about it, sealed into its record (R56). */
export type Transaction = z.infer<typeof transactionSchema>

/** A transaction with its place in the store. */
export interface OpenTransaction {
  id: string
  /** Step of the record it was read from; the next step is taken from this one. */
  step: number
  transaction: Transaction
}

/** Seconds the browser may stay away on one leg (R73). */
const legSeconds = 600

type Parts = Pick<Context, 'store' | 'sealer' | 'clock'>

const place = ({ store }: Parts, id: string) => ({ tenant: store.tenant, kind: 'pending-authorization', id })

/** The record of a transaction at a step. */
export function transactionRecord(
  parts: Parts,
  { id, step, transaction }: OpenTransaction,
  operationId: string,
): PendingAuthorization {
  return {
    version: 1,
    id,
    step,
    steppedBy: operationId,
    sealed: parts.sealer.seal(JSON.stringify(transaction), place(parts, id)),
    expiresAt: parts.clock() + legSeconds,
  }
}

/** A transaction as it stands; undefined when there is none, or none that this version can read. */
export async function findTransaction(parts: Parts, id: string): Promise<OpenTransaction | undefined> {
  const record = await parts.store.findPendingAuthorization({ id, now: parts.clock() })
  const opened = record && parts.sealer.open(record.sealed, place(parts, id))
  const transaction = opened && transactionSchema.safeParse(JSON.parse(opened.plaintext))
  return transaction?.success ? { id, step: record!.step, transaction: transaction.data } : undefined
}

/** Whether a value has this hash, in constant time. */
export function hasHash(value: string, hash: string): boolean {
  const actual = Buffer.from(sha256(value))
  const expected = Buffer.from(hash)
  return actual.length === expected.length && timingSafeEqual(actual, expected)
}
