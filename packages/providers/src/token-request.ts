import type { Clock } from '@sallyport/oauth'
import { z } from 'zod'
import { basicAuthorization, type ClientCredentials } from './client-authentication.ts'
import { type DpopKey, type DpopNonces, readNonce, signDpopProof } from './dpop-proof.ts'
import { asObject, type JsonObject, parseJson } from './json.ts'
import { fetchLimited, type LimitedResponse } from './limited-fetch.ts'
import { boundedWait, readRetryAfter } from './retry-after.ts'
import type { TokenFormat } from './token-format.ts'
import { type ErrorClass, UpstreamError } from './upstream-error.ts'

/** Tokens as a token endpoint grants them; lives in seconds from now. */
export interface TokenGrant {
  accessToken: string
  expiresInSeconds?: number
  refreshToken?: string
  refreshExpiresInSeconds?: number
  /** As sent, in the provider's own writing. */
  scope?: string
  idToken?: string
}

export type TokenReply =
  /** `reply`: as the provider sent it, for who must learn the account from it. */
  { outcome: 'granted'; grant: TokenGrant; reply?: JsonObject } | { outcome: 'refused'; error: UpstreamError }

/** Refusal of a token endpoint, for classification only. */
export interface TokenRefusal {
  status: number
  error: string | undefined
  /** `error_subtype` (Google) or `suberror` (Microsoft). */
  errorSubtype: string | undefined
  /** Microsoft's numbers of what went wrong. */
  errorCodes: readonly number[]
  description: string | undefined
  headers: Headers
}

export interface TokenRequest {
  endpoint: string
  credentials: ClientCredentials
  clientAuthentication: 'post' | 'basic'
  /** `grant_type` and what belongs to it. */
  parameters: Readonly<Record<string, string>>
  errorClass(refusal: TokenRefusal): ErrorClass
  /** Default: as RFC 6749 says. */
  format?: TokenFormat
  clock: Clock
  /** Default 10 000; with a proof, for both requests together. */
  timeoutMs?: number
  /** Proves possession of a key. Default: nothing is proven. */
  proof?: TokenProof
}

export interface TokenProof {
  key: DpopKey
  /** Id of a proof; called for each. */
  jti(): string
  /** Those the provider gave out last; new ones are put there. */
  nonces: DpopNonces
}

const maxReplyBytes = 64 * 1024

// Visible ASCII: a value that does not fit a header would appear in the error of the `fetch` that carries it.
const tokenValue = z.string().regex(/^[\x21-\x7e]+$/)

/** LinkedIn and others send numbers as strings; a value that is no duration counts as not sent. */
const seconds = z
  .union([z.number(), z.string().regex(/^\d+$/).transform(Number)])
  .pipe(z.number().nonnegative().max(1e10).transform(Math.floor))
  .optional()
  .catch(undefined)

const optionalText = z.string().min(1).optional().catch(undefined)

const grantSchema = z.object({
  access_token: tokenValue,
  // RFC 6749 §7.1: a token of a type we do not know must not be used.
  token_type: z
    .string()
    .regex(/^bearer$/i)
    .optional(),
  expires_in: seconds,
  refresh_token: optionalText,
  refresh_token_expires_in: seconds,
  scope: optionalText,
  id_token: optionalText,
})

const refusalSchema = z.object({
  error: optionalText,
  error_subtype: optionalText,
  suberror: optionalText,
  error_codes: z.array(z.int()).catch([]),
  error_description: optionalText,
})

/**
 * One POST to an upstream token endpoint (RFC 6749 §4.1.3, §6), bounded in time and size; with a proof a second one, when
 * the provider wants a nonce of its own in it (RFC 9449 §8). Never throws: whatever goes wrong is a refusal with its
 * class, and no text of the provider goes further than this file.
 */
export async function requestToken(request: TokenRequest): Promise<TokenReply> {
  const { format = {} } = request
  let response: LimitedResponse
  try {
    response = await send(request, format)
  } catch {
    return refused('transient')
  }
  const reply = asObject(parseBody(response))
  const members = reply && format.readReply ? format.readReply(reply) : reply
  const isSuccess = response.status >= 200 && response.status < 300
  // GitHub and Slack refuse with HTTP 200.
  if (isSuccess && reply && members?.error === undefined) {
    const granted = grantSchema.safeParse(members)
    if (granted.success) return { outcome: 'granted', grant: toTokenGrant(granted.data), reply }
  }
  return sortRefusal(response, members, request)
}

async function send(request: TokenRequest, format: TokenFormat): Promise<LimitedResponse> {
  const { endpoint, proof, parameters, clock, timeoutMs = 10_000 } = request
  const signal = AbortSignal.timeout(timeoutMs)
  const limits = { timeoutMs, maxBytes: maxReplyBytes }
  const post = async (nonce?: string) => {
    const init = { ...toInit(request, format), signal }
    if (proof) {
      const { key, jti } = proof
      init.headers.set('dpop', await signDpopProof(key, { url: endpoint, jti: jti(), now: clock(), nonce }))
    }
    return fetchLimited(endpoint, init, limits)
  }
  if (!proof) return post()
  const { nonces } = proof
  const workflow = parameters.grant_type ?? ''
  const keepNonce = ({ headers }: LimitedResponse) => {
    const nonce = readNonce(headers)
    if (nonce !== undefined) nonces.set(workflow, nonce)
    return nonce
  }
  const first = await post(nonces.get(workflow))
  const nonce = keepNonce(first)
  // Refused before anything was done: neither code nor refresh token is spent. Once, or two servers that do not know
  // each other's nonces could go on for ever.
  const isChallenge = first.status === 400 && asObject(parseJson(first.text))?.error === 'use_dpop_nonce'
  if (!isChallenge || nonce === undefined) return first
  const second = await post(nonce)
  keepNonce(second)
  return second
}

function toInit({ credentials, clientAuthentication, parameters }: TokenRequest, format: TokenFormat) {
  const headers = new Headers({ ...format.headers, accept: 'application/json' })
  const { clientId, clientSecret } = credentials
  if (clientAuthentication === 'basic') headers.set('authorization', basicAuthorization(credentials))
  const sent =
    clientAuthentication === 'post'
      ? { ...parameters, client_id: clientId, client_secret: clientSecret }
      : parameters
  if (format.body === 'json') headers.set('content-type', 'application/json')
  const body = format.body === 'json' ? JSON.stringify(sent) : new URLSearchParams(sent)
  return { method: 'POST', headers, body }
}

/** JSON; or a form, as servers older than RFC 6749 answer whatever they are asked for. */
function parseBody({ headers, text }: LimitedResponse): unknown {
  const isForm = headers.get('content-type')?.startsWith('application/x-www-form-urlencoded')
  return isForm ? Object.fromEntries(new URLSearchParams(text)) : parseJson(text)
}

function sortRefusal({ status, headers }: LimitedResponse, body: unknown, request: TokenRequest): TokenReply {
  const members = refusalSchema.safeParse(body).data
  const now = request.clock()
  const vendorWait = request.format?.retryAfter?.(headers, now)
  const retryAfterSeconds =
    readRetryAfter(headers, now) ?? (vendorWait === undefined ? undefined : boundedWait(vendorWait))
  const code = members?.error
  const refuse = (errorClass: ErrorClass) => refused(errorClass, { retryAfterSeconds, code })
  if (status === 429) return refuse('rate_limited')
  if (status >= 500 || status === 408) return refuse('transient')
  if (status >= 300 && status < 400) return refuse('misconfigured')
  return refuse(
    request.errorClass({
      status,
      error: members?.error,
      errorSubtype: members?.error_subtype ?? members?.suberror,
      errorCodes: members?.error_codes ?? [],
      description: members?.error_description,
      headers,
    }),
  )
}

function refused(
  errorClass: ErrorClass,
  options?: { retryAfterSeconds?: number | undefined; code?: string | undefined },
): TokenReply {
  return { outcome: 'refused', error: new UpstreamError(errorClass, options) }
}

function toTokenGrant(reply: z.infer<typeof grantSchema>): TokenGrant {
  return {
    accessToken: reply.access_token,
    ...(reply.expires_in !== undefined && { expiresInSeconds: reply.expires_in }),
    ...(reply.refresh_token !== undefined && { refreshToken: reply.refresh_token }),
    ...(reply.refresh_token_expires_in !== undefined && {
      refreshExpiresInSeconds: reply.refresh_token_expires_in,
    }),
    ...(reply.scope !== undefined && { scope: reply.scope }),
    ...(reply.id_token !== undefined && { idToken: reply.id_token }),
  }
}
