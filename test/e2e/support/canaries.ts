/** A value that may show up in few places, and what it is, for the message. */
export interface Canary {
  kind: string
  value: string
}

/** A value as it might hide: as it is, in base64, hex, reversed by 13 letters, URL-encoded (R162). */
function disguises(value: string): string[] {
  const bytes = Buffer.from(value)
  const rotated = value.replace(/[a-z]/gi, letter => {
    const base = letter <= 'Z' ? 65 : 97
    return String.fromCharCode(((letter.charCodeAt(0) - base + 13) % 26) + base)
  })
  return [
    value,
    bytes.toString('base64').replace(/=+$/, ''),
    bytes.toString('base64url'),
    bytes.toString('hex'),
    rotated,
    encodeURIComponent(value),
  ]
}

/** Which of the canaries are in there, in whatever disguise. */
export const found = (haystack: string, canaries: readonly Canary[]): string[] =>
  canaries
    .filter(({ value }) => disguises(value).some(form => haystack.includes(form)))
    .map(({ kind, value }) => `${kind} (${value.length} characters)`)
