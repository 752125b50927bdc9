import type { Prompt, Resource, Tool } from '@modelcontextprotocol/client'
import { clean } from './clean.ts'

/** Characters of one schema, as JSON. */
const maxSchema = 65_536
const maxDescription = 8_192
const maxTitle = 256

/** A tool as our clients see it; undefined when a schema of it is too large. */
export function toolListing(name: string, tool: Tool): Tool | undefined {
  const inputSchema = plainSchema(tool.inputSchema)
  const outputSchema = tool.outputSchema && plainSchema(tool.outputSchema)
  if (!inputSchema || (tool.outputSchema && !outputSchema)) return undefined
  const { title, annotations = {} } = tool
  const { title: annotatedTitle, ...hints } = annotations
  return {
    name,
    ...wordsOf({ title, description: tool.description || title || tool.name }),
    inputSchema: inputSchema as Tool['inputSchema'],
    ...(outputSchema && { outputSchema: outputSchema as NonNullable<Tool['outputSchema']> }),
    ...(tool.annotations && {
      annotations: {
        ...(annotatedTitle !== undefined && { title: clean(annotatedTitle, maxTitle) }),
        ...Object.fromEntries(
          hintNames.flatMap(hint => (typeof hints[hint] === 'boolean' ? [[hint, hints[hint]]] : [])),
        ),
      },
    }),
  }
}

const hintNames = ['readOnlyHint', 'destructiveHint', 'idempotentHint', 'openWorldHint'] as const

/** A prompt as our clients see it. */
export function promptListing(name: string, { title, description, arguments: args }: Prompt): Prompt {
  return {
    name,
    ...wordsOf({ title, description }),
    ...(args && {
      arguments: args.slice(0, 100).map(({ name, description, required }) => ({
        name: clean(name, maxTitle),
        ...wordsOf({ description }),
        ...(required !== undefined && { required }),
      })),
    }),
  }
}

/** What resources and templates are shown with. */
export function shownOf({
  name,
  title,
  description,
  mimeType,
}: Omit<Resource, 'uri'> & { mimeType?: string | undefined }) {
  return {
    name: clean(name, maxTitle),
    ...wordsOf({ title, description }),
    ...(mimeType !== undefined && { mimeType: clean(mimeType, maxTitle) }),
  }
}

/** How large a resource says it is. */
export const sizeOf = ({ size }: Resource) => (typeof size === 'number' ? { size } : {})

const wordsOf = ({
  title,
  description,
}: {
  title?: string | undefined
  description?: string | undefined
}) => ({
  ...(title !== undefined && { title: clean(title, maxTitle) }),
  ...(description !== undefined && { description: clean(description, maxDescription) }),
})

/** A schema as JSON; headers that the remote server wants repeated are its own affair. */
function plainSchema(schema: unknown): object | undefined {
  const text = JSON.stringify(schema, (key, value) => (key === 'x-mcp-header' ? undefined : value))
  return text.length > maxSchema ? undefined : JSON.parse(text)
}
