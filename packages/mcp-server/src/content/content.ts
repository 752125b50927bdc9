import type { Annotations, ContentBlock, Icon } from '@modelcontextprotocol/server'

interface Notes {
  /** For whom it is, and how important. */
  readonly annotations?: Annotations
  readonly _meta?: Record<string, unknown>
}

/** Bytes, or a text that is their base64 already. */
type Bytes = Uint8Array | ArrayBuffer | string

type Block<Type extends ContentBlock['type']> = Extract<ContentBlock, { type: Type }>

/** Bytes as base64. */
export const base64 = (data: Bytes): string =>
  typeof data === 'string'
    ? data
    : Buffer.from(data instanceof ArrayBuffer ? new Uint8Array(data) : data).toString('base64')

/** Kinds of files that are content of their own; the others go as embedded resources. */
const mimeTypes: Readonly<Record<string, string>> = {
  png: 'image/png',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  gif: 'image/gif',
  webp: 'image/webp',
  svg: 'image/svg+xml',
  wav: 'audio/wav',
  mp3: 'audio/mpeg',
  ogg: 'audio/ogg',
  flac: 'audio/flac',
  m4a: 'audio/mp4',
  txt: 'text/plain',
  md: 'text/markdown',
  csv: 'text/csv',
  html: 'text/html',
  xml: 'application/xml',
  json: 'application/json',
  yaml: 'application/yaml',
  yml: 'application/yaml',
  pdf: 'application/pdf',
  zip: 'application/zip',
}

/** Text as far as clients are concerned. */
export const isText = (mimeType: string): boolean =>
  /^text\/|^application\/(json|yaml|xml|javascript)$|\+(json|xml|yaml)$/.test(mimeType)

/** Makes the blocks that tools and prompts answer with. A plain text needs none of them. */
export const content = {
  text: (text: string, notes: Notes = {}): Block<'text'> => ({ type: 'text', text, ...notes }),
  /** @param mimeType such as `image/png` */
  image: (data: Bytes, mimeType: string, notes: Notes = {}): Block<'image'> => ({
    type: 'image',
    data: base64(data),
    mimeType,
    ...notes,
  }),
  /** @param mimeType such as `audio/wav` */
  audio: (data: Bytes, mimeType: string, notes: Notes = {}): Block<'audio'> => ({
    type: 'audio',
    data: base64(data),
    mimeType,
    ...notes,
  }),
  /** A resource whole: its text, or its bytes. */
  resource: (
    uri: string,
    body: string | Uint8Array,
    { mimeType, ...notes }: Notes & { readonly mimeType?: string } = {},
  ): Block<'resource'> => ({
    type: 'resource',
    resource: {
      uri,
      ...(mimeType !== undefined && { mimeType }),
      ...(typeof body === 'string' ? { text: body } : { blob: base64(body) }),
    },
    ...notes,
  }),
  /** A resource that the client may read later. */
  link: (
    resource: Notes & {
      readonly uri: string
      readonly name: string
      readonly title?: string
      readonly description?: string
      readonly mimeType?: string
      readonly size?: number
      readonly icons?: Icon[]
    },
  ): Block<'resource_link'> => ({ type: 'resource_link', ...resource }),
  /**
   * A file of this machine: a picture or a sound as such, anything else as an embedded resource. The path is the
   * server's to choose; one made of a caller's words would let callers read any file.
   *
   * @param mimeType default: by the ending of the name
   */
  async file(
    path: string | URL,
    { mimeType, ...notes }: Notes & { readonly mimeType?: string } = {},
  ): Promise<ContentBlock> {
    const [{ readFile }, { basename }] = await Promise.all([
      import('node:fs/promises'),
      import('node:path/posix'),
    ])
    const bytes = await readFile(path)
    const name = basename(typeof path === 'string' ? path : path.pathname)
    const type =
      mimeType ?? mimeTypes[name.slice(name.lastIndexOf('.') + 1).toLowerCase()] ?? 'application/octet-stream'
    if (type.startsWith('image/')) return content.image(bytes, type, notes)
    if (type.startsWith('audio/')) return content.audio(bytes, type, notes)
    const body = isText(type) ? bytes.toString('utf8') : bytes
    return content.resource(`file:///${encodeURIComponent(name)}`, body, { mimeType: type, ...notes })
  },
}
