import { type ConnectionStatus, connectionStatus } from '@sallyport/oauth'

/** An access token of a fake provider. Times are seconds since the epoch; an end of 0 is none. */
export interface HeldToken {
  readonly value: string
  readonly issuedAt: number
  readonly expiresAt: number
}

/** What a fake provider knows of one connection. */
export interface FakeConnection {
  userId: string
  provider: string
  /** Undefined: it has ended, or never was. */
  granted: readonly string[] | undefined
  endReason: 'revoked' | 'expired' | undefined
  token: HeldToken | undefined
  failure: { fault: 'unavailable' | 'rate_limited'; at: number; endsAt: number } | undefined
  refreshes: boolean
}

/** How a connection does, by the rules that real ones go by. */
export function fakeStatus(
  { userId, provider, granted, endReason, token, failure, refreshes }: FakeConnection,
  wanted: readonly string[],
  now: number,
): ConnectionStatus {
  const missingScopes = wanted.filter(scope => !granted?.includes(scope))
  if (!granted && !endReason) return { ...noConnection, missingScopes }
  const { issuedAt = now, expiresAt = 0 } = token ?? {}
  const status = connectionStatus(
    {
      version: 1,
      userId,
      provider,
      account: 'default',
      generation: 1,
      writtenBy: 'test',
      state: granted ? 'active' : 'dead',
      scopes: [...(granted ?? [])],
      sealed: 'nothing',
      accessEndsAt: expiresAt,
      updatedAt: issuedAt,
      expiresAt: Number.MAX_SAFE_INTEGER,
      missingScopes,
      ...(endReason && { endReason }),
      ...(!refreshes && expiresAt !== 0 && { consentEndsAt: expiresAt }),
      ...(failure && {
        failure: {
          errorClass: failure.fault === 'rate_limited' ? 'rate_limited' : 'transient',
          at: failure.at,
          count: 1,
          nextAttemptAt: failure.endsAt,
        },
      }),
    },
    now,
  )
  const asksUser = missingScopes.length > 0 && status.state !== 'revoked'
  return asksUser ? { ...status, state: 'needs_consent' } : status
}

const noConnection: ConnectionStatus = {
  state: 'needs_consent',
  scopes: [],
  missingScopes: [],
  lastSuccessAt: undefined,
  lastErrorClass: undefined,
  lastErrorAt: undefined,
  nextAttemptAt: undefined,
  consentEndsAt: undefined,
}
