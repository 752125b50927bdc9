import { z } from 'zod'

/** What the store holds. Times are seconds since the epoch; `…Hash` is a SHA-256 in base64url, never the value. */

const at = z.int().nonnegative()
const text = z.string().min(1)

/** Why a token family ended. `tenant`: an administrator ended all there were. */
export const revocationReason: z.ZodEnum<{
  client: 'client'
  user: 'user'
  administrator: 'administrator'
  tenant: 'tenant'
  code_replayed: 'code_replayed'
  refresh_token_reused: 'refresh_token_reused'
}> = z.enum(['client', 'user', 'administrator', 'tenant', 'code_replayed', 'refresh_token_reused'])
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

const connectionSchema = z.strictObject({
  version: z.literal(1),
  userId: text,
  provider: text,
  /** Which account at that provider, when a user has several; `default` for the only one. */
  account: text,
  /** Counts every change. A refresh writes only over the generation it started from. */
  generation: z.int().positive(),
  writtenBy: text,
  state: z.enum(['active', 'dead']),
  /** Scopes the provider granted, which may be fewer than were asked for. */
  scopes: z.array(text),
  /** External tokens and the provider's subject, sealed. */
  sealed: text,
  /** When the external access token ends; 0 when the provider does not say. */
  accessEndsAt: at,
  updatedAt: at,
  /** End of the record: that of the external grant, renewed with it. */
  expiresAt: at,
})
/** The upstream grant of one user at one provider: one per (tenant, user, provider, account), never copied. */
export type Connection = z.infer<typeof connectionSchema>

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
  readonly signingKey: z.ZodType<SigningKey>
  readonly revocation: z.ZodType<Revocation>
} = {
  grant: grantSchema,
  pendingAuthorization: pendingAuthorizationSchema,
  connection: connectionSchema,
  signingKey: signingKeySchema,
  revocation: revocationSchema,
}
