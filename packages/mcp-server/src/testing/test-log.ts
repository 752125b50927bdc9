import type { Log } from '../log.ts'
import type { ToolLog } from '../tools/call-context.ts'

/** One line of the log. */
export interface LogEntry {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly message: string | undefined
  /** What was logged with it: `err` is what a tool threw, `tool` its name. */
  readonly fields: Readonly<Record<string, unknown>>
}

/** A log that keeps its lines. What is said at `debug` is left out: each request would be a line. */
export function createTestLog(): { log: Log; entries: LogEntry[] } {
  const entries: LogEntry[] = []
  const logWith = (common: object): ToolLog => {
    const at =
      (level: LogEntry['level']) =>
      (first: object | string, message?: string): void => {
        const fields = typeof first === 'string' ? common : { ...common, ...first }
        entries.push({ level, message: typeof first === 'string' ? first : message, fields: { ...fields } })
      }
    return { debug: () => {}, info: at('info'), warn: at('warn'), error: at('error') }
  }
  return { log: { ...logWith({}), child: logWith }, entries }
}
