/** Headers of a JSON answer that no cache keeps and no browser takes for a page (R198). */
export const jsonHeaders = {
  'Content-Type': 'application/json',
  'Cache-Control': 'no-store',
  'X-Content-Type-Options': 'nosniff',
} as const

/** A JSON answer that no cache keeps and no browser takes for a page (R198). */
export const jsonResponse = (body: unknown, status = 200, headers: Record<string, string> = {}): Response =>
  new Response(JSON.stringify(body), {
    status,
    headers: { ...jsonHeaders, ...headers },
  })

/** Trouble of our own: clients keep their tokens and come back, which they would not after `server_error`. */
export const unavailableResponse = (): Response =>
  jsonResponse(
    {
      error: 'temporarily_unavailable',
      error_description: 'The server cannot answer now. Try again in a moment.',
    },
    503,
    { 'Retry-After': '1' },
  )
