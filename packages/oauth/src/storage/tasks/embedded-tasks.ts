import type { EmbeddedSteps } from '../embedded-steps.ts'
import { recordSchemas, type Task } from '../records.ts'
import type { TaskQueue, TaskStore } from './task-store.ts'

export function createEmbeddedTasks({
  keeper,
  write,
  read,
  parse,
  find,
  listPage,
}: EmbeddedSteps): TaskStore {
  const findTask = (key: TaskQueue & { id: string }, now: number) =>
    find('task', recordSchemas.task, taskId(key), now)
  const putTask = (record: Task, now: number) => {
    const { userId, dueAt, expiresAt } = record
    const value = JSON.stringify(record)
    keeper.put('task', taskId(record), { value, expiresAt, userId, queue: queueName(record), dueAt }, now)
  }

  return {
    putTask: ({ record, replaces, now }) =>
      write(() => {
        const before = findTask(record, now)
        if (before?.writtenBy === record.writtenBy) return 'stored'
        if (before && !replaces) return 'exists'
        putTask(record, now)
        return 'stored'
      }),
    async claimTasks({ owner, limit, until, now, ...queue }) {
      const listDue = (from: number, to: number, limit: number) =>
        keeper
          .listDue('task', queueName(queue), { from, to, limit }, now)
          .flatMap(value => parse('task', recordSchemas.task, value) ?? [])
      const step = (): Task[] | undefined => {
        const own = listDue(until, until, Number.MAX_SAFE_INTEGER).filter(
          ({ writtenBy }) => writtenBy === owner,
        )
        if (own.length > 0) return own
        return listDue(0, now, 1).length === 0 ? [] : undefined
      }
      // Every process asks again and again, mostly for nothing, and must not keep the others from writing.
      const known = await read(step)
      if (known) return known
      return write(() => {
        const known = step()
        if (known) return known
        const claimed = listDue(0, now, limit).map(task => ({ ...task, writtenBy: owner, dueAt: until }))
        for (const task of claimed) putTask(task, now)
        return claimed
      })
    },
    replaceTask: ({ writtenBy, next, now, ...key }) =>
      write(() => {
        const before = findTask(key, now)
        if (before?.writtenBy === next?.writtenBy) return 'replaced'
        if (before?.writtenBy !== writtenBy) return before || next ? 'stale' : 'replaced'
        if (next) putTask(next, now)
        else keeper.delete('task', taskId(key))
        return 'replaced'
      }),
    listTasks: ({ kind, cursor, limit, now }) =>
      read(() => {
        const page = listPage('task', recordSchemas.task, undefined, { cursor, limit }, now)
        return { tasks: page.records.filter(task => task.kind === kind), cursor: page.cursor }
      }),
  }
}

function queueName({ kind, provider }: TaskQueue): string {
  return JSON.stringify([kind, provider])
}

function taskId({ kind, provider, id }: TaskQueue & { id: string }): string {
  return JSON.stringify([kind, provider, id])
}
