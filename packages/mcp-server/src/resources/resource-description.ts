import type {
  Annotations,
  CacheHint,
  Icon,
  InputRequiredResult,
  ReadResourceResult,
} from '@modelcontextprotocol/server'
import type { Completer } from '../completers.ts'
import type { VariablesOf } from './resource-template.ts'

/**
 * What a handler may return: a text, bytes, a whole `ReadResourceResult`, or any value JSON can hold. Nothing: there
 * is no such resource.
 */
export type ResourceResult = unknown | Uint8Array | ReadResourceResult | InputRequiredResult

/** One resource of a template, as `resources/list` shows it. */
export interface ListedResource {
  readonly uri: string
  readonly name: string
  readonly title?: string
  readonly description?: string
  readonly mimeType?: string
  /** In bytes. */
  readonly size?: number
  readonly annotations?: Annotations
  readonly icons?: Icon[]
  readonly _meta?: Record<string, unknown>
}

/** What a resource says about itself, apart from its handler and its protection. */
export interface ResourceDescription {
  /** Default: the URI or template. */
  readonly name?: string
  /** Name for people. Default: the name. */
  readonly title?: string
  readonly description?: string
  /** Default: `text/plain` for a text, `application/octet-stream` for bytes, `application/json` for the rest. */
  readonly mimeType?: string
  /** In bytes. */
  readonly size?: number
  readonly annotations?: Annotations
  readonly icons?: readonly Icon[]
  readonly _meta?: Readonly<Record<string, unknown>>
  /**
   * How long clients may keep what they read, in milliseconds, and whether one client's copy may serve another.
   * Default: not at all, and private. A resource with `auth` is always private.
   */
  readonly cache?: CacheHint
}

/** What only a template has. */
export interface TemplateDescription<Uri extends string, Context> {
  /** The resources there are, for `resources/list`. Default: none is listed. */
  readonly list?: (context: Context) => readonly ListedResource[] | Promise<readonly ListedResource[]>
  /** Values for the variables while a user types. */
  readonly complete?: { readonly [Variable in keyof VariablesOf<Uri>]?: Completer<Context> }
}
