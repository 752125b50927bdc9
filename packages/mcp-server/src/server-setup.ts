import { createJsonLinesSink, type EventSink, type JsonLinesSink, systemClock } from '@sallyport/oauth'
import { type Config, loadConfig } from './config.ts'
import { type Environment, unknownVariables } from './environment.ts'
import { createEventSink, createLogger, type Log } from './log.ts'
import type { ServerOptions } from './server.ts'

/** Settings, log and events of one server, each made when it is first asked for. */
export interface ServerSetup {
  readonly environment: Environment
  /** @throws {ConfigurationError} when a setting is not one */
  configured(): Config
  logger(): Log
  /** What all parts tell their events to; opens the audit log. */
  emitter(): EventSink
  publicUrlAt(port: number): string
  /** Logs an error, once there is a log. */
  report(error: unknown, message: string): void
  /** Closes the audit log. */
  close(): void
}

export function createServerSetup(options: ServerOptions): ServerSetup {
  const environment = options.environment ?? process.env
  let config: Config | undefined
  let log: Log | undefined
  let audit: JsonLinesSink | undefined
  let events: EventSink | undefined

  const configured = (): Config => {
    config ??= loadConfig(options, environment)
    return config
  }
  const logger = (): Log => {
    if (log) return log
    const { logLevel: level, production } = configured()
    const readable = process.stderr.isTTY === true && !production
    log = options.logger ?? createLogger({ name: options.name, level, readable })
    for (const name of unknownVariables(environment)) {
      log.warn({ variable: name }, 'this environment variable is not one of ours and has no effect')
    }
    return log
  }

  return {
    environment,
    configured,
    logger,
    emitter() {
      const { auditPath } = configured()
      if (auditPath !== undefined) audit ??= createJsonLinesSink(auditPath)
      events ??= createEventSink(logger(), {
        clock: options.clock ?? systemClock,
        sinks: [audit, options.onEvent].filter(sink => sink !== undefined),
      })
      return events
    },
    publicUrlAt: port => configured().publicUrl ?? `http://localhost:${port}`,
    report: (error, message) => log?.error({ err: error }, message),
    close: () => audit?.close(),
  }
}
