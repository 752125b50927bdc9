import { createMemoryStore, createSealer, createSecretRing, systemRandom } from '@sallyport/oauth'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Caller } from '../tools/call-context.ts'
import { canonical } from './digest.ts'
import { createRequestStates, emptyState, requestBinding } from './request-state.ts'

const ada: Caller = {
  principal: 'user',
  userId: 'ada',
  clientId: 'client',
  issuer: 'https://mcp.example.com',
  subject: 'ada',
  scopes: [],
  grantId: 'grant',
  authTime: undefined,
  expiresAt: 0,
}

function setUp() {
  let now = 1_800_000_000
  const ring = createSecretRing(['a-secret-for-tests-that-is-long-enough-0123456789'])
  const states = createRequestStates({
    sealer: createSealer(ring, systemRandom, 'request-state'),
    tenant: 'default',
    store: createMemoryStore(),
    clock: () => now,
    random: systemRandom,
  })
  return {
    states,
    advance: (seconds: number) => {
      now += seconds
    },
  }
}

const call = { name: 'delete', arguments: { a: 1, b: [{ c: 2, d: 3 }] } }
const bind = (
  caller: Caller | undefined = ada,
  method = 'tools/call',
  params: Record<string, unknown> = call,
) => requestBinding(caller, method, params)

describe('R161: the state of a call', () => {
  it('comes back as it was, to the same caller and call, however its arguments are ordered', async () => {
    const { states } = setUp()
    const sealed = states.seal(bind(), { ...emptyState(), answers: { a: { asked: 'q', answer: { x: 1 } } } })
    const reordered = { arguments: { b: [{ d: 3, c: 2 }], a: 1 }, name: 'delete' }
    const round = { ...reordered, _meta: { progressToken: 1 }, inputResponses: {}, requestState: sealed }
    expect(await states.open(bind(ada, 'tools/call', round), sealed)).toMatchObject({
      answers: { a: { asked: 'q', answer: { x: 1 } } },
    })
  })

  it.each<[string, string]>([
    ['another user', bind({ ...ada, userId: 'mallory' })],
    ['another client of the user', bind({ ...ada, clientId: 'other' })],
    ['nobody', requestBinding(undefined, 'tools/call', call)],
    ['another kind of request', bind(ada, 'prompts/get')],
    ['another tool', bind(ada, 'tools/call', { ...call, name: 'read' })],
    ['other arguments', bind(ada, 'tools/call', { ...call, arguments: { a: 2 } })],
    ['arguments in another order', bind(ada, 'tools/call', { ...call, arguments: { a: 1, b: [] } })],
  ])('does not open for %s', async (_, binding) => {
    const { states } = setUp()
    expect(await states.open(binding, states.seal(bind(), emptyState()))).toBeUndefined()
  })

  it('ends after ten minutes', async () => {
    const { states, advance } = setUp()
    const sealed = states.seal(bind(), emptyState())
    advance(599)
    expect(await states.open(bind(), sealed)).toBeDefined()
    advance(1)
    expect(await states.open(bind(), sealed)).toBeUndefined()
  })

  it('cannot be read or changed by whoever carries it', async () => {
    const { states } = setUp()
    const secret = 'an answer that is nobody else’s business'
    const sealed = states.seal(bind(), { ...emptyState(), answers: { a: { asked: 'q', answer: secret } } })
    expect(Buffer.from(sealed.split('.').at(-1) ?? '', 'base64url').toString()).not.toContain(secret)
    await fc.assert(
      fc.asyncProperty(fc.nat(sealed.length - 1), fc.constantFrom(...'Aa0_.'), async (at, character) => {
        const changed = sealed.slice(0, at) + character + sealed.slice(at + 1)
        fc.pre(
          changed !== sealed &&
            Buffer.from(changed, 'base64url').compare(Buffer.from(sealed, 'base64url')) !== 0,
        )
        expect(await states.open(bind(), changed)).toBeUndefined()
      }),
      { numRuns: 100 },
    )
  })

  it('that counts once opens once, of 20 at the same time', async () => {
    const { states } = setUp()
    const sealed = states.seal(bind(), { ...emptyState(), once: true })
    const opened = await Promise.all(Array.from({ length: 20 }, () => states.open(bind(), sealed)))
    expect(opened.filter(Boolean)).toHaveLength(1)
  })
})

it('equal JSON values have one canonical text', () => {
  fc.assert(
    fc.property(fc.jsonValue(), value => {
      const parsed = JSON.parse(JSON.stringify(value))
      expect(canonical(parsed)).toBe(canonical(value))
      expect(JSON.parse(canonical(value))).toEqual(parsed)
    }),
    { numRuns: 200 },
  )
})
