import type {
  CacheHint,
  Resource as ResourceListing,
  ResourceTemplateType,
} from '@modelcontextprotocol/server'
import { ConfigurationError } from '@sallyport/oauth'
import { type Completers, completersOf } from '../completers.ts'
import { checkKeys } from '../known-keys.ts'
import { type Offer, offerName } from '../offers.ts'
import type { AccessRule, AnyAuth } from '../tools/access-rule.ts'
import type { AnyCallContext } from '../tools/call-context.ts'
import { ruleOf } from '../tools/offer-rule.ts'
import type { ListedResource, ResourceDescription, TemplateDescription } from './resource-description.ts'
import { compileTemplate, isTemplate, type ResourceTemplateMatcher } from './resource-template.ts'

type Lister = (context: AnyCallContext) => readonly ListedResource[] | Promise<readonly ListedResource[]>

/** What a resource and a template have in common. */
interface ReadableOffer extends Offer {
  readonly kind: 'resource'
  readonly mimeType: string | undefined
  readonly cache: CacheHint | undefined
  /** One of a source: its name is no URI. */
  readonly isSourced?: true
  readonly run: (input: unknown, context: AnyCallContext) => unknown
}

/** One resource, checked and ready to be read. `name` is its URI. */
export interface FixedResource extends ReadableOffer {
  /** What `resources/list` says of it. */
  readonly listing: ResourceListing
  readonly template?: never
}

/** Resources of one template, checked and ready to be read. `name` is the template. */
export interface TemplateResource extends ReadableOffer {
  /** What `resources/templates/list` says of it. */
  readonly listing: ResourceTemplateType
  readonly template: ResourceTemplateMatcher
  readonly list: Lister | undefined
  readonly complete: Completers
}

/** Either. */
export type Resource = FixedResource | TemplateResource

/** A resource as it is declared. */
export type AnyResourceDefinition = ResourceDescription & {
  readonly auth?: AnyAuth | undefined
  readonly list?: unknown
  readonly complete?: Readonly<Record<string, unknown>> | undefined
  readonly run: unknown
}

const resourceKeys: Readonly<
  Record<keyof ResourceDescription | keyof TemplateDescription<string, unknown> | 'auth' | 'run', true>
> = {
  name: true,
  title: true,
  description: true,
  mimeType: true,
  size: true,
  auth: true,
  list: true,
  complete: true,
  run: true,
  annotations: true,
  icons: true,
  cache: true,
  _meta: true,
}

/**
 * Checks a resource's definition.
 *
 * @param uri of one resource, or a template of URIs (RFC 6570)
 * @param declared what decorators add to `auth`
 * @throws {ConfigurationError} when URI, cache hint, completion, `auth` or handler cannot work, or a key is unknown
 */
export function defineResource(
  uri: string,
  definition: AnyResourceDefinition,
  declared?: AccessRule,
): Resource {
  const where = `resource "${uri}"`
  if (typeof uri !== 'string' || !/^[a-z][a-z0-9+.-]*:./i.test(uri)) {
    throw new ConfigurationError(`The URI of ${where} must have a scheme, such as notes://all.`)
  }
  checkKeys(definition, resourceKeys, offerName({ kind: 'resource', name: uri }))
  const { auth, run, list, complete, cache, name = uri, icons, _meta, size, ...shown } = definition
  const rule = ruleOf(where, auth, run, declared)
  checkCache(cache, rule, where)
  const common = {
    kind: 'resource',
    name: uri,
    mimeType: shown.mimeType,
    cache,
    rule,
    run: run as Resource['run'],
    enabled: true,
  } as const
  const metadata = {
    name,
    ...Object.fromEntries(
      (['title', 'description', 'mimeType', 'annotations'] as const).flatMap(key =>
        shown[key] === undefined ? [] : [[key, shown[key]]],
      ),
    ),
    ...(icons && { icons: [...icons] }),
    ...(_meta && { _meta: { ..._meta } }),
  }
  if (!isTemplate(uri)) {
    if (list !== undefined || complete !== undefined) {
      throw new ConfigurationError(`list and complete are for templates, and ${where} is a single resource.`)
    }
    if (!URL.canParse(uri)) throw new ConfigurationError(`The URI of ${where} is not a URI.`)
    return { ...common, listing: { uri, ...metadata, ...(size !== undefined && { size }) } }
  }
  if (list !== undefined && typeof list !== 'function') {
    throw new ConfigurationError(`The list of ${where} must be a function that returns resources.`)
  }
  const template = compileTemplate(uri)
  return {
    ...common,
    template,
    listing: { uriTemplate: uri, ...metadata },
    list: list as Lister | undefined,
    complete: completersOf(complete ?? {}, template.variableNames, where),
  }
}

/** @throws {ConfigurationError} when the hint is none, or would let one user's copy serve another (R199) */
function checkCache(cache: CacheHint | undefined, rule: AccessRule | undefined, where: string): void {
  if (cache === undefined) return
  const { ttlMs = 0, cacheScope = 'private' } = cache
  if (!Number.isSafeInteger(ttlMs) || ttlMs < 0) {
    throw new ConfigurationError(`cache.ttlMs of ${where} must be a whole number of milliseconds.`)
  }
  if (cacheScope !== 'private' && cacheScope !== 'public') {
    throw new ConfigurationError(`cache.cacheScope of ${where} must be "public" or "private".`)
  }
  if (cacheScope === 'public' && rule) {
    throw new ConfigurationError(`cache.cacheScope of ${where} cannot be "public", because it has auth.`)
  }
}
