import type { Clock } from '@sallyport/oauth'
import { z } from 'zod'
import { ToolError } from '../tools/tool-error.ts'
import type { ClientCredentials } from './proxy-options.ts'

const reply = z.object({
  access_token: z.string().min(1).max(16_384),
  token_type: z.string().regex(/^bearer$/i),
  expires_in: z.number().positive().optional(),
})

/** A token of our own, for as long as it lasts. */
export interface OwnToken {
  /**
   * @param rejected a token that was refused: another one than this
   * @throws {ToolError} when there is none to be had; it says nothing of the answer
   */
  get(rejected?: string): Promise<string>
}

/** How long before its end a token is no longer used, in seconds. */
const marginSeconds = 30

/** Fetches a token as a client (RFC 6749 §4.4), authenticated with `client_secret_basic` (§2.3.1). */
export function createOwnToken(
  { clientId, clientSecret, tokenUrl, scopes = [] }: ClientCredentials,
  clock: Clock,
): OwnToken {
  let held: { value: string; endsAt: number } | undefined
  let fetching: Promise<string> | undefined

  const request = async (): Promise<string> => {
    const form = (value: string) => new URLSearchParams({ v: value }).toString().slice(2)
    const response = await fetch(tokenUrl, {
      method: 'POST',
      headers: {
        accept: 'application/json',
        authorization: `Basic ${Buffer.from(`${form(clientId)}:${form(clientSecret)}`).toString('base64')}`,
      },
      body: new URLSearchParams({
        grant_type: 'client_credentials',
        ...(scopes.length > 0 && { scope: scopes.join(' ') }),
      }),
      redirect: 'error',
      signal: AbortSignal.timeout(10_000),
    })
    const parsed = reply.safeParse(response.ok ? await response.json().catch(() => undefined) : undefined)
    if (!parsed.success) {
      throw new ToolError('The server behind this cannot be asked now: its credentials were refused.')
    }
    const { access_token: value, expires_in: life } = parsed.data
    held = { value, endsAt: life === undefined ? Number.POSITIVE_INFINITY : clock() + life }
    return value
  }
  return {
    async get(rejected) {
      if (held && held.value !== rejected && held.endsAt - marginSeconds > clock()) return held.value
      fetching ??= request().finally(() => {
        fetching = undefined
      })
      return fetching
    },
  }
}
