import { hash } from 'node:crypto'

/** SHA-256 in base64url: the form in which codes, tokens, states and client ids are stored and logged. */
export function sha256(value: string): string {
  return hash('sha256', value, 'base64url')
}
