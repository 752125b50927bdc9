import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { beginTransaction } from './begin-transaction.ts'
import { createConnectLink } from './connect.ts'
import { createFixture, returnFrom } from './sign-in.fixture.ts'

beforeEach(() => void vi.useFakeTimers({ now: 1_800_000_000_000, toFake: ['Date', 'setTimeout'] }))
afterEach(() => void vi.useRealTimers())

describe('beginTransaction', () => {
  const setUp = () => {
    const fixture = createFixture({
      needs: { linkedin: ['post'] },
      context: { maxPendingAuthorizations: 1_000 },
    })
    const { context } = fixture
    const begin = (remoteAddress: string) =>
      beginTransaction(
        { ...context, limits: context.limits.from(remoteAddress) },
        new Request('https://mcp.example.com/oauth/consent', { method: 'POST' }),
        {
          goal: { kind: 'connect', connect: { userId: 'u', providerId: 'google', scopes: [] } },
          legs: [{ loginId: 'google', scopes: [], purpose: 'sign-in' }],
        },
      )
    return { fixture, begin }
  }

  it('R60: one source cannot take the places of all the others, nor end what they have begun', async () => {
    const { fixture, begin } = setUp()
    // Somebody who is on the way through a provider already.
    const browser = fixture.browser()
    const away = await browser.submit(await browser.open(fixture.authorizeUrl()), { decision: 'allow' })
    const places = fixture.store.size
    const outcomes: Record<string, number> = {}
    for (let i = 0; i < 50_000; i++) {
      // Any address of one /64.
      const address = `2001:db8:0:1::${(i % 65_536).toString(16)}`
      const outcome = await begin(address).then(
        ({ status }) => String(status),
        (error: Error) => error.message,
      )
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
    }
    expect(outcomes).toEqual({
      303: 200,
      'temporarily_unavailable: Too many requests. Try again later.': 49_800,
    })
    expect(fixture.store.size).toBeLessThanOrEqual(places + 2 * 200)
    // The provider is not asked for a sign-in that may not begin.
    expect(fixture.google.starts).toHaveLength(201)
    expect((await begin('198.51.100.7')).status).toBe(303)
    const back = await browser.open(returnFrom(fixture, away, { code: 'ada' }))
    expect(back.location).toContain('https://linkedin.example/')
  })

  it('one user cannot keep a provider busy with links of their own', async () => {
    const { fixture } = setUp()
    const { context } = fixture
    const connect = async (userId: string) => {
      const browser = fixture.browser()
      const link = createConnectLink(context, { userId, providerId: 'linkedin', scopes: ['post'] })
      return (await browser.submit(await browser.open(link))).status
    }
    const statuses = new Set<number>()
    for (let i = 0; i < 30; i++) statuses.add(await connect('user-1'))
    expect([...statuses]).toEqual([303])
    expect(await connect('user-1')).toBe(429)
    expect(await connect('user-2')).toBe(303)
  })
})
