import { ConfigurationError } from '@sallyport/oauth'
import { viewResource } from './apps/view-resource.ts'
import { composeLayers, concerns, type Layer, type NamedLayer } from './composition/around.ts'
import { mountedOffer } from './composition/mounted-offer.ts'
import { mountedSource } from './composition/mounted-source.ts'
import type { OfferSource } from './composition/offer-source.ts'
import { withoutPrefix } from './composition/prefix.ts'
import type { Offer, OfferHandle } from './offers.ts'
import { offerName } from './offers.ts'
import type { Prompt } from './prompts/define-prompt.ts'
import type { FixedResource, Resource, TemplateResource } from './resources/define-resource.ts'
import type { FoundResource } from './resources/read-resource.ts'
import type { Tool } from './tools/define-tool.ts'

/** Everything one server offers. */
export interface Registry {
  /**
   * @param onChange told after `enable` and `disable`
   * @throws {ConfigurationError} when the name is taken, or the server has started
   */
  add(offer: Tool | Resource | Prompt, onChange: (kind: Offer['kind']) => void): OfferHandle
  /** By name; also while it is disabled. */
  tool(name: string): Tool | undefined
  prompt(name: string): Prompt | undefined
  /** Whatever answers for a URI: the resource of that URI, or the first template it fits. */
  findResource(uri: string): FoundResource | undefined
  /** The source that answers for a URI; undefined when what was added does, or nothing. */
  sourceOf(uri: string): OfferSource | undefined
  /** By the template as it was declared. */
  template(uriTemplate: string): TemplateResource | undefined
  /** All that were added; what sources have comes from them. */
  tools(): readonly Tool[]
  prompts(): readonly Prompt[]
  resources(): readonly FixedResource[]
  templates(): readonly TemplateResource[]
  /** All that were added. */
  own(): readonly (Tool | Resource | Prompt)[]
  /** All of them, with placeholders for what sources have. */
  offers(): readonly Offer[]
  /**
   * Adds offers that become known while the server runs. What was added by name counts before them.
   *
   * @throws {ConfigurationError} when the server has started
   */
  addSource(source: OfferSource): void
  sources(): readonly OfferSource[]
  /**
   * Puts middleware around the calls it fits, inside of what was put there before.
   *
   * @throws {ConfigurationError} when the server has started
   */
  use(layer: Layer): void
  /**
   * All middleware around an offer, of mounted servers theirs too, the outermost first.
   *
   * @param uri of the resource or template, where one offer stands for many
   */
  layersOf(offer: Offer, uri?: string): readonly NamedLayer[]
  /** Names of middleware that nothing has, as far as sources are known by now. */
  unmatchedNames(): readonly string[]
  /**
   * Brings in what another registry has by the time of `prepare`.
   *
   * @throws {ConfigurationError} when the server has started
   */
  mount(prefix: string, other: Registry): void
  /**
   * Brings in what is mounted, and checks what depends on all that was added. Can be repeated.
   *
   * @throws {ConfigurationError} when names clash, or there is nothing that middleware could stand around
   */
  prepare(): void
  /** Nothing can be added from now on: what clients were told at sign-in must stay true. */
  freeze(): void
}

/** Creates an empty registry. */
export function createRegistry(): Registry {
  const tools = new Map<string, Tool>()
  const prompts = new Map<string, Prompt>()
  const resources = new Map<string, FixedResource>()
  const templates = new Map<string, TemplateResource>()
  const layers: Layer[] = []
  const sources: OfferSource[] = []
  const mounts: { prefix: string; other: Registry; copies: Map<object, unknown> }[] = []
  const originals = new WeakMap<Offer, { registry: Registry; offer: Offer; prefix: string }>()
  let frozen = false

  const own = () => [...tools.values(), ...resources.values(), ...templates.values(), ...prompts.values()]
  const offers = () => [...own(), ...sources.flatMap(({ placeholders }) => placeholders)]
  const layersOf = (offer: Offer, uri?: string): readonly NamedLayer[] => {
    const { kind, name } = offer
    const own = layers
      .filter(layer => concerns(layer, offer) || (uri !== undefined && concerns(layer, { kind, name: uri })))
      .map(layer => ({ layer, name }))
    const original = originals.get(offer)
    if (!original) return own
    const { registry, prefix } = original
    return [...own, ...registry.layersOf(original.offer, uri && withoutPrefix(prefix, uri))]
  }
  /** A longer beginning of names comes first: what begins with it is nobody's who has a shorter one, or none. */
  const insert = (source: OfferSource) => {
    sources.push(source)
    sources.sort((a, b) => b.start.length - a.start.length)
  }
  const dressed = new WeakSet<Offer>()
  /** What sources make while the server runs gets its middleware when it is first seen. */
  const dress = <O extends Offer>(offer: O): O => {
    if (!dressed.has(offer)) {
      dressed.add(offer)
      offer.around = composeLayers(layersOf(offer))
    }
    return offer
  }
  /** One offer of a source stands for all its resources: each is dressed by its own address. */
  const dressResource = <O extends Resource>(resource: O, uri: string): O =>
    resource.isSourced ? { ...resource, around: composeLayers(layersOf(resource, uri)) } : dress(resource)
  const fromSources = <O extends Offer>(find: (source: OfferSource) => O | undefined): O | undefined => {
    for (const source of sources) {
      const found = find(source)
      if (found) return dress(found)
    }
    return undefined
  }
  const findOwn = (uri: string): FoundResource | 'disabled' | undefined => {
    const resource = resources.get(uri) ?? (URL.canParse(uri) ? resources.get(new URL(uri).href) : undefined)
    if (resource?.enabled) return { resource, variables: {} }
    for (const template of templates.values()) {
      const variables = template.enabled ? template.template.match(uri) : undefined
      if (variables) return { resource: template, variables }
    }
    return resource && 'disabled'
  }
  const homeOf = (offer: Tool | Resource | Prompt): Map<string, Offer> => {
    if (offer.kind === 'tool') return tools as Map<string, Offer>
    if (offer.kind === 'prompt') return prompts as Map<string, Offer>
    return (offer.template ? templates : resources) as unknown as Map<string, Offer>
  }

  return {
    add(offer, onChange) {
      const home = homeOf(offer)
      if (frozen) {
        throw new ConfigurationError(`${offerName(offer)} comes too late: add ${offer.kind}s before start().`)
      }
      if (home.has(offer.name)) {
        throw new ConfigurationError(`There are two ${offer.kind}s named "${offer.name}": rename one.`)
      }
      const view = offer.kind === 'tool' ? viewResource(offer) : undefined
      if (view && homeOf(view).has(view.name)) {
        throw new ConfigurationError(
          `${offerName(view)} is there twice: let one tool have its html, and the others its uri.`,
        )
      }
      home.set(offer.name, offer)
      if (view) homeOf(view).set(view.name, view)
      const turn = (enabled: boolean) => {
        if (offer.enabled === enabled) return
        offer.enabled = enabled
        onChange(offer.kind)
      }
      return {
        get enabled() {
          return offer.enabled
        },
        enable: () => turn(true),
        disable: () => turn(false),
      }
    },
    tool: name => tools.get(name) ?? fromSources(source => source.tool(name)),
    prompt: name => prompts.get(name) ?? fromSources(source => source.prompt(name)),
    findResource(uri) {
      const own = findOwn(uri)
      // What is turned off stays so, whatever a remote server has under its address.
      if (own) return own === 'disabled' ? undefined : own
      for (const source of sources) {
        const found = source.findResource(uri)
        if (found) return { ...found, resource: dressResource(found.resource, uri) }
      }
      return undefined
    },
    sourceOf: uri =>
      findOwn(uri) ? undefined : sources.find(source => source.findResource(uri) !== undefined),
    template(uriTemplate) {
      const own = templates.get(uriTemplate)
      if (own) return own
      for (const source of sources) {
        const found = source.template(uriTemplate)
        if (found) return dressResource(found, uriTemplate)
      }
      return undefined
    },
    tools: () => [...tools.values()],
    prompts: () => [...prompts.values()],
    resources: () => [...resources.values()],
    templates: () => [...templates.values()],
    own,
    offers,
    addSource(source) {
      if (frozen) throw new ConfigurationError('server.proxy comes too late: use it before start().')
      insert(source)
    },
    sources: () => sources,
    use(layer) {
      if (frozen) throw new ConfigurationError('server.use comes too late: use it before start().')
      layers.push(layer)
    },
    layersOf,
    unmatchedNames: () =>
      layers.flatMap(layer =>
        (layer.names ?? []).filter(name => {
          const one = { ...layer, names: [name] }
          if (own().some(offer => concerns(one, offer))) return false
          return sources.every(source => isLacking(source, one, name))
        }),
      ),
    mount(prefix, other) {
      if (frozen) throw new ConfigurationError('server.mount comes too late: mount before start().')
      mounts.push({ prefix, other, copies: new Map() })
    },
    prepare() {
      for (const { prefix, other, copies } of mounts) {
        other.prepare()
        for (const offer of other.own()) {
          if (copies.has(offer)) continue
          const copy = mountedOffer(offer, prefix, uri => other.findResource(uri) !== undefined)
          const home = homeOf(copy)
          if (home.has(copy.name)) {
            throw new ConfigurationError(
              `There are two ${copy.kind}s named "${copy.name}", one of them of the server mounted at "${prefix}": choose another prefix.`,
            )
          }
          home.set(copy.name, copy)
          copies.set(offer, copy)
          originals.set(copy, { registry: other, offer, prefix })
        }
        for (const source of other.sources()) {
          if (copies.has(source)) continue
          copies.set(source, undefined)
          insert(
            mountedSource(source, prefix, (copy, offer) =>
              originals.set(copy, { registry: other, offer, prefix }),
            ),
          )
        }
      }
      for (const layer of layers) assertConcerns(layer, offers(), sources)
    },
    freeze() {
      frozen = true
      for (const { other } of mounts) other.freeze()
      for (const offer of own()) offer.around = composeLayers(layersOf(offer))
    },
  }
}

/**
 * A name that fits nothing is a mistake that would leave something without its guard.
 *
 * @throws {ConfigurationError}
 */
function assertConcerns(layer: Layer, offers: readonly Offer[], sources: readonly OfferSource[]): void {
  const { names, kinds } = layer
  for (const name of names ?? []) {
    const one = { ...layer, names: [name] }
    if (offers.some(offer => concerns(one, offer))) continue
    // What sources have is known later; what they cannot have is known now.
    if (sources.some(source => mayHave(source, one, name))) continue
    const what = kinds ? kinds.join(' or ') : 'tool, resource or prompt'
    const starts = sources.flatMap(({ start }) => (start === '' ? [] : `"${start}"`))
    const hint =
      starts.length > 0 ? ` Names of what is behind server.proxy begin with ${starts.join(' or ')}.` : ''
    throw new ConfigurationError(
      `server.use names "${name}", and there is no ${what} of that name: mend it.${hint}`,
    )
  }
}

/** Kinds of offers that middleware of a source could be meant for. */
const kindsOf = (source: OfferSource, layer: Layer): Set<Offer['kind']> =>
  new Set(
    source.placeholders
      .map(({ kind }) => kind)
      .filter(kind => concerns({ ...layer, names: undefined }, { kind, name: '' })),
  )

/** Whether a source could have something of a name as clients see it, or one that fits a pattern. */
const mayHave = (source: OfferSource, layer: Layer, name: string): boolean =>
  [...kindsOf(source, layer)].some(
    // What names no kind and has no scheme is meant for names.
    kind => (kind !== 'resource' || layer.kinds || /^\*|:/.test(name)) && source.mayHave(kind, name),
  )

/** Whether a source is known to have nothing by a name. */
function isLacking(source: OfferSource, layer: Layer, name: string): boolean {
  const kinds = kindsOf(source, layer)
  // Templates make room for addresses that no list has.
  if (kinds.has('resource') && source.mayHave('resource', name)) return false
  return (['tool', 'prompt'] as const).every(
    kind => !kinds.has(kind) || !source.mayHave(kind, name) || source.lacks(kind, name),
  )
}
