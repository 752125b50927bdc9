import { setTimeout as pause } from 'node:timers/promises'
import { ToolError } from '@sallyport/mcp-server'
import type { Protection, Target } from './declare.ts'

const stepMs = 50

/** What a call can do before it has an answer: report, log, let go of its client, tell of changes, fail. */
export function addOnTheWay(server: Target, auth: Protection): void {
  server.tool('test_error_handling', {
    description: 'Fails, with a reason for the model.',
    auth,
    run: () => {
      throw new ToolError('This tool always fails.')
    },
  })
  server.tool('test_tool_with_progress', {
    description: 'Reports progress: 0, 50, 100 of 100.',
    auth,
    run: async (_, { progress, signal }) => {
      await progress(0, 100)
      await pause(stepMs, undefined, { signal })
      await progress(50, 100)
      await pause(stepMs, undefined, { signal })
      await progress(100, 100)
      return 'Done.'
    },
  })
  const logging = async (
    log: { toClient(level: 'info', data: string): Promise<void> },
    signal: AbortSignal,
  ) => {
    await log.toClient('info', 'Started.')
    await pause(stepMs, undefined, { signal })
    await log.toClient('info', 'Half of it is done.')
    await pause(stepMs, undefined, { signal })
    await log.toClient('info', 'Ended.')
    return 'Done.'
  }
  server.tool('test_tool_with_logging', {
    description: 'Tells the client what it does, in three messages.',
    auth,
    run: (_, { log, signal }) => logging(log, signal),
  })
  server.tool('test_logging_tool', {
    description: 'The same; since 2026-07-28 only requests that name a log level hear of it.',
    auth,
    run: (_, { log, signal }) => logging(log, signal),
  })
  server.tool('test_reconnection', {
    description: 'Lets the stream go in the middle of the call; the client comes back for the answer.',
    auth,
    run: async (_, { closeStream, signal }) => {
      await closeStream()
      await pause(2 * stepMs, undefined, { signal })
      return 'The answer came over another stream.'
    },
  })
  server.tool('test_trigger_tool_change', {
    description: 'Tells clients that listen that the list of tools has changed.',
    auth,
    run: () => {
      server.notify.toolsChanged()
      return 'Told.'
    },
  })
  server.tool('test_trigger_prompt_change', {
    description: 'Tells clients that listen that the list of prompts has changed.',
    auth,
    run: () => {
      server.notify.promptsChanged()
      return 'Told.'
    },
  })
}
