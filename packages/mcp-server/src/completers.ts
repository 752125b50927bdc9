import { ConfigurationError } from '@sallyport/oauth'
import type { AnyCallContext } from './tools/call-context.ts'

/** Values a client may offer while a user types; the first 100 are sent. */
export type Completer<Context> = (
  typed: string,
  /** What was chosen for the other arguments. */
  others: Readonly<Record<string, string>>,
  context: Context,
) => readonly string[] | Promise<readonly string[]>

/** Completers by the name of what they complete. */
export type Completers = Pick<ReadonlyMap<string, Completer<AnyCallContext>>, 'get' | 'size'>

/**
 * Completers by the name of what they complete.
 *
 * @throws {ConfigurationError} when one is for a name that does not exist, or is no function
 */
export function completersOf(
  complete: Readonly<Record<string, unknown>>,
  names: readonly string[],
  where: string,
): Completers {
  return new Map(
    Object.entries(complete).map(([name, completer]) => {
      if (!names.includes(name)) {
        throw new ConfigurationError(`complete of ${where} names "${name}", which it does not have.`)
      }
      if (typeof completer !== 'function') {
        throw new ConfigurationError(`complete of ${where} must give a function for "${name}".`)
      }
      return [name, completer as Completer<AnyCallContext>]
    }),
  )
}
