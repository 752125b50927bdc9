type Translate = (uri: string) => string

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const withUri = (value: Record<string, unknown>, translate: Translate): Record<string, unknown> =>
  typeof value.uri === 'string' ? { ...value, uri: translate(value.uri) } : value

/** Links and embedded resources point to what they mean; all other content is as it was. */
function translateBlock(block: unknown, translate: Translate): unknown {
  if (!isRecord(block)) return block
  if (block.type === 'resource_link') return withUri(block, translate)
  return block.type === 'resource' && isRecord(block.resource)
    ? { ...block, resource: withUri(block.resource, translate) }
    : block
}

function translateTurn(turn: unknown, translate: Translate): unknown {
  return isRecord(turn) && 'role' in turn
    ? { ...turn, content: translateBlock(turn.content, translate) }
    : translateBlock(turn, translate)
}

const each = (value: unknown, translate: Translate, one: typeof translateBlock): unknown =>
  Array.isArray(value) ? value.map(item => one(item, translate)) : one(value, translate)

/** What a handler of a server returned, with the URIs under which another server has its resources. */
export function translateUris(
  kind: 'tool' | 'resource' | 'prompt',
  value: unknown,
  translate: Translate,
): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value
  if (kind === 'tool') {
    return isRecord(value) && Array.isArray(value.content)
      ? { ...value, content: each(value.content, translate, translateBlock) }
      : each(value, translate, translateBlock)
  }
  if (kind === 'prompt') {
    return isRecord(value) && Array.isArray(value.messages)
      ? { ...value, messages: each(value.messages, translate, translateTurn) }
      : each(value, translate, translateTurn)
  }
  return isRecord(value) && Array.isArray(value.contents)
    ? {
        ...value,
        contents: value.contents.map(item => (isRecord(item) ? withUri(item, translate) : item)),
      }
    : value
}
