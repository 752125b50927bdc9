// One process of a fleet on one Redis, for fleet.fixture.ts: an authorization server without a port.
import { AsyncLocalStorage } from 'node:async_hooks'
import { createFixture, resource } from './authorization-server.fixture.ts'
import { OAuthError, StoreUnavailableError } from './errors.ts'
import type { FleetCall, FleetReply, FleetSettings, TokenState } from './fleet.fixture.ts'
import { createSecretRing } from './keys/secret-ring.ts'
import { createRedisStore } from './redis.ts'
import { systemClock } from './runtime.ts'
import type { Store } from './storage/store.ts'

const { redis, secrets, startAt, ...options } = JSON.parse(process.env.FLEET ?? '') as FleetSettings

/** The request that is answered, when its steps wait for a word from the test. */
const gated = new AsyncLocalStorage<number>()
const parked = new Map<number, () => void>()
let steps = 0

/** Lets each step of a gated request wait until the test says that it is its turn. */
const withGates = (store: Store): Store =>
  new Proxy(store, {
    get(target, name) {
      const step: unknown = Reflect.get(target, name)
      if (typeof step !== 'function') return step
      return (...args: unknown[]) => {
        const request = gated.getStore()
        if (request === undefined) return step.apply(target, args)
        return new Promise<void>(resolve => {
          parked.set(++steps, resolve)
          process.send?.({ parked: steps, request, step: String(name) } satisfies FleetReply)
        }).then(() => step.apply(target, args))
      }
    },
  })

const inGates = <T>({ id, isGated }: { id: number; isGated: boolean }, run: () => T): T =>
  isGated ? gated.run(id, run) : run()

const store = await createRedisStore(redis)
const isRealTime = startAt === undefined
const fixture = createFixture(
  {
    store,
    // A thousand requests of one user are no attack here.
    rateLimit: 0,
    ...(secrets && { secrets: createSecretRing(secrets) }),
    ...(isRealTime && { clock: systemClock }),
    ...options,
  },
  withGates,
)
if (startAt !== undefined) fixture.time.now = startAt
await fixture.server.start()

// How long this process got no time to run, so that a busy machine is not taken for a slow answer.
const tickMs = 20
let lastTick = performance.now()
let stalledMs = 0
const lateness = () => Math.max(0, performance.now() - lastTick - tickMs)
setInterval(() => {
  stalledMs += lateness()
  lastTick = performance.now()
}, tickMs).unref()
const stopwatch = () => {
  const [began, stalledBefore] = [performance.now(), stalledMs + lateness()]
  return () => performance.now() - began - (stalledMs + lateness() - stalledBefore)
}

const stateOf = (error: unknown): TokenState => {
  if (error instanceof StoreUnavailableError) return 'unavailable'
  if (error instanceof OAuthError && error.code === 'invalid_token') return 'refused'
  throw error
}

async function answer(call: FleetCall): Promise<unknown> {
  switch (call.do) {
    case 'post': {
      const elapsed = stopwatch()
      const post = () => fixture.post(call.path, call.body, call.headers)
      const response = await inGates(call, post)
      const text = await response.text()
      return {
        status: response.status,
        retryAfter: response.headers.get('Retry-After'),
        body: text === '' ? {} : JSON.parse(text),
        elapsedMs: elapsed(),
      }
    }
    case 'get': {
      const response = await fixture.server.handle(new Request(call.url))
      return response?.json()
    }
    case 'verify': {
      const elapsed = stopwatch()
      const state = await fixture.server.verifyAccessToken(call.access, resource).then(() => 'live', stateOf)
      return { state, elapsedMs: elapsed() }
    }
    case 'admin': {
      const step = Reflect.get(fixture.server.admin, call.step) as (...of: string[]) => Promise<unknown>
      return inGates(call, () => step(...call.of))
    }
    case 'setTime':
      fixture.time.now = call.now
      return undefined
    case 'events':
      return fixture.events
  }
}

process.on('message', async (call: FleetCall | { go: number }) => {
  if ('go' in call) {
    const go = parked.get(call.go)
    parked.delete(call.go)
    go?.()
    return
  }
  const reply: FleetReply = await answer(call).then(
    result => ({ id: call.id, result }),
    (error: unknown) => ({ id: call.id, failure: String(error) }),
  )
  process.send?.(reply)
})
// The test has ended, or died: so does this process, when what it is doing has been done.
process.on('disconnect', async () => {
  await fixture.server.close()
  await store.close()
  process.exit(0)
})
process.send?.({ id: 0, result: 'ready' } satisfies FleetReply)
