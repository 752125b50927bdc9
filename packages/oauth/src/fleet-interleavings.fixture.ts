import { setImmediate as nextTick } from 'node:timers/promises'
import type { FleetProcess, ParkedRequest } from './fleet.fixture.ts'

/** Whose turn it is: which of the waiting steps happens next, and whether the one after it happens at the same time. */
export interface Turn {
  pick: number
  together: boolean
}

/** Plays requests of a fleet in an order that was drawn: every step on the store waits until it is its turn. */
export interface Conductor {
  /** Sends a gated request. */
  send<T>(request: () => Promise<T>): Promise<T>
  /** Gives turns until everything has been answered. */
  conduct(playing: Promise<unknown>): Promise<void>
}

/** `turns` begin anew when they are used up. */
export function createConductor(fleet: readonly FleetProcess[], turns: readonly Turn[]): Conductor {
  const parked: ParkedRequest[] = []
  let underWay = 0
  let turn = 0
  let tell = () => {}

  for (const one of fleet) {
    one.onParked = request => {
      parked.push(request)
      tell()
    }
  }
  const release = (pick: number) => {
    // In the order they were sent in, not in that of their arrival, which is chance.
    parked.sort((a, b) => a.request - b.request)
    parked.splice(pick % parked.length, 1)[0]!.go()
  }
  return {
    async send(request) {
      underWay++
      try {
        return await request()
      } finally {
        underWay--
        tell()
      }
    },
    async conduct(playing) {
      let isOver = false
      const over = playing.finally(() => {
        isOver = true
        tell()
      })
      while (!isOver) {
        const told = new Promise<void>(resolve => {
          tell = resolve
        })
        // Whoever has just been answered sends what comes next first.
        await nextTick()
        if (isOver) break
        if (underWay === 0 || parked.length < underWay) {
          await told
          continue
        }
        const { pick, together } = turns[turn++ % turns.length]!
        release(pick)
        if (together && parked.length > 0) release(pick)
      }
      await over
    },
  }
}
