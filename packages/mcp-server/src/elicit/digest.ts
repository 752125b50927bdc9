import { createHash } from 'node:crypto'

/** SHA-256 in base64url. */
export const digest = (value: string): string => createHash('sha256').update(value).digest('base64url')

/** The same text for the same JSON value, whatever the order of its members. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_, member: unknown) =>
    typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  )
}
