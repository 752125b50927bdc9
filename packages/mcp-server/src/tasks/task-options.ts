import { ConfigurationError } from '@sallyport/oauth'

/** How tasks are kept. */
export interface TaskOptions {
  /** How long a task is kept from its beginning, and may run, in seconds. Default 3600, at most 604800. */
  ttlSeconds?: number
  /** How many tasks one caller may have that are kept, running or not. Default 100. */
  maxPerCaller?: number
  /** The same for all callers together who are not signed in. Default 1000. */
  maxAnonymous?: number
  /**
   * How often clients are asked to look, in milliseconds, and how often a task looks what came for it, which it does every
   * 10000 at least. Default 1000, at most 60000.
   */
  pollIntervalMs?: number
  /**
   * How large a result is kept, in bytes of its JSON. A larger one is not, and the task ends with a result that says so.
   * Default 1048576, at most 8388608.
   */
  maxResultBytes?: number
}

const limits = {
  ttlSeconds: { default: 3_600, most: 604_800 },
  maxPerCaller: { default: 100, most: 10_000 },
  maxAnonymous: { default: 1_000, most: 100_000 },
  pollIntervalMs: { default: 1_000, most: 60_000 },
  maxResultBytes: { default: 1_048_576, most: 8_388_608 },
} as const

/** @throws {ConfigurationError} when tasks cannot be kept so */
export function taskOptions(options: TaskOptions): Required<TaskOptions> {
  const read = (name: keyof typeof limits): number => {
    const { default: usual, most } = limits[name]
    const value = options[name] ?? usual
    if (Number.isSafeInteger(value) && value > 0 && value <= most) return value
    throw new ConfigurationError(`tasks.${name} must be a whole number from 1 to ${most}.`)
  }
  return {
    ttlSeconds: read('ttlSeconds'),
    maxPerCaller: read('maxPerCaller'),
    maxAnonymous: read('maxAnonymous'),
    pollIntervalMs: read('pollIntervalMs'),
    maxResultBytes: read('maxResultBytes'),
  }
}
