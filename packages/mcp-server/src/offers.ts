import type { Around } from './composition/around.ts'
import type { AccessRule } from './tools/access-rule.ts'

/** Whatever a server offers under a name: a tool, a resource (or a template of resources) or a prompt. */
export interface Offer {
  readonly kind: 'tool' | 'resource' | 'prompt'
  /** For events and messages; of a resource its URI or template as declared, never a value of a request. */
  readonly name: string
  /** Undefined: public. */
  readonly rule: AccessRule | undefined
  /** While false it is not listed, and not found by its name. */
  enabled: boolean
  /** All middleware around its calls. Undefined: there is none. */
  around?: Around | undefined
}

/** What the developer can do with an offer while the server runs. */
export interface OfferHandle {
  readonly enabled: boolean
  /** Lists it again, and tells clients that listen. */
  enable(): void
  /** Takes it out of lists, refuses calls as if it did not exist, and tells clients that listen. */
  disable(): void
}

/** Whether anybody may use an offer without being signed in. */
export const isOpen = ({ rule }: Pick<Offer, 'rule'>): boolean => rule === undefined || rule.anonymous

/** How a sentence names an offer, such as `Tool "events"`. */
export const offerName = ({ kind, name }: Pick<Offer, 'kind' | 'name'>): string =>
  `${kind[0]?.toUpperCase()}${kind.slice(1)} "${name}"`
