import type { Offer } from './offers.ts'
import { isOpen } from './offers.ts'
import type { Registry } from './registry.ts'
import { baseScope, minimumScopes } from './scopes.ts'
import { shortestAge } from './tools/access-rule.ts'
import type { Tool } from './tools/define-tool.ts'

/** What a request asks for, as far as the gate must know. */
export interface Operation {
  /** For events: names of offers, or what kind of request it is. Never a value of the request. */
  readonly name: string
  readonly needsCaller: boolean
  /** Whether a client may do this for itself, without a user. */
  readonly allowsClients: boolean
  /** Scopes a token must carry, all of them. */
  readonly scopes: readonly string[]
  /** Scopes a challenge names: the same, or the base scope when any signed-in user may call; on connecting, the minimum. */
  readonly challengeScopes: readonly string[]
  /** How long ago the caller may have authenticated, in seconds; undefined for any time. */
  readonly maxAgeSeconds?: number
}

/** The most resources one subscription may name; one that names more is refused behind the gate. */
export const maxSubscriptions = 1_000

/**
 * Which operation a request is. The body decides, headers never do (R194); of a batch every message is judged
 * and the strictest counts (R152). `body` is undefined when there is none or it is not JSON.
 *
 * What is hidden asks for nothing here: whoever may not use it gets the answer to a name that does not exist.
 *
 * @param challengeOnConnect every operation needs a caller, so that clients sign in when they connect
 */
export function judgeOperation(body: unknown, registry: Registry, challengeOnConnect: boolean): Operation {
  const offers = Array.isArray(body)
    ? body.flatMap(message => askedFor(message, registry))
    : askedFor(body, registry)
  if (offers.length === 0) {
    return challengeOnConnect || isForCallers(body, registry) ? connectSignedIn(registry) : connect
  }
  if (offers.length === 1) return operationOf(offers[0]!, challengeOnConnect)
  return strictest(offers, challengeOnConnect)
}

const connect: Operation = {
  name: 'connect',
  needsCaller: false,
  allowsClients: true,
  scopes: [],
  challengeScopes: [baseScope],
}

/** What a registry offers is known before anybody connects, and does not change. */
const connections = new WeakMap<Registry, Operation>()

function connectSignedIn(registry: Registry): Operation {
  let known = connections.get(registry)
  if (!known) {
    known = { ...connect, needsCaller: true, challengeScopes: minimumScopes(registry.offers()) }
    connections.set(registry, known)
  }
  return known
}

/** Operations of one offer never change: each is made once, for calls are many. */
const operations = new WeakMap<Offer, { open: Operation; signedIn: Operation }>()

function operationOf(offer: Offer, challengeOnConnect: boolean): Operation {
  let known = operations.get(offer)
  if (!known) {
    known = { open: strictest([offer], false), signedIn: strictest([offer], true) }
    operations.set(offer, known)
  }
  return challengeOnConnect ? known.signedIn : known.open
}

/**
 * What a request about a task turns out to be, once its tool is known: as calling the tool. Undefined when nothing may be
 * asked for, because the tool is hidden.
 */
export const taskOperation = (tool: Tool, challengeOnConnect: boolean): Operation | undefined =>
  tool.rule?.hidden ? undefined : operationOf(tool, challengeOnConnect)

/** Whether any request about a task may ask its caller for more than to be signed in. */
export const challengesForTasks = (registry: Registry): boolean =>
  registry
    .tools()
    .some(
      ({ task, rule }) =>
        task !== 'forbidden' && rule && (rule.scopes.length > 0 || rule.maxAgeSeconds !== undefined),
    )

function strictest(offers: readonly Offer[], challengeOnConnect: boolean): Operation {
  const rules = offers.flatMap(({ rule }) => rule ?? [])
  const scopes = [...new Set(rules.flatMap(rule => rule.scopes))]
  const maxAgeSeconds = shortestAge(rules)
  return {
    name: [...new Set(offers.map(({ name }) => name))].join(' ') || 'connect',
    needsCaller: challengeOnConnect || offers.some(offer => !isOpen(offer)),
    // What anybody may do, a client may do.
    allowsClients: rules.every(rule => rule.anonymous || rule.clients),
    scopes,
    challengeScopes: scopes.length > 0 ? scopes : [baseScope],
    ...(maxAgeSeconds !== undefined && { maxAgeSeconds }),
  }
}

/** Whether a request is about tasks that only signed-in callers can have. */
function isForCallers(body: unknown, registry: Registry): boolean {
  const { method, params } = asObject(body)
  const listens =
    method === 'subscriptions/listen' && asObject(asObject(params).notifications).taskIds !== undefined
  if (!listens && (typeof method !== 'string' || !method.startsWith('tasks/'))) return false
  const tools = registry.tools().filter(({ task }) => task !== 'forbidden')
  return tools.length > 0 && !tools.some(isOpen)
}

/** The offers one message is about. */
function askedFor(message: unknown, registry: Registry): readonly Offer[] {
  const { method, params } = asObject(message)
  const { name, uri, ref, notifications } = asObject(params)
  switch (method) {
    case 'tools/call':
      return challenging(typeof name === 'string' ? registry.tool(name) : undefined)
    case 'prompts/get':
      return challenging(typeof name === 'string' ? registry.prompt(name) : undefined)
    case 'resources/read':
    case 'resources/subscribe':
      return resourceAt(uri, registry)
    case 'completion/complete': {
      const { type, name: prompt, uri: template } = asObject(ref)
      if (type === 'ref/prompt') return challenging(registry.prompt(String(prompt)))
      return challenging(registry.template(String(template)))
    }
    case 'subscriptions/listen': {
      const { resourceSubscriptions: uris } = asObject(notifications)
      return Array.isArray(uris)
        ? [...new Set(uris.slice(0, maxSubscriptions).flatMap(each => resourceAt(each, registry)))]
        : []
    }
    default:
      return []
  }
}

const resourceAt = (uri: unknown, registry: Registry): readonly Offer[] =>
  challenging(typeof uri === 'string' ? registry.findResource(uri)?.resource : undefined)

const challenging = (offer: Offer | undefined): readonly Offer[] =>
  offer?.enabled && !offer.rule?.hidden ? [offer] : []

const asObject = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
