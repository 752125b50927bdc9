import { afterEach, expect, it, vi } from 'vitest'
import { createResumption } from './resumed-stream.ts'

afterEach(() => void vi.restoreAllMocks())

function setUp() {
  // Else a stream would end by itself, after half a minute of silence.
  vi.spyOn(performance, 'now').mockReturnValue(0)
  const closed = new AbortController()
  const resume = createResumption({
    log: { readAfter: async () => [] },
    sessionId: 'session',
    closed: closed.signal,
  })
  const request = new Request('http://localhost:3000/mcp')
  const follow = (streamId: string) =>
    resume({ place: { replica: 'another-', position: 0, streamId }, request }, () => {
      throw new Error('no stream of this process')
    })
  return { follow, closed }
}

it('R22: a session follows twenty streams of other processes, there or not; the oldest makes room', async () => {
  const { follow, closed } = setUp()
  const [first, second, ...more] = await Promise.all(
    Array.from({ length: 21 }, (_, index) => follow(`stream-${index}`)),
  )
  expect(await first?.text()).toBe('')
  const rest = [second, ...more].map(response => response?.text())
  closed.abort()
  expect(new Set(await Promise.all(rest))).toEqual(new Set(['']))
})

it('a client that comes back for the same stream takes it over from its connection before', async () => {
  const { follow, closed } = setUp()
  const before = await follow('stream')
  const after = await follow('stream')
  expect(await before.text()).toBe('')
  closed.abort()
  expect(await after.text()).toBe('')
})
