import type { Dispatcher, Pool } from 'undici'

/**
 * Sends each request once, at most `concurrency` at a time.
 *
 * @returns the bodies, in the order of the requests
 * @throws {Error} when an answer is not a success: a server that refuses is fast, and measured for nothing
 */
export async function sendAll(
  pool: Pool,
  requests: readonly Dispatcher.RequestOptions[],
  concurrency: number,
): Promise<string[]> {
  const bodies: string[] = new Array(requests.length)
  let next = 0
  const work = async () => {
    while (next < requests.length) {
      const index = next++
      const { statusCode, body } = await pool.request(requests[index]!)
      const text = await body.text()
      if (statusCode !== 200 && statusCode !== 204) {
        throw new Error(`${requests[index]!.path} answered ${statusCode} ${text.slice(0, 200)}`)
      }
      bodies[index] = text
    }
  }
  await Promise.all(Array.from({ length: concurrency }, work))
  return bodies
}
