import {
  fromJsonSchema,
  type JsonSchemaType,
  type StandardSchemaV1,
  type StandardSchemaWithJSON,
} from '@modelcontextprotocol/server'
import { ConfigurationError } from '@sallyport/oauth'

/** A plain JSON Schema (2020-12), such as one that came with a remote API. Values keep their JSON types. */
export interface JsonSchema {
  readonly '~standard'?: never
  readonly [keyword: string]: unknown
}

/**
 * A schema that clients can be shown: a Standard Schema that knows its JSON Schema (zod 4, ArkType, Valibot with its
 * converter, any other through `withJsonSchema`), or a plain JSON Schema.
 */
export type Schema = StandardSchemaWithJSON | JsonSchema

/** What a handler gets for an `input`. */
export type InputOf<S> = S extends StandardSchemaWithJSON
  ? StandardSchemaWithJSON.InferOutput<S>
  : S extends JsonSchema
    ? Readonly<Record<string, unknown>>
    : Readonly<Record<string, never>>

/** A value that passed its schema, or what is wrong with it, in words for whoever sent it. */
export type Parsed = { readonly value: unknown; readonly problem?: never } | { readonly problem: string }

/** A schema made ready once, so that calls have only to run it. */
export interface CompiledSchema {
  /** What clients see. */
  readonly json: Readonly<Record<string, unknown>>
  /** Without a promise wherever the schema needs none. */
  parse(value: unknown): Parsed | Promise<Parsed>
}

/**
 * A schema that every library writes the same way, with the JSON Schema its library cannot make.
 *
 * @param jsonSchema of any type that a library gives it
 */
export function withJsonSchema<Input, Output>(
  schema: StandardSchemaV1<Input, Output>,
  jsonSchema: object,
): StandardSchemaWithJSON<Input, Output> {
  const shown = () => ({ ...jsonSchema })
  return { '~standard': { ...schema['~standard'], jsonSchema: { input: shown, output: shown } } }
}

const target = 'draft-2020-12'

/**
 * Makes a schema ready.
 *
 * @param side `input`: what callers send, always an object; `output`: what they get
 * @param where what declares it, for the message, such as `tool "events"`
 * @throws {ConfigurationError} when it is no schema, cannot be shown as JSON Schema, or does not compile
 */
export function compileSchema(schema: unknown, side: 'input' | 'output', where: string): CompiledSchema {
  const standard = asStandardSchema(schema, side, where)['~standard']
  let json: Record<string, unknown>
  try {
    json = { ...standard.jsonSchema[side]({ target }) }
  } catch (cause) {
    throw new ConfigurationError(
      `The ${side} of ${where} cannot be shown as JSON Schema: use types that JSON has.`,
      { cause },
    )
  }
  if (side === 'input' && (json.type ?? 'object') !== 'object') {
    throw new ConfigurationError(`The input of ${where} must describe an object, such as z.object({ … }).`)
  }
  if (json.type === undefined && (side === 'input' || describesObjects(json)))
    json = { type: 'object', ...json }
  const judge = (result: StandardSchemaV1.Result<unknown>): Parsed =>
    result.issues ? { problem: result.issues.map(describeIssue).join(', ') } : { value: result.value }
  return {
    json,
    parse(value) {
      const result = standard.validate(value)
      return result instanceof Promise ? result.then(judge) : judge(result)
    },
  }
}

function asStandardSchema(schema: unknown, side: string, where: string): StandardSchemaWithJSON {
  if ((typeof schema === 'object' || typeof schema === 'function') && schema !== null) {
    const standard = (schema as Partial<StandardSchemaWithJSON>)['~standard']
    if (
      typeof standard?.validate === 'function' &&
      typeof standard.jsonSchema?.[side as 'input'] === 'function'
    )
      return schema as StandardSchemaWithJSON
    if (standard !== undefined) {
      throw new ConfigurationError(
        `The ${side} of ${where} cannot be shown as JSON Schema by its library: give one with withJsonSchema(schema, jsonSchema).`,
      )
    }
    if (!Array.isArray(schema) && typeof schema === 'object' && isJsonSchema(schema)) {
      try {
        return fromJsonSchema(schema as JsonSchemaType)
      } catch (cause) {
        throw new ConfigurationError(`The ${side} of ${where} is not a valid JSON Schema.`, { cause })
      }
    }
  }
  throw new ConfigurationError(
    `The ${side} of ${where} must be a schema, such as z.object({ … }) of zod 4, or a JSON Schema.`,
  )
}

const keywords = ['$schema', '$ref', 'type', 'properties', 'oneOf', 'anyOf', 'allOf', 'enum', 'const']

/** An object with none of the words of JSON Schema is a mistake, such as the fields without z.object around them. */
const isJsonSchema = (schema: object): boolean =>
  keywords.some(keyword => Object.hasOwn(schema, keyword)) && !Object.values(schema).some(isFieldSchema)

const isFieldSchema = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && '~standard' in value

/** Unions of objects have no type of their own; clients of the 2025 revisions want one. */
function describesObjects(json: Record<string, unknown>): boolean {
  if ('properties' in json) return true
  return ['oneOf', 'anyOf', 'allOf'].some(key => {
    const members = json[key]
    return (
      Array.isArray(members) &&
      members.length > 0 &&
      members.every(member => member?.type === 'object' || describesObjects(Object(member)))
    )
  })
}

function describeIssue({ message, path }: StandardSchemaV1.Issue): string {
  const keys = (path ?? []).map(key => String(typeof key === 'object' ? key.key : key))
  return keys.length === 0 ? message : `${keys.join('.')}: ${message}`
}
