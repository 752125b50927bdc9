/** Counts work under way, so that a server that stops can let it finish. */
export interface InFlight {
  track<T>(work: Promise<T>): Promise<T>
  /** Resolves when nothing is under way, at once or later. */
  idle(): Promise<void>
}

/** Creates a counter. */
export function createInFlight(): InFlight {
  let running = 0
  let waiting: (() => void)[] = []
  return {
    async track(work) {
      running++
      try {
        return await work
      } finally {
        if (--running === 0) {
          for (const resolve of waiting) resolve()
          waiting = []
        }
      }
    },
    idle: () => (running === 0 ? Promise.resolve() : new Promise(resolve => waiting.push(resolve))),
  }
}
