import { setTimeout as pause } from 'node:timers/promises'
import { type Clock, StoreUnavailableError } from '@sallyport/oauth'
import type { TaskQuestions } from './task-exchange.ts'
import type { TaskRecords } from './task-records.ts'
import { endedState, failure, isOver, type TaskEnd, type TaskState } from './task-state.ts'

/** For how long a process says that it is at a task, in seconds; it says so again after a third of it. */
const leaseSeconds = 30

/** How often a task is looked at, so that its lease is renewed in time however seldom clients are asked to look. */
export const lookEveryMs = (pollIntervalMs: number): number =>
  Math.min(pollIntervalMs, (leaseSeconds * 1_000) / 3)

/** How far the clocks of two processes may be apart, in seconds. */
const skewSeconds = 15

/** Until when a process that begins, or goes on with, a task is taken to be alive. */
export const leaseEnd = (now: number): number => now + leaseSeconds

/** The process that ran it has died, or cannot reach the store: nobody will end the task. */
export const isAbandoned = (state: TaskState, now: number): boolean =>
  !isOver(state) && state.leaseEndsAt + skewSeconds < now

/** What an abandoned task ends as. */
export const abandoned: TaskEnd = failure('The process that ran this has stopped. Try again.')

/** A task in the process that runs it. */
export interface TaskRun extends TaskQuestions {
  /** Aborts when nobody wants the task any more: cancelled, revoked, past its life, or taken for dead. */
  readonly signal: AbortSignal
  /** Says how far it is, with the next look at the store. */
  say(message: string): void
  /**
   * Writes how it ended, unless it has ended already.
   *
   * @param isLast whether there is no time left to wait for a store that does not answer. Default false
   */
  end(end: TaskEnd, isLast?: boolean): Promise<void>
  /** Looks at the store now, rather than in a moment: something came. */
  wake(): void
}

/**
 * Stays at a task until it is over: renews the lease, brings what others wrote (answers, a cancellation) and writes what
 * the handler says. The store is looked at at each `lookMs`, so that others reach the task through any process.
 */
export function createTaskRun(options: {
  records: TaskRecords
  principal: string
  taskId: string
  /** Whether the sign-in it began with is still good. Asked with each renewal of the lease. */
  isWanted: () => Promise<boolean>
  lookMs: number
  clock: Clock
  onError: (error: unknown) => void
}): TaskRun {
  const { records, principal, taskId, clock, onError } = options
  const over = new AbortController()
  const waiting = new Map<string, (answer: unknown) => void>()
  let message: string | undefined
  let leaseEndsAt = leaseEnd(clock())
  let look = new AbortController()

  const update = (change: (state: TaskState) => TaskState | undefined) =>
    records.update(principal, taskId, state => (isOver(state) ? undefined : change(state)))
  const stop = () => over.abort(new Error('the task is over'))

  /** Takes in what others wrote. */
  const takeIn = (state: TaskState | undefined) => {
    if (!state || isOver(state)) return stop()
    for (const [name, resolve] of waiting) {
      if (!Object.hasOwn(state.inputResponses, name)) continue
      waiting.delete(name)
      resolve(state.inputResponses[name])
    }
  }
  const renew = async () => {
    const said = message
    const until = leaseEnd(clock())
    const change = (state: TaskState): TaskState => ({
      ...state,
      leaseEndsAt: until,
      ...(said !== undefined && { statusMessage: said, lastUpdatedAt: clock() }),
    })
    const state = (await options.isWanted())
      ? await update(change)
      : await update(state => endedState(state, revoked, clock()))
    leaseEndsAt = until
    if (message === said) message = undefined
    takeIn(state)
  }
  const stayAtIt = async () => {
    while (!over.signal.aborted) {
      try {
        const isRenewing = message !== undefined || leaseEndsAt - clock() < (leaseSeconds * 2) / 3
        if (isRenewing) await renew()
        else takeIn(await records.read(principal, taskId))
      } catch (error) {
        // What is too large to be kept is said by nobody, and must not stand in the way of the lease.
        if (error instanceof RangeError) message = undefined
        if (!(error instanceof StoreUnavailableError)) onError(error)
      }
      // Others may have written that it failed: what goes on now would be nobody's.
      if (leaseEndsAt <= clock()) stop()
      await pause(options.lookMs, undefined, {
        signal: AbortSignal.any([over.signal, look.signal]),
        ref: false,
      }).catch(() => {})
      if (look.signal.aborted) look = new AbortController()
    }
  }
  void stayAtIt()

  return {
    signal: over.signal,
    say(said) {
      message = said
    },
    wake: () => look.abort(),
    async post(name, request) {
      const stored = request as TaskState['inputRequests'][string]
      const state = await update(state => ({
        ...state,
        status: 'input_required',
        lastUpdatedAt: clock(),
        inputRequests: { ...state.inputRequests, [name]: stored },
      }))
      takeIn(state)
    },
    async withdraw(name) {
      await update(state => answered(state, { [name]: undefined }, clock()))
    },
    answer(name, signal) {
      return new Promise((resolve, reject) => {
        signal.throwIfAborted()
        const onAbort = () => {
          waiting.delete(name)
          reject(signal.reason)
        }
        signal.addEventListener('abort', onAbort, { once: true })
        waiting.set(name, answer => {
          signal.removeEventListener('abort', onAbort)
          resolve(answer)
        })
        look.abort()
      })
    },
    async end(end, isLast = false) {
      // A result is worth waiting for a store that comes back.
      while (!over.signal.aborted && clock() < leaseEndsAt) {
        try {
          await update(state => endedState(state, end, clock()))
          break
        } catch (error) {
          if (error instanceof RangeError) {
            end = failure('The error that ended this is too large to be kept.')
          } else {
            if (!(error instanceof StoreUnavailableError)) onError(error)
            if (isLast) break
            await pause(options.lookMs, undefined, { ref: false })
          }
        }
      }
      stop()
    },
  }
}

/** What a task ends as whose sign-in was ended. */
export const revoked: TaskEnd = {
  status: 'cancelled',
  statusMessage: 'The sign-in that this was begun with has ended.',
}

/**
 * A state with answers from the client. Those to questions that are not open are left out, and undefined takes a question
 * back.
 */
export function answered(
  state: TaskState,
  answers: Readonly<Record<string, unknown>>,
  now: number,
): TaskState | undefined {
  const names = Object.keys(answers).filter(name => Object.hasOwn(state.inputRequests, name))
  if (names.length === 0) return undefined
  const inputRequests = Object.fromEntries(
    Object.entries(state.inputRequests).filter(([name]) => !names.includes(name)),
  )
  const given = names.filter(name => answers[name] !== undefined)
  return {
    ...state,
    status: Object.keys(inputRequests).length === 0 ? 'working' : 'input_required',
    lastUpdatedAt: now,
    inputRequests,
    inputResponses: {
      ...state.inputResponses,
      ...Object.fromEntries(given.map(name => [name, answers[name]])),
    },
  }
}
