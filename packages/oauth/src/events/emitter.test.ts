import { describe, expect, it, vi } from 'vitest'
import { type EventSink, eventFields, type RecordedEvent, type SallyportEvent } from '../events.ts'
import { createSecretRing } from '../keys/secret-ring.ts'
import { inRequest } from '../request-scope.ts'
import { systemRandom } from '../runtime.ts'
import { createOpaqueAccessTokens } from '../tokens/opaque-access-token.ts'
import { mintAuthorizationCode, mintRefreshToken } from '../tokens/token-value.ts'
import { createEventEmitter } from './emitter.ts'

const now = 1_800_000_000
const event: SallyportEvent = { type: 'signing_key_created', kid: 'kid' }

function recorder() {
  const events: RecordedEvent[] = []
  const emit = createEventEmitter([each => void events.push(each)], { clock: () => now })
  return { events, emit }
}
const told = (value: unknown): RecordedEvent => {
  const { events, emit } = recorder()
  emit(value as SallyportEvent)
  return events[0]!
}

describe('createEventEmitter', () => {
  it('R191: an event says when it happened, and outside of requests nothing of one', () => {
    expect(told(event)).toEqual({ ...event, at: now })
  })

  it('R191: what happens in one request can be found together, across everything that is awaited', async () => {
    const { events, emit } = recorder()
    const request = () =>
      inRequest(async () => {
        emit(event)
        await new Promise(resolve => setImmediate(resolve))
        // A request inside a request: the host began it, the authorization server goes on.
        await inRequest(async () => emit(event), { sourceHash: 's'.repeat(43) })
      })
    await Promise.all([request(), request(), request()])
    expect(events).toHaveLength(6)
    const ids = new Set(events.map(({ requestId }) => requestId))
    expect(ids.size).toBe(3)
    for (const id of ids) {
      expect(id).toMatch(/^[\da-f-]{36}$/)
      const ofOne = events.filter(({ requestId }) => requestId === id)
      expect(ofOne.map(({ sourceHash }) => sourceHash)).toEqual([undefined, 's'.repeat(43)])
    }
  })

  it('R191: an event that was stamped further down is told on as it is', () => {
    const stamped = { ...event, at: now - 5, requestId: 'request', sourceHash: 's'.repeat(43) }
    expect(told(stamped)).toEqual(stamped)
  })

  it('R201: a sink that throws harms neither the caller nor the other sinks', () => {
    const error = new Error('sink')
    const last = vi.fn()
    const onSinkError = vi.fn()
    const broken = () => {
      throw error
    }
    createEventEmitter([broken, last], { clock: () => now, onSinkError })(event)
    createEventEmitter([broken], { clock: () => now })(event)
    expect(last).toHaveBeenCalledOnce()
    expect(onSinkError).toHaveBeenCalledWith(error)
  })

  it('R188: no event has a field whose name promises a secret', () => {
    const secret =
      /token|secret|code|verifier|state|password|cookie|assertion|authorization|e-?mail|header|body|query|url|address|message|^name$/i
    expect(Object.keys(eventFields).filter(name => secret.test(name))).toEqual([])
  })

  it('R188: a field that no event has is not passed on, whatever the types were told', () => {
    const leak = { ...event, token: 'canary', __proto__: { refreshToken: 'canary' }, constructor: 'canary' }
    expect(told(leak)).toEqual({ ...event, at: now })
  })

  const secrets = createSecretRing(['canary-ring-secret-0123456789-0123456789'])
  it.each<[string, string]>([
    ['an authorization code', mintAuthorizationCode(systemRandom, 'grant').value],
    [
      'a refresh token',
      mintRefreshToken({ secrets, random: systemRandom, grantId: 'grant', generation: 0 }).value,
    ],
    [
      'an opaque access token',
      createOpaqueAccessTokens({ issuer: 'i', tenant: 't', secrets, random: systemRandom }).seal('jwt'),
    ],
    ['a JWT', 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2ln'],
    ['a registration', 'dcr.canary'],
    ['a token of Google', 'ya29.canary'],
    ['a client secret of Google', 'GOCSPX-canary'],
    ['a header', 'Authorization: Bearer canary'],
  ])('R188: %s where a name should be is not passed on', (_, value) => {
    expect(told({ type: 'record_unreadable', kind: value })).toMatchObject({ kind: '[invalid]' })
    expect(told({ type: 'store_unavailable', step: `step ${value}` })).toMatchObject({ step: '[invalid]' })
    expect(told({ type: 'scope_challenged', operation: 'add', scopes: ['a', value] })).toMatchObject({
      scopes: ['a', '[invalid]'],
    })
  })

  it.each(['canary@example.com', 'https://client.example/app.json', 'a'.repeat(42), '', 7, { a: 1 }, null])(
    'R188: %s where a hash should be is not passed on',
    clientIdHash => {
      expect(told({ type: 'client_registered', clientIdHash })).toMatchObject({ clientIdHash: '[invalid]' })
    },
  )

  it('R188: an object where a word should be is not passed on, nor is a text without end', () => {
    expect(told({ type: 'record_unreadable', kind: { token: 'canary' } })).toMatchObject({
      kind: '[invalid]',
    })
    expect(told({ type: 'tool_called', tool: 'add', ok: 'canary', durationMs: 'canary' })).toEqual({
      type: 'tool_called',
      tool: 'add',
      at: now,
    })
    expect(
      (told({ type: 'record_unreadable', kind: 'x'.repeat(10_000) }) as { kind: string }).kind,
    ).toHaveLength(256)
  })

  it('R190: line breaks and control sequences of terminals do not get into an event', () => {
    expect(
      told({ type: 'tool_called', tool: 'a\n{"level":60}\u001b[31m\u009b\u2028', ok: true }),
    ).toMatchObject({
      tool: 'a?{"level":60}?[31m??',
    })
    expect(told({ type: 'store_unavailable', step: 'a b\r\nc' })).toMatchObject({ step: 'a b??c' })
  })

  it('R188: every event that is told today is told in full', () => {
    const hash = 'h'.repeat(43)
    const who = { grantId: 'g', userId: 'u', clientIdHash: hash }
    const all: SallyportEvent[] = [
      { type: 'client_registered', clientIdHash: hash },
      { type: 'sign_in_failed', loginId: 'google', reason: 'wrong_browser' },
      { type: 'token_rotated', ...who },
      { type: 'family_revoked', grantId: 'g', by: 'refresh_token_reused' },
      { type: 'connection_refreshed', userId: 'u', provider: 'google', account: 'a', generation: 2 },
      { type: 'scope_challenged', operation: 'add-note', scopes: ['https://www.googleapis.com/auth/drive'] },
      { type: 'tool_called', tool: 'add', userId: 'u', ok: false, durationMs: 1.5 },
      { type: 'store_unavailable', step: '/oauth/callback/:id' },
      { type: 'request_failed', step: 'x', errorName: 'TypeError', where: 'f (file:///srv/a b.js:1:2)' },
      { type: 'limit_hit', limit: 'client', by: 'client', clientIdHash: hash },
      { type: 'suspicious_activity', kind: 'unusual_refresh_rate', grantId: 'g', clientIdHash: hash },
    ]
    const { events, emit } = recorder()
    for (const each of all) emit(each)
    expect(events).toEqual(all.map(each => ({ at: now, ...each })))
  })
})

it('R188: the compiler refuses an event with a field that nobody has judged', () => {
  const emit: EventSink = () => {}
  // @ts-expect-error a field of no event
  emit({ type: 'signing_key_created', kid: 'k', token: 'canary' })
  // @ts-expect-error nor of one about a connection
  emit({ type: 'connection_made', userId: 'u', provider: 'p', account: 'a', token: 'canary' })
  // @ts-expect-error eventFields has to judge each field
  const judged: typeof eventFields = { type: 'name' }
  expect(judged).toBeDefined()
})
