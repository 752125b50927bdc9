import type {
  CacheHint,
  ListPromptsResult,
  ListResourcesResult,
  ListResourceTemplatesResult,
  ListToolsResult,
} from '@modelcontextprotocol/server'
import { showsViews } from '../apps/tool-ui.ts'
import type { Asking, OfferSource } from '../composition/offer-source.ts'
import type { SecurityScheme } from '../in-band-challenge.ts'
import type { Offer } from '../offers.ts'
import type { Registry } from '../registry.ts'
import type { Call } from '../tools/call-context.ts'
import type { Tool } from '../tools/define-tool.ts'
import { pageOf } from './pages.ts'
import { type CallServices, callerFor, isVisible, mayUse, perform } from './perform.ts'

/** How lists are served. */
export interface ListSettings {
  /** How many items one answer holds. Undefined: all. */
  pageSize: number | undefined
  /** How long clients may keep lists. Private as soon as auth is involved (R199). */
  cache: CacheHint | undefined
  /** Says what a tool asks of its caller. Default: nothing is said. */
  securitySchemes?: (tool: Tool) => readonly SecurityScheme[]
}

type Listed = Offer & { readonly listing: object }

/** What an offer is known by in its list. */
function keyOf({ name, listing }: Listed): string {
  const { uri, uriTemplate } = listing as { uri?: string; uriTemplate?: string }
  return uriTemplate ?? uri ?? name
}

const capabilitiesKey = 'io.modelcontextprotocol/clientCapabilities'

/** Tools that only views call are of no use to the model of a client that says it shows none. */
const isFor = ({ era, params }: Call): ((tool: Tool) => boolean) => {
  const says = (params._meta as Record<string, object> | undefined)?.[capabilitiesKey]
  const hasViews = era === 'legacy' || showsViews(says)
  return ({ view }) => hasViews || view?.visibility?.includes('model') !== false
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
    const isPrivate =
      caller !== undefined ||
      [...offers, ...registry.sources().flatMap(({ placeholders }) => placeholders)].some(
        ({ rule }) => rule !== undefined,
      )
    return {
      ttlMs: settings.cache?.ttlMs ?? 0,
      cacheScope: isPrivate ? 'private' : (settings.cache?.cacheScope ?? 'private'),
    }
  }
  /** What sources have for a caller, but for names that the server itself has. */
  const sourced = async <O extends Listed>(
    own: readonly O[],
    { caller }: Call,
    list: (source: OfferSource) => (asking: Asking) => Promise<readonly O[]>,
  ): Promise<readonly O[]> => {
    const sources = registry.sources()
    if (sources.length === 0) return own
    const found = await Promise.all(sources.map(source => list(source)({ caller, services })))
    const all = new Map(own.map(offer => [keyOf(offer), offer]))
    for (const offer of found.flat()) if (!all.has(keyOf(offer))) all.set(keyOf(offer), offer)
    return [...all.values()]
  }
  const answer = async <O extends Listed>(offers: readonly O[], call: Call) => {
    const { items, ...rest } = pageOf(
      await visible(offers, call),
      call.params.cursor,
      settings.pageSize,
      keyOf,
    )
    return { items: items.map(({ listing }) => listing as O['listing']), ...rest, ...hints(offers, call) }
  }

  /** Said twice: some clients read first-class members, others `_meta` only. */
  const protectedListing = <L extends { name: string; _meta?: object | undefined }>(listing: L): L => {
    const tool = registry.tool(listing.name)
    const schemes = tool && settings.securitySchemes?.(tool)
    if (!schemes) return listing
    return { ...listing, securitySchemes: schemes, _meta: { ...listing._meta, securitySchemes: schemes } }
  }

  return {
    async tools(call: Call): Promise<ListToolsResult> {
      const tools = await sourced(registry.tools(), call, source => source.tools)
      const { items, ...rest } = await answer(tools.filter(isFor(call)), call)
      return { tools: settings.securitySchemes ? items.map(protectedListing) : items, ...rest }
    },
    async prompts(call: Call): Promise<ListPromptsResult> {
      const { items: prompts, ...rest } = await answer(
        await sourced(registry.prompts(), call, source => source.prompts),
        call,
      )
      return { prompts, ...rest }
    },
    async templates(call: Call): Promise<ListResourceTemplatesResult> {
      const { items: resourceTemplates, ...rest } = await answer(
        await sourced(registry.templates(), call, source => source.templates),
        call,
      )
      return { resourceTemplates, ...rest }
    },
    /** Resources by their own declaration, then those that templates list. */
    async resources(call: Call): Promise<ListResourcesResult> {
      const fixed = await visible(await sourced(registry.resources(), call, source => source.resources), call)
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
