import { ConfigurationError } from '@sallyport/oauth'

/** How other frameworks call what we call otherwise. */
const ourWords: Readonly<Record<string, string>> = {
  inputSchema: 'input',
  parameters: 'input',
  outputSchema: 'output',
  handler: 'run',
  execute: 'run',
  callback: 'run',
}

/** How many letters are added, left out, changed or swapped with their neighbour. */
function distance(a: string, b: string): number {
  let [before, previous] = [[] as number[], Array.from({ length: b.length + 1 }, (_, index) => index)]
  for (let i = 1; i <= a.length; i++) {
    const current = [i]
    for (let j = 1; j <= b.length; j++) {
      const isSame = a[i - 1] === b[j - 1]
      const isSwapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      current[j] = Math.min(
        (previous[j] ?? 0) + 1,
        (current[j - 1] ?? 0) + 1,
        (previous[j - 1] ?? 0) + (isSame ? 0 : 1),
        isSwapped ? (before[j - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY,
      )
    }
    ;[before, previous] = [previous, current]
  }
  return previous[b.length] ?? 0
}

/** The word that somebody meant who wrote another, or undefined. */
export function nearestWord(written: string, words: readonly string[]): string | undefined {
  const most = written.length < 5 ? 1 : 2
  return words
    .filter(word => Math.min(word.length, written.length) > 2)
    .map(word => ({ word, apart: distance(written.toLowerCase(), word.toLowerCase()) }))
    .filter(({ apart }) => apart <= most)
    .sort((a, b) => a.apart - b.apart)[0]?.word
}

/**
 * Refuses keys that would have no effect: of a misspelt `auth` nobody would learn, and what it was to protect would be
 * public.
 *
 * @param known keys of the type; a record, so that the compiler misses none
 * @param where what has the keys, for the message, such as `tool "events"`
 * @throws {ConfigurationError} when it is no object, or has another key
 */
export function checkKeys(given: unknown, known: Readonly<Record<string, unknown>>, where: string): void {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new ConfigurationError(`${where} needs an object, such as { ${Object.keys(known)[0]}: … }.`)
  }
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined || Object.hasOwn(known, key)) continue
    const ours = ourWords[key]
    const words = Object.keys(known)
    const meant = ours !== undefined && Object.hasOwn(known, ours) ? ours : nearestWord(key, words)
    const help =
      meant !== undefined
        ? `write "${meant}"`
        : words.length > 20
          ? 'remove it'
          : `there are ${words.slice(0, -1).join(', ')} and ${words.at(-1)}`
    throw new ConfigurationError(`${where} has "${key}", which means nothing here: ${help}.`)
  }
}
