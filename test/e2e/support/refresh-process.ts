import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type {
  CallResult,
  RefreshAnswer,
  RefreshMessage,
  RefreshSettings,
  StopPlace,
} from './refresh-settings.ts'

/** A process that refreshes connections, in the hand of a test. */
export interface RefreshProcess {
  /** Moves its clock to so many seconds ahead of the system's. */
  advanceTo(aheadSeconds: number): void
  /** One call after another asks for a token of each user; all at once unless `parallel` says otherwise. */
  call(
    userIds: readonly string[],
    options?: { callers?: number; parallel?: number; comesBack?: boolean },
  ): Promise<CallResult>
  /** Does what is due without a caller; resolves when nothing is due any more. */
  runDue(): Promise<unknown>
  /** Makes it stop at that point; resolves when it has got there. */
  stopAt(where: StopPlace): Promise<void>
  goOn(): void
  /** SIGSTOP and SIGCONT. */
  freeze(): void
  thaw(): void
  /** SIGKILL. */
  kill(): Promise<void>
  isDead(): boolean
}

const main = fileURLToPath(new URL('refresh-main.ts', import.meta.url))

/** Starts `refresh-main.ts`. */
export async function startRefreshProcess(settings: RefreshSettings): Promise<RefreshProcess> {
  const child = fork(main, {
    execArgv: ['--conditions=sallyport-source', '--disable-warning=ExperimentalWarning'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: {
      PATH: process.env.PATH,
      NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
      E2E_REFRESH: JSON.stringify(settings),
    },
  })
  const exited = once(child, 'exit')
  const calls = new Map<number, (result: CallResult) => void>()
  let hasStopped = () => {}
  let isReady = () => {}
  const ready = new Promise<void>(resolve => {
    isReady = resolve
  })
  child.on('message', (answer: RefreshAnswer) => {
    if (answer === 'ready') isReady()
    else if ('stoppedAt' in answer) hasStopped()
    else calls.get(answer.id)?.(answer)
  })
  const tell = (message: RefreshMessage) => void child.send(message)
  let lastId = 0
  await Promise.race([
    ready,
    exited.then(([code]) => {
      throw new Error(`the process stopped with exit code ${code}`)
    }),
  ])
  return {
    advanceTo: aheadSeconds => tell({ aheadSeconds }),
    call(userIds, options) {
      const id = ++lastId
      const result = new Promise<CallResult>(resolve => void calls.set(id, resolve))
      tell({ call: { id, userIds, ...options } })
      return result
    },
    runDue() {
      const id = ++lastId
      const result = new Promise<CallResult>(resolve => void calls.set(id, resolve))
      tell({ runDue: { id } })
      return result
    },
    stopAt(where) {
      const stopped = new Promise<void>(resolve => {
        hasStopped = resolve
      })
      tell({ stopAt: where })
      return stopped
    },
    goOn: () => tell({ goOn: true }),
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    async kill() {
      child.kill('SIGKILL')
      await exited
    },
    isDead: () => child.exitCode !== null || child.signalCode !== null,
  }
}
