import {
  type McpServer,
  ProtocolError,
  ProtocolErrorCode,
  type ServerContext,
} from '@modelcontextprotocol/server'
import { StoreUnavailableError } from '@sallyport/oauth'
import { z } from 'zod'
import { isEventStream, mapMessages, type StreamMessage } from '../event-stream.ts'
import type { Call, Caller, ClientCaller } from '../tools/call-context.ts'
import type { Tasks } from './tasks.ts'
import { knowsTasks, tasksRequired, unavailable } from './tasks-extension.ts'

const taskParams = z.looseObject({ taskId: z.string() })
/**
 * Serves `tasks/get`, `tasks/update` and `tasks/cancel` to clients of 2026-07-28.
 *
 * @see https://modelcontextprotocol.io/extensions/tasks/overview
 */
export function serveTasks(
  { server }: McpServer,
  tasks: Tasks,
  callOf: (
    request: { method: string; params: Readonly<Record<string, unknown>> },
    context: ServerContext,
  ) => Promise<Call>,
  onError: (error: unknown) => void,
): void {
  const serve = (
    method: string,
    answer: (
      caller: Caller | ClientCaller | undefined,
      taskId: string,
      context: ServerContext,
    ) => Promise<object | undefined>,
  ) =>
    server.setRequestHandler(method, { params: taskParams }, async (params, context) => {
      try {
        const call = await callOf({ method, params }, context)
        if (!knowsTasks(call)) throw tasksRequired()
        const answered = await answer(call.caller, params.taskId, context)
        if (!answered) throw unknownTask()
        return { ...answered }
      } catch (error) {
        throw forClients(error, onError)
      }
    })
  serve('tasks/get', (caller, taskId) => tasks.get(caller, taskId))
  serve('tasks/update', async (caller, taskId, { mcpReq }) => {
    // The SDK keeps answers apart from the other parameters, and drops those that cannot be any.
    const { inputResponses } = mcpReq
    if (!inputResponses) throw invalidParams('inputResponses is missing')
    return (await tasks.update(caller, taskId, inputResponses)) ? {} : undefined
  })
  serve('tasks/cancel', async (caller, taskId) => ((await tasks.cancel(caller, taskId)) ? {} : undefined))
}

const invalidParams = (message: string) => new ProtocolError(ProtocolErrorCode.InvalidParams, message)

/** One answer for tasks of others, for tasks that have ended and for those that never were (R160). */
const unknownTask = () => invalidParams('Task not found')

/** What of an error a client may read (R189). */
function forClients(error: unknown, onError: (error: unknown) => void): ProtocolError {
  if (error instanceof ProtocolError) return error
  if (error instanceof RangeError) return invalidParams('The answers are too large to be kept')
  if (error instanceof StoreUnavailableError) {
    return new ProtocolError(ProtocolErrorCode.InternalError, unavailable)
  }
  onError(error)
  return new ProtocolError(ProtocolErrorCode.InternalError, 'Internal error')
}

const methods: ReadonlySet<unknown> = new Set(['tasks/get', 'tasks/update', 'tasks/cancel'])

/** The task that a request is about; undefined when it is about none. */
export function taskAskedFor(body: unknown): string | undefined {
  const { method, params } = (body ?? {}) as { method?: unknown; params?: { taskId?: unknown } }
  const taskId = methods.has(method) ? params?.taskId : undefined
  return typeof taskId === 'string' ? taskId : undefined
}

/** Whether a request to listen asks for changes of tasks without saying that it knows them, which is an error. */
export function listensUnaware(body: unknown): boolean {
  const { params } = body as { params?: { notifications?: { taskIds?: unknown }; _meta?: object } }
  return params?.notifications?.taskIds !== undefined && !knowsTasks({ era: 'modern', params: { ...params } })
}

/** The answer to a call that became a task, without the empty `content` that the SDK gives every result of a tool. */
export async function withoutContent(response: Response): Promise<Response> {
  if (response.body && isEventStream(response)) {
    return new Response(mapMessages(response.body, ofTask), response)
  }
  if (!response.headers.get('content-type')?.startsWith('application/json')) return response
  const headers = new Headers(response.headers)
  headers.delete('content-length')
  const message = ofTask((await response.json()) as StreamMessage)
  return new Response(JSON.stringify(message), { status: response.status, headers })
}

function ofTask(message: StreamMessage): StreamMessage {
  if (message.result?.resultType !== 'task') return message
  const { content: _, ...result } = message.result
  return { ...message, result }
}
