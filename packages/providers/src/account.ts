import { z } from 'zod'
import type { Identity } from './id-token.ts'
import { asObject, type JsonObject, memberAt, parseJson } from './json.ts'
import { fetchLimited } from './limited-fetch.ts'
import { readRetryAfter } from './retry-after.ts'
import { UpstreamError } from './upstream-error.ts'

/** What a lookup may ask. */
export interface AccountQuery {
  /** The token reply the user's tokens came with, as the provider sent it. */
  reply: JsonObject
  /** GET with the user's new access token, bounded in time and size; the body is JSON. */
  getJson(url: string, headers?: Readonly<Record<string, string>>): Promise<unknown>
}

/** The account a token belongs to. */
export interface Account {
  /** Stable at this provider, never given to another account: not a name, not an e-mail address (R76). */
  subject: string | number
  name?: string | undefined
}

/** Finds out whose a new access token is, at a provider that sends no id_token. */
export type AccountLookup = (query: AccountQuery) => Account | Promise<Account>

const limits = { timeoutMs: 10_000, maxBytes: 256 * 1024 }

const accountSchema = z.object({
  subject: z.union([z.string().min(1).max(255), z.int().transform(String)]),
  name: z.string().min(1).max(200).optional().catch(undefined),
})

/**
 * Whose the tokens of this reply are.
 *
 * @throws {UpstreamError} `transient` or `rate_limited` when the provider cannot say now, `unknown` when what it says
 *   names nobody
 */
export async function findAccount(
  lookup: AccountLookup,
  granted: { issuer: string; accessToken: string; reply: JsonObject; now: number },
): Promise<Identity> {
  const account = await lookup({
    reply: granted.reply,
    getJson: (url, headers) => getJson(url, headers, granted),
  })
  const parsed = accountSchema.safeParse(account)
  if (!parsed.success) throw new UpstreamError('unknown')
  const { subject, name } = parsed.data
  return { issuer: granted.issuer, subject, ...(name !== undefined && { name }) }
}

/** The lookup that asks one endpoint, whose answer holds the account at these paths. */
export function accountAt(endpoint: {
  url: string
  subject: string
  name?: string | undefined
  headers?: Readonly<Record<string, string>> | undefined
}): AccountLookup {
  return async ({ getJson }) => readAccount(await getJson(endpoint.url, endpoint.headers), endpoint)
}

/** The account at these paths of a JSON value; an absent subject is refused by `findAccount`. */
export function readAccount(value: unknown, paths: { subject: string; name?: string | undefined }): Account {
  return {
    subject: memberAt(value, paths.subject) as Account['subject'],
    ...(paths.name !== undefined && { name: memberAt(value, paths.name) as string }),
  }
}

async function getJson(
  url: string,
  headers: Readonly<Record<string, string>> | undefined,
  { accessToken, now }: { accessToken: string; now: number },
): Promise<unknown> {
  const response = await fetchLimited(
    url,
    { headers: { accept: 'application/json', ...headers, authorization: `Bearer ${accessToken}` } },
    limits,
  ).catch(() => undefined)
  if (!response || response.status >= 500 || response.status === 408) throw new UpstreamError('transient')
  const retryAfterSeconds = readRetryAfter(response.headers, now)
  if (response.status === 429) throw new UpstreamError('rate_limited', { retryAfterSeconds })
  const body = response.status === 200 ? asObject(parseJson(response.text)) : undefined
  if (!body) throw new UpstreamError('unknown')
  return body
}
