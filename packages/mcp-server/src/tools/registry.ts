import { ConfigurationError } from '@sallyport/oauth'
import type { Tool } from './define-tool.ts'

/** The tools of one server, by name. */
export interface ToolRegistry {
  /** @throws {ConfigurationError} when the name is taken, or the server has started */
  add(tool: Tool): void
  get(name: string): Tool | undefined
  list(): readonly Tool[]
  /** No tool can be added from now on: what clients were told at sign-in must stay true. */
  freeze(): void
}

/** Creates an empty registry. */
export function createToolRegistry(): ToolRegistry {
  const tools = new Map<string, Tool>()
  let frozen = false
  return {
    add(tool) {
      if (frozen)
        throw new ConfigurationError(`Tool "${tool.name}" comes too late: add tools before start().`)
      if (tools.has(tool.name))
        throw new ConfigurationError(`There are two tools named "${tool.name}": rename one.`)
      tools.set(tool.name, tool)
    },
    get: name => tools.get(name),
    list: () => [...tools.values()],
    freeze() {
      frozen = true
    },
  }
}

/** Whether anybody may call a tool without being signed in. */
export const isOpen = (tool: Tool): boolean => tool.rule === undefined || tool.rule.anonymous
