const plain = {
  'Content-Type': 'application/json',
  'Cache-Control': 'no-store',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  Vary: 'Authorization',
} as const
const strict = { ...plain, 'Strict-Transport-Security': 'max-age=31536000' } as const

/** What `secureResponse` makes of the headers of a JSON answer. */
export const secureHeaders = (https: boolean): Record<string, string> => (https ? strict : plain)

/**
 * Headers every answer carries (R197–R199). What a handler has set stays; pages of our own bring a stricter
 * policy, so the default one is for everything that is not a page.
 */
export function secureResponse(response: Response, https: boolean): Response {
  const secured = new Response(response.body, response)
  const { headers } = secured
  const setDefault = (name: string, value: string) => {
    if (!headers.has(name)) headers.set(name, value)
  }
  headers.set('X-Content-Type-Options', 'nosniff')
  const type = headers.get('Content-Type') ?? ''
  if (!type.startsWith('text/html')) {
    setDefault('Content-Security-Policy', "default-src 'none'; frame-ancestors 'none'")
  }
  if (type.startsWith('text/event-stream')) headers.set('Cache-Control', 'no-store, no-transform')
  else setDefault('Cache-Control', 'no-store')
  if (!headers.get('Cache-Control')?.includes('public')) headers.append('Vary', 'Authorization')
  if (https) setDefault('Strict-Transport-Security', 'max-age=31536000')
  return secured
}
