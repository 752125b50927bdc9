import type { CallServices } from '../calls/perform.ts'
import type { Offer } from '../offers.ts'
import type { Prompt } from '../prompts/define-prompt.ts'
import type { FixedResource, TemplateResource } from '../resources/define-resource.ts'
import type { FoundResource } from '../resources/read-resource.ts'
import type { Caller, ClientCaller } from '../tools/caller.ts'
import type { Tool } from '../tools/define-tool.ts'

/** Who asks for a list. */
export interface Asking {
  readonly caller: Caller | ClientCaller | undefined
  readonly services: CallServices
}

/** Somebody who hears of changes, for as long as their connection to us stays. */
export interface SourceHearer {
  /** Who it is; undefined when they may hear nothing now. */
  asking(): Asking | undefined
  /** Resources they follow. */
  followed(): Iterable<string>
  listsChanged(): void
  resourceUpdated(uri: string): void
}

/** The hearing of one of them. */
export interface SourceHearing {
  /** Looks again who it is, and what they follow. */
  refresh(): void
  close(): void
}

/**
 * Offers that become known while the server runs, and may differ from caller to caller. By its name each of them is
 * found at once, before it is known whether there is one: what it asks of its caller depends on the name alone.
 */
export interface OfferSource {
  /** One for each kind and rule of its offers: what is known of them at start. */
  readonly placeholders: readonly Offer[]
  /** What names of its tools and prompts begin with; '' when they can be any. */
  readonly start: string
  tool(name: string): Tool | undefined
  prompt(name: string): Prompt | undefined
  findResource(uri: string): FoundResource | undefined
  template(uriTemplate: string): TemplateResource | undefined
  /** Whether it could have something of a name or address that fits, now or later. */
  mayHave(kind: Offer['kind'], pattern: string): boolean
  /** Whether it is known by now that none of its tools (or prompts) has a name that fits. */
  lacks(kind: 'tool' | 'prompt', pattern: string): boolean
  /** What there is for a caller. These never throw: what cannot be asked now is left out. */
  tools(asking: Asking): Promise<readonly Tool[]>
  prompts(asking: Asking): Promise<readonly Prompt[]>
  resources(asking: Asking): Promise<readonly FixedResource[]>
  templates(asking: Asking): Promise<readonly TemplateResource[]>
  /**
   * Tells somebody of what changes for them; what changes for everybody is told to everybody elsewhere. Absent: nothing
   * changes for one alone.
   */
  hear?(hearer: SourceHearer): SourceHearing
  /**
   * Makes ready what can be; may be called again.
   *
   * @throws {ConfigurationError} when it can never work
   */
  open(log: CallServices['log']): Promise<void>
  /** Ends what `open` and calls began. */
  close(): Promise<void>
}
