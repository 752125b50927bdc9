import {
  fromJsonSchema,
  type StandardSchemaWithJSON,
  type ToolAnnotations,
} from '@modelcontextprotocol/server'
import { ConfigurationError } from '@sallyport/oauth'
import { checkKeys } from '../known-keys.ts'
import type { Auth } from '../tools/access-rule.ts'
import type { AnyCallContext } from '../tools/call-context.ts'
import type { JsonSchema } from './json-schema.ts'
import { loadDocument, type OpenApiDocument } from './load-document.ts'
import { type Arguments, operationRequest } from './operation-request.ts'
import { operationResult } from './operation-result.ts'
import { listOperations, type Operation } from './operations.ts'

/** How operations of an API become tools. */
export interface OpenApiOptions<
  ProviderId extends string = never,
  A extends Auth<never> | undefined = undefined,
> {
  /** What the paths are below. Default: the first of the document's servers, which must be an absolute URL. */
  baseUrl?: string
  /**
   * Provider whose token of the caller goes with each request, such as `google`. Each tool then asks for the provider
   * scopes its operation names in `security`. Its API origins decide where the token goes. Default: none.
   */
  provider?: ProviderId
  /** What else every tool asks of its caller. Default: nothing, so without `provider` the tools are public. */
  auth?: A
  /** Which operations become tools. Default: all that a tool can send. */
  include?: (operation: Pick<Operation, 'name' | 'method' | 'path' | 'tags'>) => boolean
  /** Put in front of each name. Default: nothing. */
  prefix?: string
}

const optionKeys: Readonly<Record<keyof OpenApiOptions, true>> = {
  baseUrl: true,
  provider: true,
  auth: true,
  include: true,
  prefix: true,
}

/** Tools by name, for `server.tool(name, tool)`. */
export type OpenApiTools<ProviderId extends string = never, A = undefined> = Readonly<
  Record<
    string,
    {
      readonly title?: string
      readonly description: string
      readonly input: StandardSchemaWithJSON
      readonly annotations: ToolAnnotations
      readonly auth: AuthOf<ProviderId, A>
      readonly run: (input: unknown, context: Pick<AnyCallContext, 'fetch'>) => Promise<unknown>
    }
  >
>

type AuthOf<ProviderId extends string, A> = [ProviderId] extends [never] ? A : Auth<ProviderId>

/**
 * Makes tools of the operations of an OpenAPI document (3.1, 3.0 or Swagger 2.0). Nothing is generated and nothing
 * fetched but the calls themselves. Operations whose body is neither JSON, a form nor text are left out.
 *
 * @param document the document, or its JSON or YAML text
 * @throws {ConfigurationError} when the document is not valid, an option is unknown, or there is no base URL
 */
export async function openApiTools<
  const ProviderId extends string = never,
  A extends Auth<never> | undefined = undefined,
>(
  document: string | object,
  options: OpenApiOptions<ProviderId, A> = {},
): Promise<OpenApiTools<ProviderId, A>> {
  checkKeys(options, optionKeys, 'openApiTools')
  const loaded = await loadDocument(document)
  const baseUrl = options.baseUrl ?? firstServer(loaded)
  if (baseUrl === undefined || !/^https?:$/.test(URL.parse(baseUrl)?.protocol ?? '')) {
    throw new ConfigurationError(
      'The OpenAPI document has no absolute server URL: give openApiTools the option baseUrl.',
    )
  }
  const operations = listOperations(loaded).filter(operation => options.include?.(operation) ?? true)
  return Object.fromEntries(
    operations.map(operation => [
      `${options.prefix ?? ''}${operation.name}`,
      toTool(operation, baseUrl, options),
    ]),
  )
}

function toTool<ProviderId extends string, A extends Auth<never> | undefined>(
  operation: Operation,
  baseUrl: string,
  { auth, provider }: OpenApiOptions<ProviderId, A>,
): OpenApiTools<ProviderId, A>[string] {
  const needs = provider === undefined ? auth : { ...auth, [provider]: operation.scopes }
  return {
    ...(operation.title !== undefined && { title: operation.title }),
    description: operation.description,
    input: fromJsonSchema(inputSchema(operation)),
    annotations: annotationsOf(operation.method),
    auth: needs as AuthOf<ProviderId, A>,
    async run(input, { fetch }) {
      const { url, init } = operationRequest(operation, input as Arguments, baseUrl)
      return operationResult(await fetch(url, init))
    },
  }
}

function inputSchema({ parameters, body }: Operation): JsonSchema {
  const all = [...parameters, ...(body ? [body] : [])]
  return {
    type: 'object',
    properties: Object.fromEntries(
      all.map(({ argument, schema, description }) => [
        argument,
        { ...schema, ...(description !== undefined && { description }) },
      ]),
    ),
    required: all.flatMap(({ argument, required }) => (required ? [argument] : [])),
    additionalProperties: false,
  }
}

/** What the methods promise (RFC 9110 §9.2). */
function annotationsOf(method: string): ToolAnnotations {
  const isSafe = ['GET', 'HEAD', 'OPTIONS'].includes(method)
  return {
    readOnlyHint: isSafe,
    openWorldHint: true,
    ...(!isSafe && {
      destructiveHint: method !== 'POST',
      idempotentHint: ['PUT', 'DELETE'].includes(method),
    }),
  }
}

function firstServer({ servers }: OpenApiDocument): string | undefined {
  const [first] = Array.isArray(servers) ? servers : []
  return typeof first?.url === 'string' ? first.url : undefined
}
