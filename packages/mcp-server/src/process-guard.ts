import type { Log } from './log.ts'

/**
 * Guards the process of a server that listens: a promise nobody waits for in one tool does not end the server
 * for everybody (R201), and SIGINT or SIGTERM stop it gracefully; a second signal ends it at once.
 *
 * @param options.close undefined: signals are left alone
 * @returns undoes it
 */
export function guardProcess(options: { log: Log; close: (() => Promise<void>) | undefined }): () => void {
  const { log, close } = options
  const onRejection = (reason: unknown) => log.error({ err: reason }, 'unhandled rejection')
  const onSignal = (signal: NodeJS.Signals) => {
    log.info({ signal }, 'stopping')
    void close?.().then(
      () => process.exit(0),
      error => {
        log.error({ err: error }, 'stopping failed')
        process.exit(1)
      },
    )
  }
  process.on('unhandledRejection', onRejection)
  if (close) {
    process.once('SIGINT', onSignal)
    process.once('SIGTERM', onSignal)
  }
  return () => {
    process.off('unhandledRejection', onRejection)
    process.off('SIGINT', onSignal)
    process.off('SIGTERM', onSignal)
  }
}
