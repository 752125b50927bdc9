import { z } from 'zod'

/** What the store holds. Times are seconds since the epoch; `…Hash` is a SHA-256 in base64url, never the value. */

const at = z.int().nonnegative()
const text = z.string().min(1)

/** A schema of one of some words; exported schemas need their types written down. */
type ZodWords<Words extends readonly string[]> = z.ZodEnum<{ [Word in Words[number]]: Word }>

const revocationReasons = [
  'client',
  'user',
  'administrator',
  'tenant',
  'provider',
  'code_replayed',
  'refresh_token_reused',
] as const
/**
 * Why a token family ended. `tenant`: an administrator ended all there were; `provider`: the provider its user signs in
 * with said so (RISC).
 */
export const revocationReason: ZodWords<typeof revocationReasons> = z.enum(revocationReasons)
export type RevocationReason = z.infer<typeof revocationReason>

const grantSchema = z.strictObject({
  version: z.literal(1),
  /** Id of the token family, minted with its authorization code; the `sid` of its access tokens. */
  id: text,
  userId: text,
  clientId: text,
  /** What the client called itself when the user agreed: what they know it by. */
  clientName: z.string().optional(),
  redirectUri: text,
  resource: text,
  /** What the user granted. An access token may carry less, never more. */
  scopes: z.array(text),
  /** When the user authenticated, as far as the login says. */
  authTime: at.optional(),
  amr: z.array(text),
  acr: text.optional(),
  createdAt: at,
  /** Absolute end of the session; 0 when it has none. */
  endsAt: at,
  /** Latest `exp` of an access token of this family: how long a revocation must be remembered. */
  accessEndsAt: at,
  code: z.strictObject({
    hash: text,
    challenge: text,
    /** The client's own, for the id_token that comes with the code. */
    nonce: text.optional(),
    /** Thumbprint of the key that must be proven when the code is redeemed (RFC 9449 §10). */
    dpopJkt: text.optional(),
    expiresAt: at,
    /** Valid code, wrong verifier: counted, so that guessing ends (R102). */
    failures: z.int().nonnegative(),
    redeemedAt: at.optional(),
  }),
  /** Present once the code is redeemed by a client that may refresh. One record however often it rotates. */
  refresh: z
    .strictObject({
      generation: z.int().nonnegative(),
      currentHash: text,
      previousHash: text.optional(),
      rotatedAt: at.optional(),
      /** The reply of the last rotation, sealed under a key derived from the token that was presented. */
      replay: text.optional(),
      idleEndsAt: at,
    })
    .optional(),
  revokedAt: at.optional(),
  revokedBy: revocationReason.optional(),
})
/** One sign-in of one client by one user for one resource, and with it its whole token family. */
export type Grant = z.infer<typeof grantSchema>

const pendingAuthorizationSchema = z.strictObject({
  version: z.literal(1),
  id: text,
  /** Counts the steps of the sign-in; a step is taken by compare-and-set on it, so each happens once. */
  step: z.int().nonnegative(),
  steppedBy: text,
  /** Everything else about the transaction, sealed: it holds the client's `state` and upstream secrets. */
  sealed: text,
  expiresAt: at,
})
/** An approved authorization request on its way through the upstream sign-in. */
export type PendingAuthorization = z.infer<typeof pendingAuthorizationSchema>

const errorClasses = ['dead', 'consent', 'misconfigured', 'rate_limited', 'transient', 'unknown'] as const
/**
 * What a refusal of a provider means: `dead` the grant is gone, `consent` the user must act there, `misconfigured` only
 * the deployer can mend it, `rate_limited` and `transient` later will do, `unknown` none of these.
 */
export const connectionErrorClass: ZodWords<typeof errorClasses> = z.enum(errorClasses)
export type ConnectionErrorClass = z.infer<typeof connectionErrorClass>

const connectionSchema = z.strictObject({
  version: z.literal(1),
  userId: text,
  provider: text,
  /** Which account at that provider, as a short hash; `default` in records of versions that knew but one. */
  account: text,
  /** Counts every change. A refresh writes only over the generation it started from. */
  generation: z.int().positive(),
  writtenBy: text,
  state: z.enum(['active', 'dead']),
  /** Scopes the provider granted, which may be fewer than were asked for. */
  scopes: z.array(text),
  /** External tokens and the provider's subject, sealed. */
  sealed: text,
  /** `hashIdentity` of (issuer, subject) at the provider. Absent in records of earlier versions. */
  accountHash: text.optional(),
  /** Hashes of what its provider may call its refresh token in a signal (RISC). Absent where none is expected. */
  tokenHashes: z.array(text).optional(),
  /** When the external access token ends; 0 when the provider does not say. */
  accessEndsAt: at,
  /** When the user connected this account first. Absent in records of earlier versions. */
  connectedAt: at.optional(),
  /** When the user made it the account that is meant where a tool does not say which: the last one made so is it. */
  preferredAt: at.optional(),
  /** When its tokens last came from the provider. */
  updatedAt: at,
  /** End of the record: that of the external grant, renewed with it. */
  expiresAt: at,
  /** When only the user can renew it, where that is known; absent while refreshing goes on without an end. */
  consentEndsAt: at.optional(),
  /** Refreshes that failed in a row, and when the next one may begin. Absent after one that succeeded. */
  failure: z
    .strictObject({ errorClass: connectionErrorClass, at, count: z.int().positive(), nextAttemptAt: at })
    .optional(),
  /** Scopes that a tool needed and the user has not granted. */
  missingScopes: z.array(text).optional(),
  endedAt: at.optional(),
  /**
   * Why a dead one ended: the provider says that the grant is gone, or wants the user; its time was over; or the reply
   * to a refresh was lost with the process that asked for it.
   */
  endReason: z.enum(['revoked', 'consent', 'expired', 'lost']).optional(),
})
/** The upstream grant of one user at one provider: one per (tenant, user, provider, account), never copied. */
export type Connection = z.infer<typeof connectionSchema>

const circuitSchema = z.strictObject({
  version: z.literal(1),
  /** Which provider, and which client of it. */
  id: text,
  /** Counts every change; each is made by compare-and-set on it. */
  generation: z.int().positive(),
  writtenBy: text,
  /** `open`: nobody asks. `half_open`: one process asks, to see whether it answers again. */
  state: z.enum(['closed', 'open', 'half_open']),
  /** Failures in a row. */
  failures: z.int().nonnegative(),
  /** How often in a row it was opened. */
  openings: z.int().nonnegative(),
  /** When the next step may be taken: an open one be probed, a half-open one be probed by another process. */
  until: at,
  expiresAt: at,
})
/** Whether a provider is asked at all, for all processes on the store: the circuit breaker of one provider client. */
export type Circuit = z.infer<typeof circuitSchema>

const taskKinds = ['refresh', 'expiry_notice', 'revocation'] as const
/** What is done for a connection without a caller. */
export const taskKind: ZodWords<typeof taskKinds> = z.enum(taskKinds)
export type TaskKind = z.infer<typeof taskKind>

const taskSchema = z.strictObject({
  version: z.literal(1),
  kind: taskKind,
  provider: text,
  id: text,
  userId: text,
  account: text,
  /** Names the write it comes from, a claim included: whoever goes on compares it. */
  writtenBy: text,
  /** When it is to be done; while somebody is at it, when another may take it over. */
  dueAt: at,
  /** When it is dropped, done or not. */
  expiresAt: at,
  /** How often it was tried. */
  attempts: z.int().nonnegative(),
  /** Of a revocation: the tokens, and when the access token ends (0 when the provider does not say). */
  sealed: text.optional(),
  accessEndsAt: at.optional(),
})
/** Something to be done for a connection, by one process and at its time. */
export type Task = z.infer<typeof taskSchema>

const callTaskSchema = z.strictObject({
  version: z.literal(1),
  callerHash: text,
  idHash: text,
  /** Its state, result and questions, sealed. */
  sealed: text,
  /** Counts writes, from 1. */
  generation: z.int().positive(),
  expiresAt: at,
})
/** A call of an MCP client that goes on after it was answered. */
export type CallTask = z.infer<typeof callTaskSchema>

const leaseSchema = z.strictObject({
  owner: text,
  endsAt: at,
  /** The one before it ended without being released. */
  isTakenOver: z.boolean(),
})
/** Who alone may do something for a while. */
export type Lease = z.infer<typeof leaseSchema>

const signingKeySchema = z.strictObject({
  version: z.literal(1),
  kid: text,
  alg: z.enum(['ES256', 'RS256', 'PS256', 'EdDSA']),
  publicJwk: z.record(z.string(), z.unknown()),
  /** The private JWK, sealed. */
  sealed: text,
  createdAt: at,
  /** From when tokens are signed with it; it is published before. */
  activeAt: at,
  /** When it leaves the JWKS; 0 while nothing has replaced it. */
  retiresAt: at,
})
export type SigningKey = z.infer<typeof signingKeySchema>

const revocationSchema = z.strictObject({ grantId: text, accessEndsAt: at })
/** A family whose access tokens must be refused until the last of them has ended. */
export type Revocation = z.infer<typeof revocationSchema>

/** Schemas every adapter reads its records through: a foreign or corrupt value counts as absent (R172). */
export const recordSchemas: {
  readonly grant: z.ZodType<Grant>
  readonly pendingAuthorization: z.ZodType<PendingAuthorization>
  readonly connection: z.ZodType<Connection>
  readonly circuit: z.ZodType<Circuit>
  readonly lease: z.ZodType<Lease>
  readonly task: z.ZodType<Task>
  readonly callTask: z.ZodType<CallTask>
  readonly signingKey: z.ZodType<SigningKey>
  readonly revocation: z.ZodType<Revocation>
} = {
  grant: grantSchema,
  pendingAuthorization: pendingAuthorizationSchema,
  connection: connectionSchema,
  circuit: circuitSchema,
  lease: leaseSchema,
  task: taskSchema,
  callTask: callTaskSchema,
  signingKey: signingKeySchema,
  revocation: revocationSchema,
}
