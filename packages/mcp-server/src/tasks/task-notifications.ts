import { StoreUnavailableError } from '@sallyport/oauth'
import { eventOf, isEventStream, mapMessages, type StreamMessage } from '../event-stream.ts'
import { unavailableResponse } from '../json-response.ts'
import type { Caller, ClientCaller } from '../tools/call-context.ts'
import type { TaskWatch } from './task-watch.ts'
import type { Tasks } from './tasks.ts'

const subscriptionIdKey = 'io.modelcontextprotocol/subscriptionId'

interface ListenRequest {
  id?: unknown
  params?: { notifications?: { taskIds?: unknown; toolsListChanged?: unknown } }
}

/** The tasks that a request to listen names. */
function taskIdsOf(body: unknown): string[] {
  const taskIds = (body as ListenRequest).params?.notifications?.taskIds
  return Array.isArray(taskIds) ? taskIds.filter(taskId => typeof taskId === 'string') : []
}

/**
 * Serves a request to listen, and tells on its stream how the tasks it names stand: at once, and with each change. Tasks
 * that are none of the caller's are left out of what is acknowledged.
 *
 * @param serve has the rest of a request served, which knows nothing of tasks
 * @see https://modelcontextprotocol.io/extensions/tasks/overview
 */
export async function listenToTasks(
  body: unknown,
  caller: Caller | ClientCaller | undefined,
  tasks: Tasks | undefined,
  serve: (body: unknown) => Promise<Response>,
): Promise<Response> {
  const taskIds = taskIdsOf(body)
  if (!tasks || taskIds.length === 0) return serve(body)
  let watch: TaskWatch
  try {
    watch = await tasks.watch(caller, taskIds)
  } catch (error) {
    if (error instanceof StoreUnavailableError) return unavailableResponse()
    throw error
  }
  if (watch.taskIds.length === 0) return serve(body)
  const { id, params } = body as ListenRequest
  const wantsTools = params?.notifications?.toolsListChanged === true
  // What asks for nothing that is known ends at once; so it asks for something, which is not passed on.
  const notifications = { ...params?.notifications, toolsListChanged: true }
  const response = await serve({ ...(body as object), params: { ...params, notifications } })
  if (!response.body || !isEventStream(response)) return response
  const passedOn = mapMessages(response.body, message => {
    if (message.method === 'notifications/tools/list_changed') return wantsTools ? message : undefined
    if (message.method !== 'notifications/subscriptions/acknowledged') return message
    return acknowledged(message, watch.taskIds, wantsTools)
  })
  return new Response(withTasks(passedOn, watch, id), response)
}

function acknowledged(message: StreamMessage, taskIds: readonly string[], wantsTools: boolean): object {
  const { toolsListChanged, ...others } = (message.params?.notifications ?? {}) as Record<string, unknown>
  const notifications = { ...others, ...(wantsTools && { toolsListChanged }), taskIds }
  return { ...message, params: { ...message.params, notifications } }
}

/** Both in one stream. A client that reads slowly gets of each task the latest, and nothing piles up. */
function withTasks(
  stream: ReadableStream<Uint8Array>,
  watch: TaskWatch,
  subscriptionId: unknown,
): ReadableStream<Uint8Array> {
  const reader = stream.getReader()
  const latest = new Map<string, Uint8Array>()
  let flush = () => {}
  return new ReadableStream({
    start(controller) {
      flush = () => {
        for (const [taskId, event] of latest) {
          if ((controller.desiredSize ?? 0) <= 0) return
          latest.delete(taskId)
          controller.enqueue(event)
        }
      }
      const passOn = async () => {
        for (let isFirst = true; ; isFirst = false) {
          const { done, value } = await reader.read()
          if (done) return controller.close()
          controller.enqueue(value)
          // Nothing may come before what acknowledges the subscription.
          if (!isFirst) continue
          watch.start(task => {
            const params = { ...task, _meta: { [subscriptionIdKey]: subscriptionId } }
            latest.set(task.taskId, eventOf({ jsonrpc: '2.0', method: 'notifications/tasks', params }))
            flush()
          })
        }
      }
      passOn()
        .catch(error => controller.error(error))
        .finally(watch.stop)
    },
    pull: () => flush(),
    cancel(reason) {
      watch.stop()
      return reader.cancel(reason)
    },
  })
}
