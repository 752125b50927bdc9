import type { SeenRequest } from './fake-upstream.ts'

/** What one request carried, whichever way it was encoded. */
export function sentBy({ headers, form, body }: SeenRequest): Record<string, unknown> {
  const isJson = headers['content-type']?.startsWith('application/json')
  return isJson ? JSON.parse(body) : Object.fromEntries(form)
}
