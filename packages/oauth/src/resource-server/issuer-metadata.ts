import { z } from 'zod'
import { ConfigurationError, OAuthError } from '../errors.ts'
import type { Clock } from '../runtime.ts'
import { fetchJson, type IssuerFetch } from './fetch-json.ts'

const metadataSchema = z.object({
  issuer: z.string(),
  jwks_uri: z.string().refine(isSecureUrl).optional(),
  introspection_endpoint: z.string().refine(isSecureUrl).optional(),
})

/** What a resource server needs of its issuer's metadata (RFC 8414 §2). */
export interface IssuerMetadata {
  jwksUri: string | undefined
  introspectionEndpoint: string | undefined
}

/** How long a document is used before it is read again, in seconds. */
const freshSeconds = 3600
/** An issuer that is down is not asked again for every request (R32). */
const cooldownSeconds = 5

/** Whether keys and tokens may travel to this address: https, or this machine. */
export function isSecureUrl(url: string): boolean {
  if (!URL.canParse(url)) return false
  const { protocol, hostname, username, password } = new URL(url)
  if (username !== '' || password !== '') return false
  return (
    protocol === 'https:' || (protocol === 'http:' && ['localhost', '127.0.0.1', '[::1]'].includes(hostname))
  )
}

/** Where metadata may be: RFC 8414 §3, OpenID Connect Discovery §4, and the path-inserted form of the latter. */
export function metadataUrls(issuer: string): string[] {
  const { origin, pathname } = new URL(issuer)
  const path = pathname === '/' ? '' : pathname.replace(/\/$/, '')
  return [
    ...new Set([
      `${origin}/.well-known/oauth-authorization-server${path}`,
      `${origin}${path}/.well-known/openid-configuration`,
      `${origin}/.well-known/openid-configuration${path}`,
    ]),
  ]
}

/**
 * Reads the metadata of a foreign issuer, at first use and again after an hour; parallel callers share one request,
 * and a document that was read stands in while the issuer is down.
 *
 * The returned function throws `ConfigurationError` when no document there is one of this issuer, and `OAuthError`
 * `temporarily_unavailable` when none can be had now.
 */
export function createIssuerMetadata({
  issuer,
  fetch,
  clock,
}: {
  issuer: string
  fetch: IssuerFetch
  clock: Clock
}): () => Promise<IssuerMetadata> {
  let known: { metadata: IssuerMetadata; readAt: number } | undefined
  let failed: { error: unknown; at: number } | undefined
  let running: Promise<IssuerMetadata> | undefined

  async function read(): Promise<IssuerMetadata> {
    try {
      const metadata = await discover(issuer, fetch)
      known = { metadata, readAt: clock() }
      failed = undefined
      return metadata
    } catch (error) {
      failed = { error, at: clock() }
      throw error
    } finally {
      running = undefined
    }
  }

  return async () => {
    if (known && clock() - known.readAt < freshSeconds) return known.metadata
    if (failed && clock() - failed.at < cooldownSeconds) {
      if (known) return known.metadata
      throw failed.error
    }
    running ??= read()
    const before = known
    if (!before) return running
    return running.catch(() => before.metadata)
  }
}

async function discover(issuer: string, fetch: IssuerFetch): Promise<IssuerMetadata> {
  let isDown = false
  for (const url of metadataUrls(issuer)) {
    const answer = await fetchJson(fetch, url, { headers: { accept: 'application/json' } }).catch(
      () => undefined,
    )
    if (!answer || answer.status >= 500 || answer.status === 429) {
      isDown = true
      continue
    }
    if (answer.status !== 200 || !answer.object) continue
    // RFC 8414 §3.3: byte for byte, or another issuer could answer for this one.
    if (answer.object.issuer !== issuer) {
      throw new ConfigurationError(
        `The option issuer is ${issuer}, but the metadata at ${url} is of another issuer: write it as the issuer itself does.`,
      )
    }
    const parsed = metadataSchema.safeParse(answer.object)
    if (!parsed.success) {
      throw new ConfigurationError(
        `The metadata of the issuer ${issuer} names keys or endpoints that are no https URLs: mend it there.`,
      )
    }
    return { jwksUri: parsed.data.jwks_uri, introspectionEndpoint: parsed.data.introspection_endpoint }
  }
  if (isDown) {
    throw new OAuthError('temporarily_unavailable', 'The issuer of tokens cannot be reached now.', {
      headers: { 'Retry-After': '5' },
    })
  }
  throw new ConfigurationError(
    `The option issuer is ${issuer}, but there is no authorization server metadata: check the address.`,
  )
}
