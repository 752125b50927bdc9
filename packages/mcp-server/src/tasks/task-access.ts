import type { Clock } from '@sallyport/oauth'
import { callerFor, isAllowed, mayUse } from '../calls/perform.ts'
import type { HasScopes } from '../scope-hierarchy.ts'
import type { Call } from '../tools/call-context.ts'
import { type Caller, type ClientCaller, isRecent } from '../tools/caller.ts'
import type { Tool } from '../tools/define-tool.ts'

/** Judges who may begin a task, and who may still have it. */
export interface TaskAccess {
  /**
   * Whether a caller may have a task of theirs: the whole of what its tool asks, judged now. Whether the tool is enabled
   * does not count, which is for new calls.
   *
   * @param args what the tool was called with
   */
  mayHave(tool: Tool, caller: Caller | ClientCaller | undefined, args: unknown): Promise<boolean>
  /** Whether a call ends before its handler runs: that is answered at once, and never a task. */
  isRefused(tool: Tool, call: Call): Promise<boolean>
}

/** Creates the access to tasks. */
export function createTaskAccess({ hasScopes, clock }: { hasScopes: HasScopes; clock: Clock }): TaskAccess {
  /** Undefined when the arguments do not fit. */
  const inputOf = async (tool: Tool, args: unknown): Promise<{ input: unknown } | undefined> => {
    if (!tool.input) return { input: {} }
    const parsed = await tool.input.parse(args ?? {})
    return parsed.problem === undefined ? { input: parsed.value } : undefined
  }
  const mayHave: TaskAccess['mayHave'] = async (tool, caller, args) => {
    const { rule } = tool
    const known = callerFor(rule, caller)
    if (!mayUse(rule, known, hasScopes)) return false
    if (known && !isRecent(known, rule?.maxAgeSeconds, clock())) return false
    if (!rule?.allow) return true
    const fitting = await inputOf(tool, args)
    return fitting !== undefined && isAllowed(rule, known, fitting.input)
  }
  return {
    mayHave,
    async isRefused(tool, { caller, params }) {
      try {
        return !(await inputOf(tool, params.arguments)) || !(await mayHave(tool, caller, params.arguments))
      } catch {
        // The call fails in the same way, and says so.
        return true
      }
    },
  }
}
