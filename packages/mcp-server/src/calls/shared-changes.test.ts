import { InMemoryServerEventBus, type ServerEvent } from '@modelcontextprotocol/server'
import {
  type ChangeStore,
  createMemoryStore,
  createSealer,
  createSecretRing,
  StoreUnavailableError,
  systemRandom,
} from '@sallyport/oauth'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { shareChanges } from './shared-changes.ts'

afterEach(() => {
  vi.useRealTimers()
})

const secret = 'a-secret-for-tests-that-is-long-enough-0123456789'

/** A process on a store, what it hears, and what it fails with. */
function createProcess(store: ChangeStore, { tenant = 'default', ring = secret } = {}) {
  const heard: (ServerEvent | string)[] = []
  const errors: Error[] = []
  const shared = shareChanges(new InMemoryServerEventBus(), {
    store,
    sealer: createSealer(createSecretRing([ring]), systemRandom, 'mcp-session'),
    tenant,
    clock: () => 1_800_000_000,
    random: systemRandom,
    onError: error => errors.push(error),
  })
  shared.subscribe(event => heard.push(event))
  shared.onGap(() => heard.push('gap'))
  shared.onSession(key => heard.push(key))
  shared.onTask(key => heard.push(`task ${key}`))
  return { ...shared, heard, errors }
}
/** A store whose announcements can be held back. */
function fallible() {
  const inner = createMemoryStore()
  const state = { isDown: false, sent: [] as string[] }
  const store: ChangeStore = {
    watchChanges: watcher => inner.watchChanges(watcher),
    async announceChange(step) {
      if (state.isDown) throw new StoreUnavailableError('down')
      state.sent.push(step.sealed)
      return inner.announceChange(step)
    },
  }
  return { store, state }
}
const tools = { kind: 'tools_list_changed' } as const
const updated = (uri: string) => ({ kind: 'resource_updated', uri }) as const
const turns = async () => {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve()
}

describe('changes of several processes on one store', () => {
  it('are heard by all of them, each once, also where they were published', async () => {
    const store = createMemoryStore()
    const [a, b] = [createProcess(store), createProcess(store)]
    a.publish(tools)
    b.publish(updated('notes://1'))
    a.tellSession('session')
    a.tellTask('one')
    await turns()
    expect(a.heard).toHaveLength(3)
    expect(a.heard).toEqual(expect.arrayContaining([tools, updated('notes://1'), 'task one']))
    expect(b.heard).toHaveLength(4)
    expect(b.heard).toEqual(expect.arrayContaining([tools, updated('notes://1'), 'session', 'task one']))
  })

  it('R162: show nothing of themselves in the store', async () => {
    const { store, state } = fallible()
    createProcess(store).publish(updated('patients://ada/hiv'))
    await turns()
    expect(state.sent).toHaveLength(1)
    expect(state.sent.join()).not.toMatch(/patients|ada|resource/)
    expect(Buffer.from(state.sent[0]!.split('.').at(-1)!, 'base64url').toString('latin1')).not.toContain(
      'ada',
    )
  })

  it('R172: what somebody else writes there is passed over', async () => {
    const store = createMemoryStore()
    const b = createProcess(store)
    const others = [
      createProcess(store, { tenant: 'other' }),
      createProcess(store, { ring: `other-${secret}` }),
    ]
    for (const other of others) other.publish(tools)
    for (const sealed of ['', '{}', 's1.a.b', JSON.stringify({ from: 'x', message: tools })]) {
      await store.announceChange({ sealed, now: 1 })
    }
    await turns()
    expect(b.heard).toEqual([])
  })

  it('a store that does not answer delays them, and what is said twice meanwhile is told once', async () => {
    vi.useFakeTimers()
    const { store, state } = fallible()
    const [a, b] = [createProcess(store), createProcess(store)]
    state.isDown = true
    for (let count = 0; count < 3; count++) a.publish(tools)
    a.publish(updated('notes://1'))
    await vi.advanceTimersByTimeAsync(2_500)
    expect([a.heard.length, b.heard]).toEqual([4, []])
    expect(a.errors[0]).toBeInstanceOf(StoreUnavailableError)
    state.isDown = false
    await vi.advanceTimersByTimeAsync(1_000)
    expect(b.heard).toHaveLength(2)
    expect(b.heard).toEqual(expect.arrayContaining([tools, updated('notes://1')]))
  })

  it('R171: more than can wait are told as one: that anything may have changed', async () => {
    vi.useFakeTimers()
    const { store, state } = fallible()
    const [a, b] = [createProcess(store), createProcess(store)]
    state.isDown = true
    for (let count = 0; count < 300; count++) a.publish(updated(`notes://${count}`))
    state.isDown = false
    await vi.advanceTimersByTimeAsync(1_000)
    expect(b.heard).toContain('gap')
    expect(b.heard.length).toBeLessThan(100)
  })

  it('a resource whose address is too long is told as anything', async () => {
    const store = createMemoryStore()
    const [a, b] = [createProcess(store), createProcess(store)]
    a.publish(updated(`notes://${'x'.repeat(300_000)}`))
    await turns()
    expect(b.heard).toEqual(['gap'])
  })

  it('a process that stops has told what it had to tell, and hears nothing more', async () => {
    const store = createMemoryStore()
    const [a, b] = [createProcess(store), createProcess(store)]
    a.publish(tools)
    await a.close()
    expect(b.heard).toEqual([tools])
    b.publish(tools)
    await turns()
    expect(a.heard).toEqual([tools])
  })

  it('a listener that throws costs nobody else the change', async () => {
    const a = createProcess(createMemoryStore())
    a.subscribe(() => {
      throw new Error('broken')
    })
    const after: unknown[] = []
    a.subscribe(event => after.push(event))
    a.publish(tools)
    expect([a.heard, after, a.errors.length]).toEqual([[tools], [tools], 1])
    await turns()
  })
})
