/** Whether a name fits a pattern, in which `*` stands for any number of characters, and nothing else is special. */
export function fitsPattern(pattern: string, name: string): boolean {
  const [first = '', ...rest] = pattern.split('*')
  if (rest.length === 0) return name === pattern
  if (!name.startsWith(first)) return false
  let at = first.length
  const last = rest.pop()!
  for (const part of rest) {
    const found = name.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  return name.length - last.length >= at && name.endsWith(last)
}

/** The same for several patterns, of which one is enough. */
export const fitsAny = (patterns: readonly string[], name: string): boolean =>
  patterns.some(pattern => fitsPattern(pattern, name))
