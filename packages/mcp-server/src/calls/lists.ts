import type {
  CacheHint,
  ListPromptsResult,
  ListResourcesResult,
  ListResourceTemplatesResult,
  ListToolsResult,
} from '@modelcontextprotocol/server'
import type { Offer } from '../offers.ts'
import type { Registry } from '../registry.ts'
import type { Call } from '../tools/call-context.ts'
import { pageOf } from './pages.ts'
import { type CallServices, callerFor, isVisible, mayUse, perform } from './perform.ts'

/** How lists are served. */
export interface ListSettings {
  /** How many items one answer holds. Undefined: all. */
  pageSize: number | undefined
  /** How long clients may keep lists. Private as soon as auth is involved (R199). */
  cache: CacheHint | undefined
}

/** Answers the four lists. */
export function createLists(registry: Registry, services: CallServices, settings: ListSettings) {
  const visible = async <O extends Offer>(offers: readonly O[], { caller }: Call): Promise<O[]> => {
    const seen = await Promise.all(offers.map(offer => isVisible(offer, caller, services.hasScopes)))
    return offers.filter((_, index) => seen[index])
  }
  /** Cache fields exist since 2026-07-28 only. */
  const hints = (offers: readonly Offer[], { caller, era }: Call): CacheHint => {
    if (era === 'legacy') return {}
    const isPrivate = caller !== undefined || offers.some(({ rule }) => rule !== undefined)
    return {
      ttlMs: settings.cache?.ttlMs ?? 0,
      cacheScope: isPrivate ? 'private' : (settings.cache?.cacheScope ?? 'private'),
    }
  }
  const answer = async <O extends Offer & { listing: unknown }>(offers: readonly O[], call: Call) => {
    const { items, ...rest } = pageOf(
      await visible(offers, call),
      call.params.cursor,
      settings.pageSize,
      ({ name }) => name,
    )
    return { items: items.map(({ listing }) => listing as O['listing']), ...rest, ...hints(offers, call) }
  }

  return {
    async tools(call: Call): Promise<ListToolsResult> {
      const { items: tools, ...rest } = await answer(registry.tools(), call)
      return { tools, ...rest }
    },
    async prompts(call: Call): Promise<ListPromptsResult> {
      const { items: prompts, ...rest } = await answer(registry.prompts(), call)
      return { prompts, ...rest }
    },
    async templates(call: Call): Promise<ListResourceTemplatesResult> {
      const { items: resourceTemplates, ...rest } = await answer(registry.templates(), call)
      return { resourceTemplates, ...rest }
    },
    /** Resources by their own declaration, then those that templates list. */
    async resources(call: Call): Promise<ListResourcesResult> {
      const fixed = await visible(registry.resources(), call)
      const templates = await visible(registry.templates(), call)
      const found = new Map<string, ListResourcesResult['resources'][number]>(
        fixed.map(({ listing }) => [listing.uri, listing]),
      )
      for (const template of templates) {
        const { list, rule, mimeType } = template
        // Only who may read them learns which there are: their names can be anything.
        if (!list || !mayUse(rule, callerFor(rule, call.caller), services.hasScopes)) continue
        const outcome = await perform(template, { call, input: undefined }, services, context =>
          list(context),
        )
        for (const resource of outcome.failure === undefined ? outcome.value : []) {
          if (!found.has(resource.uri))
            found.set(resource.uri, { ...(mimeType && { mimeType }), ...resource })
        }
      }
      const { items: resources, ...rest } = pageOf(
        [...found.values()],
        call.params.cursor,
        settings.pageSize,
        ({ uri }) => uri,
      )
      const offers = [...registry.resources(), ...registry.templates()]
      return { resources: [...resources], ...rest, ...hints(offers, call) }
    },
  }
}

/** The four lists. */
export type Lists = ReturnType<typeof createLists>
