import { type EventSink, type RandomBytes, StoreUnavailableError } from '@sallyport/oauth'
import type { ConnectedProvider } from './provider.ts'

/** Runs, now and then, what providers do without a caller. */
export interface BackgroundTimer {
  start(): void
  /** Runs it now, unless it is running; for who cannot wait for the time. */
  run(): Promise<void>
  /** Begins nothing more, and waits for what is under way, 15 s at most. */
  stop(): Promise<void>
}

/** Time between two runs, in milliseconds. */
const intervalMs = 15_000

/** How long `stop` waits, in milliseconds: a refresh whose reply is not written yet may be the only one there is. */
const stopMs = 15_000

/** Creates the timer over the providers of a server. */
export function createBackgroundTimer(parts: {
  workers: readonly Pick<ConnectedProvider, 'runDue'>[]
  random: RandomBytes
  emit: EventSink
  /** Told what must not happen; what the store could not do is an event. */
  onError: (error: unknown) => void
}): BackgroundTimer {
  const { workers, random, emit, onError } = parts
  const ended = new AbortController()
  let timer: ReturnType<typeof setTimeout> | undefined
  let running: Promise<void> | undefined

  async function runAll() {
    await Promise.all(
      workers.map(async ({ runDue }) => {
        try {
          await runDue?.(ended.signal)
        } catch (error) {
          if (error instanceof StoreUnavailableError) emit({ type: 'store_unavailable', step: 'runDue' })
          else onError(error)
        }
      }),
    )
  }

  function run(): Promise<void> {
    running ??= runAll().finally(() => {
      running = undefined
    })
    return running
  }

  function plan() {
    // Processes that were started together must not ask the store together for ever.
    const jitter = (random(1)[0]! / 256 - 0.5) * (intervalMs / 3)
    timer = setTimeout(() => {
      void run().then(() => {
        if (!ended.signal.aborted) plan()
      })
    }, intervalMs + jitter)
    timer.unref()
  }

  return {
    start() {
      if (timer === undefined && !ended.signal.aborted) plan()
    },
    run,
    async stop() {
      ended.abort()
      clearTimeout(timer)
      let limit: ReturnType<typeof setTimeout> | undefined
      const tooLong = new Promise<void>(resolve => {
        limit = setTimeout(resolve, stopMs)
      })
      await Promise.race([running, tooLong])
      clearTimeout(limit)
    },
  }
}
