/** Numbers from 0 to 1 (excluded), the same for the same seed (mulberry32). */
export function createRandom(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Where calls wait for each other, so that a seed and not the machine decides which goes on before which. */
export interface Turnstile {
  /** One more call is under way. */
  enter(name: string): void
  /** A call is over. */
  leave(name: string): void
  /** Waits until the call is drawn. */
  pass(name: string): Promise<void>
  /** Names of those that do not wait. */
  moving(): string[]
}

/** Creates a turnstile. When all that are under way wait, some are drawn, and go on at the same time. */
export function createTurnstile(random: () => number): Turnstile {
  const waiting = new Map<string, () => void>()
  const moving = new Set<string>()
  const draw = () => {
    if (moving.size > 0) return
    const names = [...waiting.keys()].sort()
    const drawn = names.filter(() => random() < 0.5)
    for (const name of drawn.length > 0 ? drawn : names) {
      const goOn = waiting.get(name)
      waiting.delete(name)
      moving.add(name)
      goOn?.()
    }
  }
  const halt = (name: string) => {
    if (!moving.delete(name)) throw new Error(`${name} waits twice, or is over`)
    // Later, so that whatever follows at once on a call's end has come to wait as well.
    if (moving.size === 0) setImmediate(draw)
  }
  return {
    enter: name => void moving.add(name),
    leave: halt,
    pass: name =>
      new Promise(resolve => {
        halt(name)
        waiting.set(name, resolve)
      }),
    moving: () => [...moving],
  }
}
