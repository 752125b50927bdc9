import type { SallyportEvent } from '@sallyport/oauth'
import { describe, expect, it } from 'vitest'
import { createEventSink, createLogger } from './log.ts'
import { redact } from './redact.ts'

function logTo() {
  const lines: string[] = []
  const log = createLogger({ name: 'test', level: 'trace' }, { write: line => void lines.push(line) })
  return { log, lines }
}

describe('redact', () => {
  it.each([
    ['a JWT', 'bad token eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJlY2FuYXJ5', 'eyJ'],
    ['a Google token', 'status 401 for ya29.a0AfH6SMBcanarycanarycanary', 'canary'],
    ['a header', 'Authorization: Bearer abc.canary', 'canary'],
    ['credentials', 'authorization: basic Y2FuYXJ5', 'Y2FuYXJ5'],
    ['a query', 'GET https://api.example/path?access_token=canary failed', 'canary'],
    ['a user in a URL', 'connect redis://user:canary@host:1/0?x failed', 'canary'],
    ['a password with an @', 'connect redis://user:ca@nary@host:1/0 failed', 'nary'],
    ['a URL behind other text', 'see...https://app.example/cb?code=canary', 'canary'],
    ['a URL behind a long word', `${'x'.repeat(50)}https://app.example/cb?code=canary`, 'canary'],
    ['a fragment', 'at https://app.example/cb#code=canary', 'canary'],
    ['a long opaque value', 'state 0123456789abcdefcanary0123456789', 'canary'],
  ])('R188: %s in the text of an error does not reach the log', (_, text, canary) => {
    expect(redact(text)).not.toContain(canary)
  })

  it.each(['a.', 'a://', 'abcdefghij.', 'bearer ', 'a:///@'])(
    'R196: an error that quotes a megabyte of %j is gone through once',
    piece => {
      expect(redact(`${piece.repeat(1_000_000 / piece.length)} end`).length).toBeLessThanOrEqual(2_000)
    },
  )

  it('R188: where a long text is cut, no half of a secret is left', () => {
    const text = `${'0123456789abcdef'.repeat(1_023)} canary0123456789abcdef0123456789`
    expect(text.length).toBeGreaterThan(16_384)
    expect(redact(text)).toBe('[redacted]')
    expect(redact('x-y'.repeat(10_000))).toBe('')
  })

  it('what an operator needs stays', () => {
    const text = 'connect ECONNREFUSED 127.0.0.1:6379 for https://api.example/v1/items'
    expect(redact(text)).toBe(text)
  })
})

describe('createLogger', () => {
  it('R188: fields that hold secrets are redacted wherever a tool logs them', () => {
    const { log, lines } = logTo()
    log.info(
      { token: 'canary', headers: { authorization: 'canary' }, a: { b: { refresh_token: 'canary' } } },
      'x',
    )
    expect(lines.join('')).not.toContain('canary')
  })

  it('R190: a line break in a value cannot forge a second line', () => {
    const { log, lines } = logTo()
    log.info({ clientName: '\n{"level":60}\u001b[31m' }, 'registered')
    expect(lines).toHaveLength(1)
    expect(lines[0]?.trimEnd()).not.toMatch(/[\n\u001b]/)
  })

  it('R188: an error is logged with its kind and place, and a redacted message', () => {
    const { log, lines } = logTo()
    const cause = new TypeError('fetch https://x.example/?code=canary')
    log.error({ err: new Error('Bearer canary', { cause }) }, 'tool failed')
    const line = JSON.parse(lines[0]!)
    expect(line.err).toMatchObject({ name: 'Error', cause: { name: 'TypeError' } })
    expect(line.err.at[0]).toContain('log.test.ts')
    expect(lines[0]).not.toContain('canary')
  })
})

describe('createEventSink', () => {
  it('R191: every event is logged, those an operator must see as warnings', () => {
    const { log, lines } = logTo()
    const seen: SallyportEvent[] = []
    const emit = createEventSink(log, { clock: () => 1_800_000_000, sinks: [event => seen.push(event)] })
    emit({ type: 'refresh_token_reused', grantId: 'g', userId: 'u', clientIdHash: 'h'.repeat(43) })
    emit({ type: 'tool_called', tool: 'add', ok: true, durationMs: 1 })
    expect(lines.map(line => JSON.parse(line))).toMatchObject([
      { level: 40, event: 'refresh_token_reused', grantId: 'g' },
      { level: 20, event: 'tool_called', tool: 'add' },
    ])
    expect(seen).toHaveLength(2)
  })

  it('an operator reads in the log what to change when a provider refuses the server', () => {
    const { log, lines } = logTo()
    const emit = createEventSink(log, { clock: () => 1_800_000_000 })
    const failed = { type: 'sign_in_failed', loginId: 'google' } as const
    emit({ ...failed, reason: 'failed', errorClass: 'client_refused' })
    emit({ ...failed, reason: 'failed', errorClass: 'redirect_uri_refused' })
    emit({ ...failed, reason: 'denied' })
    emit({ ...failed, reason: 'failed', errorClass: 'audience' })
    expect(lines.map(line => JSON.parse(line))).toMatchObject([
      { level: 40, loginId: 'google', msg: expect.stringContaining('client secret') },
      { level: 40, msg: expect.stringContaining('<PUBLIC_URL>/oauth/callback/google') },
      { level: 30, reason: 'denied' },
      { level: 30, errorClass: 'audience' },
    ])
  })

  it('R201: a sink that throws does not break what is being told about', () => {
    const { log, lines } = logTo()
    const broken = () => {
      throw new Error('sink')
    }
    const emit = createEventSink(log, { clock: () => 1_800_000_000, sinks: [broken] })
    expect(() => emit({ type: 'signing_key_created', kid: 'k' })).not.toThrow()
    expect(lines).toHaveLength(2)
  })
})
