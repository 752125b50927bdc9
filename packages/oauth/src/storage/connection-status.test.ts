import { expect, it } from 'vitest'
import { connectionStatus } from './connection-status.ts'
import type { Connection } from './records.ts'

const now = 1_900_000_000
const day = 86_400
const connection = (over: Partial<Connection> = {}): Connection => ({
  version: 1,
  userId: 'user',
  provider: 'google',
  account: 'default',
  generation: 1,
  writtenBy: 'write',
  state: 'active',
  scopes: ['calendar'],
  sealed: 'sealed',
  accessEndsAt: now + 3600,
  updatedAt: now - 60,
  expiresAt: now + 90 * day,
  ...over,
})
const failure = (errorClass: NonNullable<Connection['failure']>['errorClass']): Partial<Connection> => ({
  failure: { errorClass, at: now - 10, count: 2, nextAttemptAt: now + 20 },
})

it.each<[string, Partial<Connection>, string]>([
  ['works', {}, 'active'],
  ['works though its access token has ended', { accessEndsAt: now - 1 }, 'active'],
  ['lacks a scope for some tool', { missingScopes: ['mail'] }, 'active'],
  ['only the user can renew, in eight days', { consentEndsAt: now + 8 * day }, 'active'],
  ['only the user can renew, in seven days', { consentEndsAt: now + 7 * day }, 'expiring'],
  ['only the user could have renewed', { consentEndsAt: now }, 'needs_consent'],
  ['met a provider that is down', failure('transient'), 'degraded'],
  ['met a limit', failure('rate_limited'), 'degraded'],
  ['met a surprise', failure('unknown'), 'degraded'],
  ['met a provider that refuses this server', failure('misconfigured'), 'misconfigured'],
  ['was revoked', { state: 'dead', endReason: 'revoked' }, 'revoked'],
  ['died before reasons were kept', { state: 'dead' }, 'revoked'],
  ['died because the provider wants the user', { state: 'dead', endReason: 'consent' }, 'needs_consent'],
  ['died because its time was over', { state: 'dead', endReason: 'expired' }, 'needs_consent'],
  ['died because a reply was lost', { state: 'dead', endReason: 'lost' }, 'needs_consent'],
])('a connection that %s', (_, over, state) => {
  expect(connectionStatus(connection(over), now).state).toBe(state)
})

it('tells what went well, what went wrong and when it goes on', () => {
  const over = { ...failure('transient'), missingScopes: ['mail'], consentEndsAt: now + 90 * day }
  expect(connectionStatus(connection(over), now)).toEqual({
    state: 'degraded',
    scopes: ['calendar'],
    missingScopes: ['mail'],
    lastSuccessAt: now - 60,
    lastErrorClass: 'transient',
    lastErrorAt: now - 10,
    nextAttemptAt: now + 20,
    consentEndsAt: now + 90 * day,
  })
})

it('names no next attempt when it could begin now, or when only the user can help', () => {
  const over = failure('transient')
  expect(connectionStatus(connection(over), now + 20).nextAttemptAt).toBeUndefined()
  expect(connectionStatus(connection({ ...over, state: 'dead' }), now).nextAttemptAt).toBeUndefined()
})
