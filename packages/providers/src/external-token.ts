import type { ExternalToken } from '@sallyport/mcp-server'
import { z } from 'zod'
import { type DpopKey, dpopKeySchema } from './dpop-proof.ts'
import type { TokenGrant } from './token-request.ts'

const at = z.int().nonnegative()
const text = z.string().min(1)

/** What a connection seals. Times are seconds since the epoch. */
export const externalGrantSchema: z.ZodType<ExternalGrant> = z.strictObject({
  accessToken: text,
  receivedAt: at,
  refreshToken: text.exactOptional(),
  refreshEndsAt: at.exactOptional(),
  dpopKey: dpopKeySchema.exactOptional(),
  refreshTokenMissed: z.literal(true).exactOptional(),
  issuer: text,
  subject: text,
  label: text.exactOptional(),
})

/** Tokens one user's provider issued to us, and whose they are. Never leaves this package in clear. */
export interface ExternalGrant {
  accessToken: string
  /** When the access token came; its life is counted from here. */
  receivedAt: number
  refreshToken?: string
  /** End of the refresh token, where the provider names one. */
  refreshEndsAt?: number
  /** What the refresh token is bound to: it is good for nothing without a proof by this key. */
  dpopKey?: DpopKey
  /** No refresh token came, and asking for consent once more would bring one. */
  refreshTokenMissed?: true
  /** Canonical issuer and subject of the account at the provider. */
  issuer: string
  subject: string
  /** What the account is called: for its owner to recognise, sealed like the rest, no identity. */
  label?: string
}

/** What a connection's seal held, if it is one of ours. */
export function parseExternalGrant(plaintext: string): ExternalGrant | undefined {
  try {
    return externalGrantSchema.safeParse(JSON.parse(plaintext)).data
  } catch {
    return undefined
  }
}

/** Most of the margin kept before the end of a token, in seconds. */
const maxMarginSeconds = 300

/** How long before its end an access token of this life is no longer fresh, in seconds. */
export function marginSeconds(lifeSeconds: number): number {
  return Math.min(maxMarginSeconds, lifeSeconds / 10)
}

/**
 * Whether an access token has enough time left to be used: more than 5 minutes, or more than 10 % of its life
 * when that is less. All in seconds; an `endsAt` of 0 is a token that does not end by itself.
 */
export function isFresh(token: { endsAt: number; lifeSeconds: number; now: number }): boolean {
  if (token.endsAt === 0) return true
  return token.endsAt - token.now > marginSeconds(token.lifeSeconds)
}

/** Whether an access token may still be sent. */
export function isAlive(token: { endsAt: number; now: number }): boolean {
  return token.endsAt === 0 || token.endsAt > token.now
}

/** The refresh token, unless its own end has passed (LinkedIn: 365 days, not extended by use). */
export function usableRefreshToken(grant: ExternalGrant, now: number): string | undefined {
  return grant.refreshEndsAt !== undefined && grant.refreshEndsAt <= now ? undefined : grant.refreshToken
}

/**
 * When an access token ends, from the life its reply names, else the provider's usual one; all in seconds. A life
 * of 0 is no life that a token could have and counts as not named. 0 = it does not end by itself.
 */
export function accessEndsAt(
  expiresInSeconds: number | undefined,
  usualSeconds: number,
  now: number,
): number {
  const seconds = expiresInSeconds || usualSeconds
  return seconds === 0 ? 0 : now + seconds
}

type RefreshPart = Pick<ExternalGrant, 'refreshToken' | 'refreshEndsAt' | 'dpopKey'>

/**
 * The refresh token a reply brought, with its end, or undefined when it brought none. `dpopKey`: what was proven to get
 * it, and what it is bound to.
 */
export function refreshTokenOf(
  reply: Pick<TokenGrant, 'refreshToken' | 'refreshExpiresInSeconds'>,
  now: number,
  dpopKey: DpopKey | undefined,
): RefreshPart | undefined {
  if (reply.refreshToken === undefined) return undefined
  const { refreshToken, refreshExpiresInSeconds: life } = reply
  return {
    refreshToken,
    ...(life !== undefined && { refreshEndsAt: now + life }),
    ...(dpopKey && { dpopKey }),
  }
}

/** The refresh token that is stored, to go on with when a reply brings none. */
export function keptRefreshToken({ refreshToken, refreshEndsAt, dpopKey }: ExternalGrant): RefreshPart {
  return {
    ...(refreshToken !== undefined && { refreshToken }),
    ...(refreshEndsAt !== undefined && { refreshEndsAt }),
    ...(dpopKey && { dpopKey }),
  }
}

const redacted = '[external token]'

/** An access token for a tool: only `value` gives it away, and nothing reads that by accident (R192). */
export function createExternalToken(token: {
  value: string
  expiresAt: number
  scopes: readonly string[]
}): ExternalToken {
  const shown = { expiresAt: token.expiresAt, scopes: token.scopes }
  const hidden = {
    value: { get: () => token.value },
    toJSON: { value: () => ({ value: redacted, ...shown }) },
    toString: { value: () => redacted },
    [Symbol.toPrimitive]: { value: () => redacted },
    // Registered symbol of Node's util.inspect, which ignores toJSON.
    [Symbol.for('nodejs.util.inspect.custom')]: { value: () => redacted },
  }
  return Object.freeze(Object.defineProperties(shown, hidden)) as ExternalToken
}
