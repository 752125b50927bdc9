import { UriTemplate } from '@modelcontextprotocol/server'
import { ConfigurationError } from '@sallyport/oauth'
import { compileUriPattern } from './uri-pattern.ts'

/** Names in `{…}` of a URI template (RFC 6570) → what a handler gets for them. */
export type VariablesOf<Uri extends string> = string extends Uri
  ? Readonly<Record<string, string | string[]>>
  : { readonly [Variable in VariableOf<Uri>]: Variable extends `${string}*` ? never : string } & {
      readonly [Variable in ExplodedOf<Uri>]: string | string[]
    }

type Expressions<Uri extends string> = Uri extends `${string}{${infer Expression}}${infer Rest}`
  ? Expression | Expressions<Rest>
  : never

type WithoutOperator<Expression extends string> =
  Expression extends `${'+' | '#' | '.' | '/' | ';' | '?' | '&'}${infer Names}` ? Names : Expression

type Split<Names extends string> = Names extends `${infer Name},${infer Rest}` ? Name | Split<Rest> : Names

type VariableNames<Uri extends string> = Split<WithoutOperator<Expressions<Uri>>>

type VariableOf<Uri extends string> = Exclude<VariableNames<Uri>, `${string}*`>

type ExplodedOf<Uri extends string> =
  VariableNames<Uri> extends infer Name ? (Name extends `${infer Plain}*` ? Plain : never) : never

/** A URI template made ready once. */
export interface ResourceTemplateMatcher {
  readonly variableNames: readonly string[]
  /** The variables of a URI that fits, decoded; undefined when it does not fit. */
  match(uri: string): Record<string, string | string[]> | undefined
}

/** Longer URIs fit no template, in characters: nobody could ask for one over HTTP. */
const maxUriLength = 16_384

/** Whether a URI has variables. */
export const isTemplate = (uri: string): boolean => /[{}]/.test(uri)

/**
 * Makes a template ready.
 *
 * @throws {ConfigurationError} when it is no URI template (RFC 6570)
 */
export function compileTemplate(template: string): ResourceTemplateMatcher {
  let compiled: UriTemplate
  let pattern: ReturnType<typeof compileUriPattern>
  try {
    compiled = new UriTemplate(template)
    pattern = compileUriPattern(template)
  } catch (cause) {
    throw new ConfigurationError(`Resource "${template}" is not a URI template of RFC 6570.`, { cause })
  }
  const spansSegments = new Set(
    [...template.matchAll(/\{[+#/]([^}]*)\}/g)].flatMap(([, names = '']) =>
      names.split(',').map(name => name.replace(/\*$/, '').trim()),
    ),
  )
  const decode = (value: string, name: string): string | undefined => {
    try {
      const decoded = decodeURIComponent(value)
      // What is one segment as written must not become a path by decoding: `%2e%2e%2f` would leave its folder.
      const segments = decoded.split(/[/\\]/)
      if (segments.length > 1 && !spansSegments.has(name)) return undefined
      return segments.includes('..') || segments.includes('.') || /[\x00-\x1f\x7f]/.test(decoded)
        ? undefined
        : decoded
    } catch {
      return undefined
    }
  }
  return {
    variableNames: compiled.variableNames,
    match(uri) {
      const read = uri.length <= maxUriLength ? pattern(uri) : undefined
      if (!read) return undefined
      const variables: [string, string | string[]][] = []
      for (const [name, value] of read) {
        const decoded = [value].flat().map(each => decode(each, name))
        if (!decoded.every(each => each !== undefined)) return undefined
        variables.push([name, Array.isArray(value) ? decoded : decoded[0]!])
      }
      return Object.fromEntries(variables)
    },
  }
}
