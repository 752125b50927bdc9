import {
  type McpServer,
  ProtocolError,
  ProtocolErrorCode,
  type ServerContext,
} from '@modelcontextprotocol/server'
import { z } from 'zod'
import type { Call } from '../tools/call-context.ts'
import { knowsTasks, type Tasks, tasksRequired } from './tasks.ts'

const taskParams = z.looseObject({ taskId: z.string() })
/** One answer for tasks of others, for tasks that have ended and for those that never were (R160). */
const unknownTask = () => new ProtocolError(ProtocolErrorCode.InvalidParams, 'Task not found')

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
): void {
  const known = async (method: string, params: Readonly<Record<string, unknown>>, context: ServerContext) => {
    const call = await callOf({ method, params }, context)
    if (!knowsTasks(call)) throw tasksRequired()
    return call.caller
  }
  server.setRequestHandler('tasks/get', { params: taskParams }, async (params, context) => {
    const task = await tasks.get(await known('tasks/get', params, context), params.taskId)
    if (!task) throw unknownTask()
    return { ...task }
  })
  server.setRequestHandler('tasks/update', { params: taskParams }, async (params, context) => {
    const caller = await known('tasks/update', params, context)
    // The SDK keeps answers apart from the other parameters, and drops those that cannot be any.
    const { inputResponses } = context.mcpReq
    if (!inputResponses) throw new ProtocolError(ProtocolErrorCode.InvalidParams, 'inputResponses is missing')
    if (!(await tasks.update(caller, params.taskId, inputResponses))) throw unknownTask()
    return {}
  })
  server.setRequestHandler('tasks/cancel', { params: taskParams }, async (params, context) => {
    const caller = await known('tasks/cancel', params, context)
    if (!(await tasks.cancel(caller, params.taskId))) throw unknownTask()
    return {}
  })
}

/**
 * Whether a request to listen asks for changes of tasks without saying that it knows them, which is an error. Those that
 * do are told of none: `tasks/get` answers them.
 */
export function listensUnaware(body: unknown): boolean {
  const { params } = body as { params?: { notifications?: { taskIds?: unknown }; _meta?: object } }
  return params?.notifications?.taskIds !== undefined && !knowsTasks({ era: 'modern', params: { ...params } })
}

/** The answer to a call that became a task, without the empty `content` that the SDK gives every result of a tool. */
export async function withoutContent(response: Response): Promise<Response> {
  if (!response.headers.get('content-type')?.startsWith('application/json')) return response
  const message = (await response.json()) as { result?: { resultType?: unknown; content?: unknown } }
  if (message.result?.resultType === 'task') delete message.result.content
  const headers = new Headers(response.headers)
  headers.delete('content-length')
  return new Response(JSON.stringify(message), { status: response.status, headers })
}
