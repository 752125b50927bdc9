import { sha256 } from '../../protocol/hash.ts'
import { scripts } from '../lua.generated.ts'
import { recordSchemas, type Task } from '../records.ts'
import { recordToText } from '../redis-records.ts'
import type { RedisSteps } from '../redis-steps.ts'
import type { TaskQueue, TaskStore } from './task-store.ts'

export function createRedisTasks({ keys, run, put, parse, readHashes }: RedisSteps): TaskStore {
  const toTask = (value: string, now: number): Task | undefined => {
    const task = parse('task', recordSchemas.task, () => taskFromText(value))
    return task && task.expiresAt > now ? task : undefined
  }
  const taskKeys = (queue: TaskQueue) => [keys.dueTasks(queue), keys.tasks(queue)]

  return {
    async putTask({ record, replaces, now }) {
      const { id, dueAt, expiresAt, writtenBy } = record
      const [outcome] = await put('task', scripts.putTask, taskKeys(record), [
        now,
        sha256(id),
        dueAt,
        expiresAt,
        writtenBy,
        taskToText(record),
        replaces ? 1 : 0,
      ])
      return outcome as 'stored' | 'exists'
    },
    async claimTasks({ owner, limit, until, now, ...queue }) {
      const reply = await run('task', scripts.claimTasks, taskKeys(queue), [now, owner, until, limit])
      return (reply ?? []).slice(1).flatMap(value => toTask(String(value), now) ?? [])
    },
    async replaceTask({ id, writtenBy, next, now, ...queue }) {
      const reply = await run('task', scripts.replaceTask, taskKeys(queue), [
        now,
        sha256(id),
        writtenBy,
        next?.writtenBy ?? '',
        next?.dueAt ?? '',
        next?.expiresAt ?? '',
        next ? taskToText(next) : '',
      ])
      return (reply?.[0] ?? 'stale') as 'replaced' | 'stale'
    },
    async listTasks({ kind, now, ...page }) {
      const { values, cursor } = await readHashes('task', keys.tasksPattern(kind), page)
      return { tasks: values.flatMap(value => toTask(value, now) ?? []), cursor }
    },
  }
}

/** `due:end:written by:record`, as tasks lie in their hash; claims change only what stands in front. */
function taskFromText(value: string): unknown {
  const [, dueAt, expiresAt, writtenBy, record] = /^(\d+):(\d+):([^:]*):(.*)$/s.exec(value) ?? []
  return {
    ...(JSON.parse(record ?? '') as object),
    writtenBy,
    dueAt: Number(dueAt),
    expiresAt: Number(expiresAt),
  }
}

/** The part of a task that claims do not change. */
function taskToText({ writtenBy: _, dueAt: __, expiresAt: ___, ...record }: Task): string {
  return recordToText(record)
}
