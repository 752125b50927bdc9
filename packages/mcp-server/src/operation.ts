import { baseScope } from './scopes.ts'
import { shortestAge } from './tools/access-rule.ts'
import type { ToolRegistry } from './tools/registry.ts'

/** What a request asks for, as far as the gate must know. */
export interface Operation {
  /** For events: names of tools, or what kind of request it is. Never a value of the request. */
  readonly name: string
  readonly needsCaller: boolean
  /** Whether a client may do this for itself, without a user. */
  readonly allowsClients: boolean
  /** Scopes a token must carry, all of them. */
  readonly scopes: readonly string[]
  /** Scopes a challenge names: the same, or the base scope when any signed-in user may call. */
  readonly challengeScopes: readonly string[]
  /** How long ago the caller may have authenticated, in seconds; undefined for any time. */
  readonly maxAgeSeconds?: number
}

/**
 * Which operation a request is. The body decides, headers never do (R194); of a batch every message is judged
 * and the strictest counts (R152). `body` is undefined when there is none or it is not JSON.
 *
 * @param challengeOnConnect every operation needs a caller, so that clients sign in when they connect
 */
export function judgeOperation(body: unknown, tools: ToolRegistry, challengeOnConnect: boolean): Operation {
  const rules = (Array.isArray(body) ? body : [body]).flatMap(message => {
    const name = calledTool(message)
    const tool = name === undefined ? undefined : tools.get(name)
    return tool ? [{ name: tool.name, rule: tool.rule }] : []
  })
  const scopes = [...new Set(rules.flatMap(({ rule }) => rule?.scopes ?? []))]
  const maxAgeSeconds = shortestAge(rules.flatMap(({ rule }) => rule ?? []))
  return {
    name: rules.map(({ name }) => name).join(' ') || 'connect',
    needsCaller: challengeOnConnect || rules.some(({ rule }) => rule && !rule.anonymous),
    // What anybody may do, a client may do.
    allowsClients: rules.every(({ rule }) => !rule || rule.anonymous || rule.clients),
    scopes,
    challengeScopes: scopes.length > 0 ? scopes : [baseScope],
    ...(maxAgeSeconds !== undefined && { maxAgeSeconds }),
  }
}

function calledTool(message: unknown): string | undefined {
  const { method, params } = asObject(message)
  const { name } = asObject(params)
  return method === 'tools/call' && typeof name === 'string' ? name : undefined
}

const asObject = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
