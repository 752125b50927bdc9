import { collectBytes } from '../collect-bytes.ts'
import { OAuthError } from '../errors.ts'

/** Parameters of a request, each at most once but for the repeatable ones. An empty value counts as absent. */
export interface Parameters {
  /** The value, or undefined when absent or empty. The first one of a repeatable parameter. */
  get(name: string): string | undefined
  /** All values of a repeatable parameter, in the order they came. */
  getAll(name: string): readonly string[]
}

const maxFormBytes = 65_536
const maxParameters = 64
/** Deeper than any metadata goes; walking deep nesting costs stack. */
const maxJsonDepth = 16

/**
 * Parameters of a URL, parsed from its raw query: the helpers of frameworks pick one of several silently (R45).
 *
 * @throws {OAuthError} `invalid_request` on malformed percent- or UTF-8 encoding, or more than 64 parameters
 */
export function parseQuery(rawUrl: string): URLSearchParams {
  const start = rawUrl.indexOf('?')
  if (start === -1) return new URLSearchParams()
  const end = rawUrl.indexOf('#', start)
  return parsePairs(rawUrl.slice(start + 1, end === -1 ? undefined : end))
}

/**
 * Reads a form of at most 64 KB and 64 parameters. Nothing but `application/x-www-form-urlencoded` counts as a
 * form: multipart, JSON and lists of media types are refused (R82).
 *
 * @throws {OAuthError} `invalid_request` with status 415 for another media type, 413 for too many bytes, else 400
 */
export async function readForm(request: Request): Promise<URLSearchParams> {
  assertMediaType(request, 'application/x-www-form-urlencoded')
  return parsePairs(await readText(request, maxFormBytes))
}

/**
 * Reads a JSON object. Members are as they came: nothing is checked but that it is an object (R14).
 *
 * @param limitBytes most bytes the body may have
 * @throws {OAuthError} `invalid_request` with status 415 for another media type, 413 for too many bytes, else 400
 */
export async function readJsonObject(request: Request, limitBytes: number): Promise<Record<string, unknown>> {
  assertMediaType(request, 'application/json')
  const value = parseJsonObject(await readText(request, limitBytes))
  if (!value) throw new OAuthError('invalid_request', 'The body must be a JSON object.')
  return value
}

/**
 * Reads a body that is one token.
 *
 * @param mediaTypes those it may have
 * @throws {OAuthError} `invalid_request` with status 415 for another media type, 413 for too many bytes, else 400
 */
export async function readTokenBody(
  request: Request,
  mediaTypes: readonly string[],
  limitBytes: number,
): Promise<string> {
  assertMediaType(request, ...mediaTypes)
  return readText(request, limitBytes)
}

/** The object that a JSON text holds; undefined when it holds none, or nests deeper than 16 levels. */
export function parseJsonObject(text: string): Record<string, unknown> | undefined {
  if (!isShallow(text)) return undefined
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined
}

/**
 * Checks that no parameter comes twice, and makes them readable by name (R45, R83).
 *
 * @param options.repeatable parameters that may come more than once. Default `resource` (RFC 8707 §2)
 * @throws {OAuthError} `invalid_request` when another parameter is repeated, even with equal or empty values
 */
export function single(
  parameters: URLSearchParams,
  { repeatable = ['resource'] }: { repeatable?: readonly string[] } = {},
): Parameters {
  const values = new Map<string, string[]>()
  for (const [name, value] of parameters) {
    const earlier = values.get(name)
    if (!earlier) values.set(name, [value])
    else if (repeatable.includes(name)) earlier.push(value)
    else throw new OAuthError('invalid_request', 'A parameter is given more than once.')
  }
  const getAll = (name: string): string[] => (values.get(name) ?? []).filter(value => value !== '')
  return { getAll, get: name => getAll(name)[0] }
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

function assertMediaType(request: Request, ...mediaTypes: readonly string[]): void {
  const [presented, ...parameters] = (request.headers.get('content-type') ?? '')
    .split(';')
    .map(part => part.trim())
  const isUtf8 = parameters.every(parameter => /^charset="?utf-?8"?$/i.test(parameter))
  const encoding = request.headers.get('content-encoding')?.trim() ?? 'identity'
  const isExpected = presented !== undefined && mediaTypes.includes(presented.toLowerCase())
  if (!isExpected || !isUtf8 || !/^(identity)?$/i.test(encoding)) {
    throw new OAuthError('invalid_request', `The body must be ${mediaTypes[0]} in UTF-8.`, { status: 415 })
  }
}

async function readText(request: Request, limitBytes: number): Promise<string> {
  const bytes = await readBytes(request, limitBytes)
  if (!bytes) throw new OAuthError('invalid_request', 'The body is too large.', { status: 413 })
  try {
    return utf8.decode(bytes)
  } catch {
    throw new OAuthError('invalid_request', 'The body is not valid UTF-8.')
  }
}

/** Undefined when there are more than `limitBytes`: counted as they arrive, a Content-Length may lie or be missing (R82). */
async function readBytes(request: Request, limitBytes: number): Promise<Uint8Array | undefined> {
  const announced = request.headers.get('content-length')
  if (announced !== null && /^\d+$/.test(announced)) {
    if (Number(announced) > limitBytes) return undefined
    // HTTP ends a body where it was announced to end (RFC 9112 §6.3), and read in one piece it costs a fifth of what
    // its stream costs.
    const bytes = new Uint8Array(await request.arrayBuffer())
    return bytes.byteLength <= limitBytes ? bytes : undefined
  }
  return collectBytes(request.body, limitBytes)
}

/**
 * Like URLSearchParams, but for encoding that is not valid: it would be replaced by other characters, and a
 * `state` would come back changed (R46).
 */
function parsePairs(text: string): URLSearchParams {
  const pairs = text.split('&', maxParameters + 1).filter(pair => pair !== '')
  if (pairs.length > maxParameters) throw new OAuthError('invalid_request', 'There are too many parameters.')
  const parameters = new URLSearchParams()
  for (const pair of pairs) {
    const equals = pair.indexOf('=')
    const [name, value] = equals === -1 ? [pair, ''] : [pair.slice(0, equals), pair.slice(equals + 1)]
    parameters.append(decodeFormComponent(name), decodeFormComponent(value))
  }
  return parameters
}

function decodeFormComponent(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    throw new OAuthError('invalid_request', 'A parameter is not valid percent-encoded UTF-8.')
  }
}

function isShallow(text: string): boolean {
  let depth = 0
  let isInString = false
  // A loop and no regular expression: one pass, whatever the text.
  for (let index = 0; index < text.length; index++) {
    const character = text[index]
    if (isInString) {
      if (character === '\\') index++
      else if (character === '"') isInString = false
    } else if (character === '"') isInString = true
    else if (character === '[' || character === '{') {
      if (++depth > maxJsonDepth) return false
    } else if (character === ']' || character === '}') depth--
  }
  return true
}
