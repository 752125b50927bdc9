import { isObject, type JsonSchema, plainSchema } from './json-schema.ts'
import type { OpenApiDocument } from './load-document.ts'

/** Where an argument of an operation travels. */
export interface OperationParameter {
  readonly name: string
  /** Name of the tool's argument; differs where two parameters share a name. */
  readonly argument: string
  readonly in: 'path' | 'query' | 'header'
  readonly required: boolean
  readonly style: string
  readonly explode: boolean
  readonly description: string | undefined
  readonly schema: JsonSchema
}

export interface OperationBody {
  readonly mediaType: string
  readonly argument: string
  readonly required: boolean
  readonly description: string | undefined
  readonly schema: JsonSchema
}

/** One operation of an API, ready to become a tool. */
export interface Operation {
  readonly name: string
  readonly method: string
  readonly path: string
  readonly title: string | undefined
  readonly description: string
  readonly tags: readonly string[]
  readonly parameters: readonly OperationParameter[]
  readonly body: OperationBody | undefined
  /** Scopes of the first way to be allowed that names any (`security`). */
  readonly scopes: readonly string[]
}

const methods = ['get', 'put', 'post', 'delete', 'patch', 'head', 'options'] as const
const defaultStyles = { path: 'simple', query: 'form', header: 'simple' }
/** OpenAPI 3.1 §4.8.12.1: these belong to other parts of the document. */
const reservedHeaders: readonly string[] = [
  'accept',
  'content-type',
  'authorization',
  // What decides where a request goes, where it ends, or who sends it, is not for a model to say.
  'host',
  'forwarded',
  'cookie',
  'proxy-authorization',
  'connection',
  'content-length',
  'transfer-encoding',
  'upgrade',
]

/** Every operation of a document whose parameters and body a tool can send. */
export function listOperations(document: OpenApiDocument): Operation[] {
  const operations = Object.entries(objectAt(document, 'paths')).flatMap(([path, item]) =>
    methods.flatMap(method => {
      const operation = isObject(item) ? item[method] : undefined
      if (!isObject(operation) || !isObject(item)) return []
      return readOperation(document, path, method, item, operation) ?? []
    }),
  )
  return uniqueNames(operations)
}

function readOperation(
  document: OpenApiDocument,
  path: string,
  method: string,
  item: Readonly<Record<string, unknown>>,
  operation: Readonly<Record<string, unknown>>,
): Operation | undefined {
  const all = [...listAt(item, 'parameters'), ...listAt(operation, 'parameters')].filter(isObject)
  // The operation's own parameter takes the place of the path's (OpenAPI 3.1 §4.8.9.1).
  const declared = [...new Map(all.map(one => [`${one.in} ${one.name}`, one])).values()]
  const sent = declared.filter(isSent)
  // One that must be sent and cannot be: the operation would always fail.
  if (declared.some(one => one.required === true && !isSent(one) && one.in !== 'header')) return undefined
  const body = readBody(operation.requestBody)
  if (body === 'unsupported') return undefined
  const parameters = sent.map(readParameter)
  const taken = new Set<string>()
  const argument = (name: string, place: string) => {
    const free = taken.has(name) ? `${place}_${name}` : name
    taken.add(free)
    return free
  }
  const named = parameters.map(one => ({ ...one, argument: argument(one.name, one.in) }))
  const title = textAt(operation, 'summary')
  return {
    name: toolName(textAt(operation, 'operationId') ?? `${method}_${path}`),
    method: method.toUpperCase(),
    path,
    title,
    description: textAt(operation, 'description') ?? title ?? `${method.toUpperCase()} ${path}`,
    tags: listAt(operation, 'tags').filter(tag => typeof tag === 'string'),
    parameters: named,
    body: body && { ...body, argument: argument('body', 'request') },
    scopes: scopesOf(operation.security ?? document.security),
  }
}

const isSent = (parameter: Readonly<Record<string, unknown>>): boolean =>
  typeof parameter.name === 'string' &&
  (parameter.in === 'path' ||
    parameter.in === 'query' ||
    (parameter.in === 'header' && !reservedHeaders.includes(parameter.name.toLowerCase())))

function readParameter(parameter: Readonly<Record<string, unknown>>): Omit<OperationParameter, 'argument'> {
  const place = parameter.in as OperationParameter['in']
  const style = textAt(parameter, 'style') ?? defaultStyles[place]
  const [content] = Object.entries(objectAt(parameter, 'content'))
  return {
    name: parameter.name as string,
    in: place,
    required: place === 'path' || parameter.required === true,
    // A parameter with `content` is one JSON text (OpenAPI 3.1 §4.8.12.2.2).
    style: content ? 'json' : style,
    explode: typeof parameter.explode === 'boolean' ? parameter.explode : style === 'form',
    description: textAt(parameter, 'description'),
    schema: plainSchema(content ? objectAt(content[1], 'schema') : parameter.schema),
  }
}

function readBody(requestBody: unknown): Omit<OperationBody, 'argument'> | 'unsupported' | undefined {
  if (!isObject(requestBody)) return undefined
  const media = Object.entries(objectAt(requestBody, 'content'))
  const found = [
    /^application\/(?:[\w.+-]+\+)?json\b/i,
    /^application\/x-www-form-urlencoded\b/i,
    /^text\//i,
  ].flatMap(type => media.find(([mediaType]) => type.test(mediaType)) ?? [])
  const [mediaType, content] = found as [string, unknown] | []
  if (mediaType === undefined) return requestBody.required === true ? 'unsupported' : undefined
  return {
    mediaType,
    required: requestBody.required === true,
    description: textAt(requestBody, 'description'),
    schema: plainSchema(objectAt(content, 'schema')),
  }
}

function scopesOf(security: unknown): string[] {
  const ways = Array.isArray(security) ? security.filter(isObject) : []
  const lists = ways.map(way =>
    Object.values(way)
      .flat()
      .filter(scope => typeof scope === 'string'),
  )
  return lists.find(list => list.length > 0) ?? []
}

const toolName = (text: string): string =>
  text
    .replace(/[^A-Za-z0-9-]+/g, '_')
    .replace(/^_+|_+$/g, '')
    .slice(0, 64) || 'operation'

/** Two operations with one name: the later ones get a number, in the order of the document. */
function uniqueNames(operations: readonly Operation[]): Operation[] {
  const taken = new Set<string>()
  return operations.map(operation => {
    let { name } = operation
    for (let n = 2; taken.has(name); n++) name = `${operation.name.slice(0, 60)}_${n}`
    taken.add(name)
    return { ...operation, name }
  })
}

const objectAt = (value: unknown, key: string): Readonly<Record<string, unknown>> => {
  const found = isObject(value) ? value[key] : undefined
  return isObject(found) ? found : {}
}
const listAt = (value: Readonly<Record<string, unknown>>, key: string): readonly unknown[] => {
  const found = value[key]
  return Array.isArray(found) ? found : []
}
const textAt = (value: Readonly<Record<string, unknown>>, key: string): string | undefined => {
  const found = value[key]
  return typeof found === 'string' && found.trim() !== '' ? found : undefined
}
