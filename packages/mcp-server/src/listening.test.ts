import { afterEach, describe, expect, it, vi } from 'vitest'
import { createListening } from './listening.ts'
import type { Caller } from './tools/call-context.ts'

afterEach(() => {
  vi.useRealTimers()
})

const now = 1_800_000_000
const callerOf = (userId: string, over: Partial<Caller> = {}) =>
  ({
    principal: 'user',
    userId,
    clientId: 'client',
    grantId: `grant of ${userId}`,
    expiresAt: now + 900,
    ...over,
  }) as Caller

function setUp() {
  const listening = createListening({ clock: () => now, perCaller: 2, maxAnybody: 3 })
  const ended: string[] = []
  const listen = async (name: string, caller: Caller | undefined) => {
    const answer = await listening.serve(caller, async signal => {
      signal.addEventListener('abort', () => ended.push(name))
      return new Response(new ReadableStream({ start: stream => stream.enqueue(new Uint8Array([1])) }))
    })
    return answer
  }
  return { listening, listen, ended }
}

describe('requests that listen', () => {
  it('R157: end when their sign-in is revoked, and no others', async () => {
    const { listening, listen, ended } = setUp()
    await listen('ada', callerOf('ada'))
    await listen('ada elsewhere', callerOf('ada', { clientId: 'other', grantId: 'another grant' }))
    await listen('bob', callerOf('bob'))
    listening.endGrant('grant of ada')
    expect(ended).toEqual(['ada'])
  })

  it('R157: end with their token', async () => {
    vi.useFakeTimers()
    const { listen, ended } = setUp()
    await listen('ada', callerOf('ada', { expiresAt: now + 60 }))
    vi.advanceTimersByTime(59_000)
    expect(ended).toEqual([])
    vi.advanceTimersByTime(1_000)
    expect(ended).toEqual(['ada'])
  })

  it('R171: the oldest of a caller makes room; nobody else loses anything', async () => {
    const { listen, ended } = setUp()
    await listen('bob', callerOf('bob'))
    for (const name of ['first', 'second', 'third']) await listen(name, callerOf('ada'))
    expect(ended).toEqual(['first'])
  })

  it('R171: those who are not signed in are refused when they are many, and keep out nobody who is', async () => {
    const { listen, ended } = setUp()
    const open = []
    for (const name of ['one', 'two', 'three']) open.push(await listen(name, undefined))
    const refused = await listen('four', undefined)
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '30'])
    expect((await listen('ada', callerOf('ada'))).status).toBe(200)
    expect(ended).toEqual([])
    await open[0]?.body?.cancel()
    expect((await listen('four', undefined)).status).toBe(200)
  })

  it('one that has ended counts no more', async () => {
    const { listening, listen, ended } = setUp()
    for (let count = 0; count < 5; count++) {
      await (await listening.serve(callerOf('ada'), async () => new Response('over'))).text()
      await expect(
        listening.serve(callerOf('ada'), () => Promise.reject(new Error('failed'))),
      ).rejects.toThrow()
      expect((await listening.serve(callerOf('ada'), async () => new Response(null))).status).toBe(200)
    }
    await listen('ada', callerOf('ada'))
    await listen('ada again', callerOf('ada'))
    expect(ended).toEqual([])
  })
})
