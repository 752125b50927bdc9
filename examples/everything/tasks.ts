import { setTimeout as pause } from 'node:timers/promises'
import { ProtocolError, ProtocolErrorCode } from '@modelcontextprotocol/server'
import { ToolError } from '@sallyport/mcp-server'
import { z } from 'zod'
import type { Protection, Target } from './declare.ts'

const yes = z.object({ confirm: z.boolean() })

/** Calls that may go on after they were answered: a client that knows tasks gets an id at once, and asks for the result. */
export function addTasks(server: Target, auth: Protection): void {
  server.tool('greet', {
    description: 'Greets, at once: it is never a task.',
    input: z.object({ name: z.string() }),
    auth,
    run: ({ name }) => `Hello, ${name}!`,
  })
  server.tool('slow_compute', {
    description:
      'Takes as long as it is told; as a task for clients that know them, and as a call for others.',
    input: z.object({ seconds: z.number().min(0).max(60), label: z.string().default('unnamed') }),
    auth,
    task: 'optional',
    run: async ({ seconds, label }, { progress, signal }) => {
      await progress(0, 1, `Computing ${label}.`)
      // Cancelled, it stops here.
      await pause(seconds * 1_000, undefined, { signal })
      return `${label}: done after ${seconds} s.`
    },
  })
  server.tool('confirm_delete', {
    description: 'Asks before it deletes. (There is nothing to delete.)',
    input: z.object({ filename: z.string() }),
    auth,
    task: 'optional',
    run: async ({ filename }, { elicit }) => {
      const { action, content } = await elicit({ message: `Delete ${filename}?`, schema: yes })
      return action === 'accept' && content?.confirm ? `${filename} is deleted.` : `${filename} stays.`
    },
  })
  server.tool('multi_input', {
    description: 'Asks two things at once, which may be answered one by one.',
    auth,
    task: 'optional',
    run: async (_, { elicit }) => {
      const [name, go] = await Promise.all([
        elicit({ id: 'name', message: 'What is your name?', schema: z.object({ name: z.string() }) }),
        elicit({ id: 'confirm', message: 'Go on?', schema: yes }),
      ])
      return { name: name.content?.name ?? null, confirm: go.content?.confirm ?? null }
    },
  })
  server.tool('failing_job', {
    description:
      'Fails after a second: a task that completes, with an error for the model. It is a task or nothing.',
    auth,
    task: 'required',
    run: async (_, { signal }) => {
      await pause(1_000, undefined, { signal })
      throw new ToolError('This job always fails.')
    },
  })
  server.tool('protocol_error_job', {
    description: 'Ends in an error of the protocol: a task that has failed.',
    auth,
    task: 'required',
    run: () => {
      throw new ProtocolError(ProtocolErrorCode.InternalError, 'This job always breaks.')
    },
  })
  server.tool('test_tool_with_task', {
    description: 'Asks for a name before it becomes a task, and greets.',
    auth,
    task: 'required',
    taskCreation: 'by-handler',
    run: async (_, { elicit, createTask }) => {
      const schema = z.object({ name: z.string() })
      const { content } = await elicit({ id: 'user_name', message: 'What is your name?', schema })
      await createTask()
      return `Hello, ${content?.name ?? 'whoever you are'}!`
    },
  })
}
