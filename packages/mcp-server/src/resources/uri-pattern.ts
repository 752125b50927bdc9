/** A piece of a template: text as it stands, or a variable and what it may be. */
type Piece = { readonly text: string } | Variable

interface Variable {
  readonly name: string
  readonly fits: (code: number) => boolean
  /** Whether commas part values. */
  readonly isExploded: boolean
}

const comma = 0x2c
const slash = 0x2f
const isLineEnd = (code: number) => code === 0x0a || code === 0x0d || code === 0x2028 || code === 0x2029

const inSegment = (code: number) => code !== slash && code !== comma
const anywhere = (code: number) => !isLineEnd(code)
const inQuery = (code: number) => code !== 0x26

/** The variables of an expression, with what stands before each. */
function piecesOf(expression: string): Piece[] {
  const operator = /^[+#./?&]/.exec(expression)?.[0] ?? ''
  const isExploded = expression.includes('*')
  const names = expression
    .slice(operator.length)
    .split(',')
    .map(name => name.replace('*', '').trim())
    .filter(name => name !== '')
  const [name] = names
  if (name === undefined) throw new Error('an expression without a variable')
  switch (operator) {
    case '?':
    case '&':
      return names.flatMap((each, index) => [
        { text: `${index === 0 ? operator : '&'}${each}=` },
        { name: each, fits: inQuery, isExploded },
      ])
    case '+':
    case '#':
      return [{ name, fits: anywhere, isExploded }]
    case '.':
      return [{ text: '.' }, { name, fits: inSegment, isExploded: false }]
    case '/':
      return [{ text: '/' }, { name, fits: inSegment, isExploded }]
    default:
      return [{ name, fits: inSegment, isExploded }]
  }
}

/**
 * Makes a template's variables readable from a URI: each takes as much as it can, the first one first, as the SDK's
 * `UriTemplate` has it. Its regular expression tries every way to share a URI between variables, which takes a few
 * thousand characters to stand still for minutes (R196); this goes once through the URI for each piece.
 *
 * @throws {Error} when an expression has no variable
 * @see RFC 6570
 */
export function compileUriPattern(
  template: string,
): (uri: string) => [name: string, value: string | string[]][] | undefined {
  const pieces = template
    .split(/(\{[^}]*\})/)
    .filter(part => part !== '')
    .flatMap((part): Piece[] => (part.startsWith('{') ? piecesOf(part.slice(1, -1)) : [{ text: part }]))

  return uri => {
    const [start] = pieces
    if (start && 'text' in start && !uri.startsWith(start.text)) return undefined
    /** Whether all that follows fits, by where it begins; from the last piece to the first. */
    let goesOn = new Uint8Array(uri.length + 1)
    goesOn[uri.length] = 1
    /** By piece and by where it begins: where it ends, or -1. */
    const ends: Int32Array[] = []
    for (const piece of pieces.toReversed()) {
      const end = 'text' in piece ? endsOfText(uri, piece.text, goesOn) : endsOfVariable(uri, piece, goesOn)
      goesOn = Uint8Array.from(end, at => (at < 0 ? 0 : 1))
      ends.unshift(end)
    }
    const variables: [string, string | string[]][] = []
    let at = 0
    for (const [index, piece] of pieces.entries()) {
      const end = ends[index]![at]!
      if (end < 0) return undefined
      if ('name' in piece) {
        const value = uri.slice(at, end)
        const isList = piece.isExploded && value.includes(',')
        variables.push([piece.name, isList ? value.split(',') : value])
      }
      at = end
    }
    return at === uri.length ? variables : undefined
  }
}

function endsOfText(uri: string, text: string, goesOn: Uint8Array): Int32Array {
  const ends = new Int32Array(uri.length + 1).fill(-1)
  for (let at = uri.indexOf(text); at >= 0; at = uri.indexOf(text, at + 1)) {
    if (goesOn[at + text.length] === 1) ends[at] = at + text.length
  }
  return ends
}

function endsOfVariable(uri: string, { fits, isExploded }: Variable, goesOn: Uint8Array): Int32Array {
  const ends = new Int32Array(uri.length + 1).fill(-1)
  /** Commas that part values stand between two; elsewhere they fit or they do not. */
  const parts = isExploded && !fits(comma)
  /** Where what has begun before the position ends; -1 when nowhere. */
  let furthest = goesOn[uri.length] === 1 ? uri.length : -1
  for (let at = uri.length - 1; at >= 0; at--) {
    const code = uri.charCodeAt(at)
    const isFitting = fits(code)
    if (isFitting) ends[at] = furthest
    const further = isFitting ? furthest : parts && code === comma ? ends[at + 1]! : -1
    furthest = further >= 0 ? further : goesOn[at] === 1 ? at : -1
  }
  return ends
}
