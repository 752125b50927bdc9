import { ConfigurationError } from '@sallyport/oauth'
import { dereference, normalize, upgrade, validate } from '@scalar/openapi-parser'

/** An OpenAPI document with every reference followed; deep in it, objects may meet themselves. */
export type OpenApiDocument = Readonly<Record<string, unknown>>

/**
 * Reads an OpenAPI document: 3.1 and later as it stands, 3.0 and Swagger 2.0 brought to 3.1. Nothing is fetched: a
 * reference to another document is an error.
 *
 * @param source the document, or its JSON or YAML text
 * @throws {ConfigurationError} when it is no valid OpenAPI document
 */
export async function loadDocument(source: string | object): Promise<OpenApiDocument> {
  if (typeof source === 'string' && /^(?:https?:\/\/|\.{0,2}\/)\S*$/.test(source.trim())) {
    throw new ConfigurationError(
      'openApiTools takes the OpenAPI document or its text, not where it is: fetch or read it first.',
    )
  }
  const document = normalize(typeof source === 'string' ? source : structuredClone(source as never))
  const { valid, errors } = await validate(document)
  if (!valid) {
    const [first] = errors ?? []
    const where = first?.path?.length ? ` at ${first.path}` : ''
    const problem = first?.message.replace(/\.+$/, '') ?? 'it is none'
    throw new ConfigurationError(
      `The OpenAPI document is not valid${where}: ${problem}. Correct the document.`,
    )
  }
  const { specification } = upgrade(document)
  const { schema } = dereference(specification ?? document)
  return schema as OpenApiDocument
}
