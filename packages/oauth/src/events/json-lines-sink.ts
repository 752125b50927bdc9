import { appendFileSync, closeSync, fchmodSync, fstatSync, openSync } from 'node:fs'
import { ConfigurationError } from '../errors.ts'
import type { RecordedEvent } from '../events.ts'

/** Writes every event as one line. */
export interface JsonLinesSink {
  /** @throws when it cannot be written; the next event is tried again */
  (event: RecordedEvent): void
  /** Closes a file that was opened here. */
  close(): void
}

/**
 * An audit log: one JSON object a line, in the order in which things happened. A file is only ever appended to, with
 * mode 0600, and each line is with the operating system before the answer it belongs to is sent. Several processes may
 * share a file; to rotate it, copy and truncate.
 *
 * @param to path of a file, or a stream, which stays open
 * @throws {ConfigurationError} when the file cannot be opened
 */
export function createJsonLinesSink(to: string | { write(line: string): unknown }): JsonLinesSink {
  if (typeof to !== 'string') {
    return Object.assign((event: RecordedEvent) => void to.write(lineOf(event)), { close() {} })
  }
  const file = openForAppending(to)
  let isOpen = true
  return Object.assign(
    (event: RecordedEvent) => {
      if (isOpen) appendFileSync(file, lineOf(event))
    },
    {
      close() {
        if (isOpen) closeSync(file)
        isOpen = false
      },
    },
  )
}

function openForAppending(path: string): number {
  try {
    const file = openSync(path, 'a', 0o600)
    // Also when it was there before: an audit log is nobody else's to read. Pipes and terminals keep their mode.
    if (fstatSync(file).isFile()) fchmodSync(file, 0o600)
    return file
  } catch (cause) {
    throw new ConfigurationError(
      `The audit log ${JSON.stringify(path)} cannot be opened: set SALLYPORT_AUDIT_LOG to a file this process may write.`,
      { cause },
    )
  }
}

/** R190: ASCII alone, so that neither line breaks of Unicode nor control sequences of a terminal get into the file. */
function lineOf(event: RecordedEvent): string {
  const text = JSON.stringify(event).replace(
    /[^\x20-\x7e]/g,
    character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
  return `${text}\n`
}
