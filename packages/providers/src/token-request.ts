import type { Clock } from '@sallyport/oauth'
import { z } from 'zod'
import { fetchLimited, type LimitedResponse } from './limited-fetch.ts'
import type { ClientCredentials, TokenRefusal } from './provider-definition.ts'
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
  | { outcome: 'granted'; grant: TokenGrant }
  | { outcome: 'refused'; error: UpstreamError }

export interface TokenRequest {
  endpoint: string
  credentials: ClientCredentials
  clientAuthentication: 'post' | 'basic'
  /** `grant_type` and what belongs to it. */
  parameters: Readonly<Record<string, string>>
  errorClass(refusal: TokenRefusal): ErrorClass
  clock: Clock
  /** Default 10 000. */
  timeoutMs?: number
}

const maxReplyBytes = 64 * 1024

/** Longest `Retry-After` we follow, so that one wrong header does not close a provider for days. */
const maxRetryAfterSeconds = 3600

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
  error_description: optionalText,
})

/**
 * One POST to an upstream token endpoint (RFC 6749 §4.1.3, §6), bounded in time and size. Never throws: whatever
 * goes wrong is a refusal with its class, and no text of the provider goes further than this file.
 */
export async function requestToken(request: TokenRequest): Promise<TokenReply> {
  const { clientId, clientSecret } = request.credentials
  const form = new URLSearchParams(request.parameters)
  const headers = new Headers({ accept: 'application/json' })
  if (request.clientAuthentication === 'basic') {
    headers.set('authorization', `Basic ${btoa(`${formEncode(clientId)}:${formEncode(clientSecret)}`)}`)
  } else {
    form.set('client_id', clientId)
    form.set('client_secret', clientSecret)
  }
  let response: LimitedResponse
  try {
    response = await fetchLimited(
      request.endpoint,
      { method: 'POST', headers, body: form },
      { timeoutMs: request.timeoutMs ?? 10_000, maxBytes: maxReplyBytes },
    )
  } catch {
    return refused('transient')
  }
  const body = parseJson(response.text)
  if (response.status >= 200 && response.status < 300) {
    const granted = grantSchema.safeParse(body)
    if (granted.success) return { outcome: 'granted', grant: toTokenGrant(granted.data) }
  }
  return sortRefusal(response, body, request)
}

function sortRefusal({ status, headers }: LimitedResponse, body: unknown, request: TokenRequest): TokenReply {
  const members = refusalSchema.safeParse(body).data
  const retryAfterSeconds = readRetryAfter(headers.get('retry-after'), request.clock())
  const code = members?.error
  const refuse = (errorClass: ErrorClass) => refused(errorClass, { retryAfterSeconds, code })
  if (status === 429) return refuse('rate_limited')
  if (status >= 500 || status === 408) return refuse('transient')
  if (status >= 300 && status < 400) return refuse('misconfigured')
  return refuse(
    request.errorClass({
      status,
      error: members?.error,
      errorSubtype: members?.error_subtype,
      description: members?.error_description,
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

/** `Retry-After` in seconds from now (RFC 9110 §10.2.3): a number or a date; anything else counts as not sent. */
function readRetryAfter(value: string | null, now: number): number | undefined {
  if (value === null) return undefined
  const wait = /^\d+$/.test(value) ? Number(value) : Math.ceil(Date.parse(value) / 1000) - now
  return Number.isFinite(wait) ? Math.min(Math.max(wait, 0), maxRetryAfterSeconds) : undefined
}

/** RFC 6749 §2.3.1: id and secret are form-encoded before they become Basic credentials. */
function formEncode(value: string): string {
  return new URLSearchParams({ v: value }).toString().slice(2)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
