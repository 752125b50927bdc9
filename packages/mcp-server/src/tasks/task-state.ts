import { z } from 'zod'

/** How a task stands. The last three are for good. */
const statuses = ['working', 'input_required', 'completed', 'failed', 'cancelled'] as const

const at = z.int().nonnegative()
const taskStateSchema = z.strictObject({
  version: z.literal(1),
  /** Name of the tool that runs. */
  tool: z.string().min(1),
  /** What it was called with, where `allow` of its tool looks at that. */
  arguments: z.record(z.string(), z.unknown()).optional(),
  status: z.enum(statuses),
  statusMessage: z.string().optional(),
  createdAt: at,
  lastUpdatedAt: at,
  /** How long it is kept from `createdAt`, in seconds. */
  ttlSeconds: z.int().positive(),
  /** Until when the process that runs it is taken to be alive. */
  leaseEndsAt: at,
  /** What the client has not answered, by name. */
  inputRequests: z.record(z.string(), z.looseObject({ method: z.string() })),
  /** What it has answered, and the tool has perhaps not seen: from outside, of any shape. */
  inputResponses: z.record(z.string(), z.unknown()),
  result: z.looseObject({}).optional(),
  error: z.looseObject({ code: z.int(), message: z.string() }).optional(),
})

/** Everything that is known of a task; stored sealed. Times are seconds since the epoch. */
export type TaskState = z.infer<typeof taskStateSchema>

/** A state that was stored; undefined when it is of no version that this one can read. */
export function parseTaskState(text: string): TaskState | undefined {
  try {
    return taskStateSchema.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}

export const isOver = ({ status }: TaskState): boolean => status !== 'working' && status !== 'input_required'

/** How a task ended. */
export type TaskEnd =
  | { status: 'completed'; result: Record<string, unknown> }
  | { status: 'failed'; error: { code: number; message: string; data?: unknown }; statusMessage: string }
  | { status: 'cancelled'; statusMessage?: string }

/** A task that has not ended, ended. */
export function endedState(state: TaskState, end: TaskEnd, now: number): TaskState {
  const { statusMessage: _, ...rest } = state
  return { ...rest, lastUpdatedAt: now, inputRequests: {}, inputResponses: {}, ...end }
}

/** A failure that is nobody's but the server's own; the words are for the client. */
export const failure = (message: string): TaskEnd => ({
  status: 'failed',
  error: { code: -32603, message },
  statusMessage: message,
})

/** What clients are told of a task whose result they do not have: `Task` of the extension. */
export function taskSummary(taskId: string, state: TaskState, pollIntervalMs: number) {
  return {
    taskId,
    status: state.status,
    ...(state.statusMessage !== undefined && { statusMessage: state.statusMessage }),
    createdAt: isoTime(state.createdAt),
    lastUpdatedAt: isoTime(state.lastUpdatedAt),
    ttlMs: state.ttlSeconds * 1_000,
    pollIntervalMs,
  }
}

/** The same with what there is to answer, the result or the error: `DetailedTask`. */
export function detailedTask(taskId: string, state: TaskState, pollIntervalMs: number) {
  const { status, inputRequests, result, error } = state
  return {
    ...taskSummary(taskId, state, pollIntervalMs),
    ...(status === 'input_required' && { inputRequests }),
    ...(status === 'completed' && { result }),
    ...(status === 'failed' && { error }),
  }
}

/** Whether a write is more than a sign of life. */
export const looksDifferent = (before: TaskState, after: TaskState): boolean =>
  before.status !== after.status ||
  before.statusMessage !== after.statusMessage ||
  before.inputRequests !== after.inputRequests

/** What `tasks/get` answers. */
export type DetailedTask = ReturnType<typeof detailedTask>

const isoTime = (seconds: number) => new Date(seconds * 1_000).toISOString()
