import {
  createMemoryStore,
  createSealer,
  createSecretRing,
  StoreUnavailableError,
  systemRandom,
} from '@sallyport/oauth'
import { describe, expect, it } from 'vitest'
import { createEventLog, type EventKeeping, parseEventId } from './event-log.ts'

function setUp(over: Partial<EventKeeping> = {}) {
  const errors: Error[] = []
  const ring = createSecretRing(['a-secret-for-tests-that-is-long-enough-0123456789'])
  const keeping: EventKeeping = {
    store: createMemoryStore(),
    sealer: createSealer(ring, systemRandom, 'mcp-session'),
    tenant: 'default',
    clock: () => 1_800_000_000,
    replica: 'replica1',
    onError: error => errors.push(error),
    ...over,
  }
  return { keeping, errors, log: createEventLog('session', keeping) }
}
const message = (id: number, result: Record<string, unknown> = {}) => ({
  jsonrpc: '2.0' as const,
  id,
  result,
})

describe('the events of a session', () => {
  it('are replayed behind the last one that was seen, of one stream', async () => {
    const { log } = setUp()
    const ids: string[] = []
    for (let id = 1; id <= 3; id++) ids.push(await log.storeEvent('one', message(id)))
    await log.storeEvent('two', message(9))
    const seen: unknown[] = []
    const streamId = await log.replayEventsAfter(ids[0]!, {
      send: async (id, sent) => void seen.push([id, sent]),
    })
    expect([streamId, seen]).toEqual([
      'one',
      [
        [ids[1], message(2)],
        [ids[2], message(3)],
      ],
    ])
  })

  it('one that comes while others are replayed is not lost', async () => {
    const { log } = setUp()
    const first = await log.storeEvent('one', message(1))
    await log.storeEvent('one', message(2))
    const seen: unknown[] = []
    await log.replayEventsAfter(first, {
      send: async (_, sent) => {
        seen.push(sent)
        if (seen.length < 3) await log.storeEvent('one', message(seen.length + 2))
      },
    })
    expect(seen).toEqual([message(2), message(3), message(4)])
  })

  it('lie sealed in the store, and open for their own session only', async () => {
    const store = createMemoryStore()
    const kept: string[] = []
    const { keeping, log } = setUp({
      store: {
        readEvents: step => store.readEvents({ ...step, stream: 'session:replica1:one' }),
        appendEvent: step => {
          kept.push(step.sealed)
          return store.appendEvent(step)
        },
      },
    })
    const id = await log.storeEvent('one', message(1, { text: 'private' }))
    const place = parseEventId(id)!
    expect(await log.readAfter({ ...place, position: 0 })).toHaveLength(1)
    expect(kept.join()).not.toContain('private')
    expect(await createEventLog('other', keeping).readAfter({ ...place, position: 0 })).toEqual([])
  })

  it('an answer too large to be kept is kept as an error, so that nobody waits for it', async () => {
    const { log } = setUp()
    const id = await log.storeEvent('one', message(1, { text: 'x'.repeat(300_000) }))
    const [event] = await log.readAfter({ ...parseEventId(id)!, position: 0 })
    expect(event?.message).toMatchObject({ id: 1, error: { code: -32603 } })
  })

  it('a store that fails costs the replay, not the call', async () => {
    const fails = () => Promise.reject(new StoreUnavailableError('down'))
    const { log, errors } = setUp({ store: { appendEvent: fails, readEvents: async () => [] } })
    const id = await log.storeEvent('one', message(1))
    expect(parseEventId(id)).toEqual({ replica: 'replica1', position: 1, streamId: 'one' })
    expect(await log.replayEventsAfter(id, { send: async () => {} })).toBe('one')
    expect(errors).toHaveLength(1)
  })

  it('R196: a store that does not answer holds no more than a thousand of them in memory', async () => {
    const store = createMemoryStore()
    let answer = () => {}
    const hanging = new Promise<void>(resolve => {
      answer = resolve
    })
    let asked = 0
    const appendEvent: typeof store.appendEvent = async step => {
      asked++
      await hanging
      return store.appendEvent(step)
    }
    const { log } = setUp({ store: { appendEvent, readEvents: step => store.readEvents(step) } })
    for (let id = 1; id <= 1_500; id++) await log.storeEvent(`stream-${id}`, message(id))
    answer()
    const after = await log.storeEvent('after', message(0))
    await log.readAfter({ ...parseEventId(after)!, position: 0 })
    expect(asked).toBe(1_000)
    await log.storeEvent('later', message(1))
    expect(await log.readAfter({ replica: 'replica1', streamId: 'later', position: 0 })).toHaveLength(1)
  })

  it.each(['', 'x', 'replica1_1', 'replica1_x_one', 'replica1_1_one\nid: 2', 'replica1_1_a b'])(
    'R200: %j is no event id',
    id => {
      expect(parseEventId(id)).toBeUndefined()
    },
  )
})
