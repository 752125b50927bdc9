import { createMemoryStore, type SallyportEvent, StoreUnavailableError, systemRandom } from '@sallyport/oauth'
import { beforeEach, describe, expect, it } from 'vitest'
import { type Circuit, createCircuit } from './circuit.ts'
import { createTestClock, type TestClock } from './testing/harness.ts'

let clock: TestClock
let events: SallyportEvent[]
let store: ReturnType<typeof createMemoryStore>
beforeEach(() => {
  clock = createTestClock()
  events = []
  store = createMemoryStore()
})

/** The circuit as another process sees it. */
const inProcess = (id = 'google client'): Circuit =>
  createCircuit(
    { store, clock, random: systemRandom, emit: event => void events.push(event) },
    { id, provider: 'google' },
  )
const down = { errorClass: 'transient', retryAfterSeconds: undefined } as const
const fail = async (circuit: Circuit, times: number, failure: Parameters<Circuit['failed']>[0] = down) => {
  for (let i = 0; i < times; i++) await circuit.failed(failure)
}

describe('R182: a provider in trouble is left alone by all processes', () => {
  it('after five failures in a row, whichever process met them', async () => {
    const [one, two] = [inProcess(), inProcess()]
    await fail(one, 2)
    await fail(two, 2)
    expect(await inProcess().admit()).toBe(0)
    await fail(one, 1)
    for (const circuit of [one, two, inProcess()]) {
      expect(await circuit.blockedSeconds()).toBe(1)
      expect(await circuit.admit()).toBe(1)
    }
    expect(await inProcess('another client').admit()).toBe(0)
    expect(events).toEqual([
      { type: 'circuit_opened', provider: 'google', errorClass: 'transient', nextAttemptAt: clock() + 1 },
    ])
  })

  it('not when an answer came in between, however many failed in all', async () => {
    const [one, two] = [inProcess(), inProcess()]
    for (let i = 0; i < 5; i++) {
      await fail(one, 4)
      await two.blockedSeconds()
      await two.answered()
    }
    expect(await inProcess().admit()).toBe(0)
    expect(events).toEqual([])
  })

  it('of 20 processes one probes it, and its answer lets all in again', async () => {
    await fail(inProcess(), 5)
    clock.now += 1
    const processes = Array.from({ length: 20 }, () => inProcess())
    const waits = await Promise.all(processes.map(each => each.admit()))
    expect(waits.filter(wait => wait === 0)).toHaveLength(1)
    expect(waits.filter(wait => wait === 1)).toHaveLength(19)
    await processes[waits.indexOf(0)]!.answered()
    expect(await inProcess().admit()).toBe(0)
    expect(events.at(-1)).toEqual({ type: 'circuit_closed', provider: 'google' })
  })

  it('a probe that fails waits longer each time, but never so long that recovery goes unnoticed', async () => {
    await fail(inProcess(), 5)
    const waits: number[] = []
    for (let i = 0; i < 7; i++) {
      const circuit = inProcess()
      waits.push(await circuit.blockedSeconds())
      clock.now += waits.at(-1)!
      expect(await circuit.admit()).toBe(0)
      await fail(circuit, 1)
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 20, 20])
    expect(events.map(({ type }) => type)).toEqual(['circuit_opened'])
  })

  it('a probe that is never heard of again is made by another process', async () => {
    await fail(inProcess(), 5)
    clock.now += 1
    expect(await inProcess().admit()).toBe(0)
    clock.now += 19
    expect(await inProcess().admit()).toBe(1)
    clock.now += 1
    expect(await inProcess().admit()).toBe(0)
  })

  it('requests that were under way when it opened do not make the pause longer', async () => {
    const circuit = inProcess()
    await fail(circuit, 50)
    expect(await inProcess().blockedSeconds()).toBe(1)
  })

  it('what fails when the pause is over counts as a probe', async () => {
    await fail(inProcess(), 5)
    clock.now += 1
    await fail(inProcess(), 1)
    expect(await inProcess().blockedSeconds()).toBe(2)
  })
})

describe('R182: Retry-After', () => {
  const asks = (seconds: number, errorClass: 'transient' | 'rate_limited' = 'transient') => ({
    errorClass,
    retryAfterSeconds: seconds,
  })

  it('of a provider that is down holds for everybody at once', async () => {
    await inProcess().failed(asks(40))
    expect(await inProcess().blockedSeconds()).toBe(40)
  })

  it('closes it for a minute at first, and longer when a probe is told so', async () => {
    const circuit = inProcess()
    await circuit.failed(asks(3600))
    expect(await circuit.blockedSeconds()).toBe(60)
    clock.now += 60
    expect(await circuit.admit()).toBe(0)
    await circuit.failed(asks(3600))
    expect(await inProcess().blockedSeconds()).toBe(3600)
  })

  it('of a limit, which may be that of one user, keeps nobody else out', async () => {
    await fail(inProcess(), 4, asks(3600, 'rate_limited'))
    expect(await inProcess().admit()).toBe(0)
    await fail(inProcess(), 1, asks(3600, 'rate_limited'))
    expect(await inProcess().blockedSeconds()).toBe(60)
  })
})

it('an answer to a request that began before others failed counts all the same', async () => {
  const circuit = inProcess()
  expect(await circuit.admit()).toBe(0)
  await fail(circuit, 4)
  await circuit.answered()
  await fail(circuit, 4)
  expect(await inProcess().admit()).toBe(0)
})

it('a process notices within seconds that another one closed it', async () => {
  const [one, two] = [inProcess(), inProcess()]
  await one.failed({ errorClass: 'transient', retryAfterSeconds: 60 })
  expect(await two.blockedSeconds()).toBe(60)
  // A request that was under way had luck.
  await one.blockedSeconds()
  await one.answered()
  clock.now += 5
  expect(await two.blockedSeconds()).toBe(0)
})

it('a store that fails after an answer costs nobody the answer', async () => {
  const circuit = inProcess()
  await fail(circuit, 1)
  store.findCircuit = () => Promise.reject(new StoreUnavailableError('down'))
  await circuit.failed(down)
  await circuit.answered()
  await expect(circuit.admit()).rejects.toThrow(StoreUnavailableError)
})

it('nothing is written while all is well', async () => {
  let writes = 0
  const { replaceCircuit } = store
  store.replaceCircuit = step => {
    writes++
    return replaceCircuit(step)
  }
  const circuit = inProcess()
  for (let i = 0; i < 3; i++) {
    expect(await circuit.admit()).toBe(0)
    await circuit.answered()
  }
  expect(writes).toBe(0)
})
