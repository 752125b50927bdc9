import type { IncomingMessage, ServerResponse } from 'node:http'
import { type JsonAnswer, sendJson } from './http.ts'
import type { UpstreamKind } from './kinds.ts'

/** What taking grants back needs of the upstream. */
export interface RevocationParts {
  clientId: string
  clientSecret: string
  /** Ends what a user granted; answers how many records went. */
  revokeGrant(sub: string): number
  /** Whose a live token is, of either kind. */
  accountOf(token: string): Promise<string | undefined>
  accountOfAccessToken(token: string): Promise<string | undefined>
}

interface Passing {
  request: IncomingMessage
  url: URL
  form: URLSearchParams | undefined
  response: ServerResponse
}

/** Takes a grant back the provider's own way; false where that is RFC 7009. */
export async function answerRevocation(
  kind: UpstreamKind,
  parts: RevocationParts,
  { request, url, form, response }: Passing,
): Promise<boolean> {
  const bearer = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? ''
  let answer: JsonAnswer | undefined
  if (kind === 'google')
    answer = await atGoogle(url.searchParams.get('token') ?? form?.get('token') ?? '', parts)
  if (kind === 'github') answer = await atGithub(request, form?.get('access_token') ?? '', parts)
  if (kind === 'slack') answer = await atSlack(bearer, parts)
  if (!answer) return false
  sendJson(response, answer)
  return true
}

/** Google needs no client authentication here, and takes back the user's whole grant. */
async function atGoogle(token: string, { accountOf, revokeGrant }: RevocationParts): Promise<JsonAnswer> {
  const sub = await accountOf(token)
  if (sub === undefined) return { status: 400, body: { error: 'invalid_token' } }
  revokeGrant(sub)
  return { status: 200, body: {} }
}

async function atGithub(
  request: IncomingMessage,
  token: string,
  parts: RevocationParts,
): Promise<JsonAnswer> {
  // RFC 6749 §2.3.1.
  const [id, secret] = [parts.clientId, parts.clientSecret].map(part =>
    `${new URLSearchParams([['', part]])}`.slice(1),
  )
  const expected = `Basic ${btoa(`${id}:${secret}`)}`
  if (request.headers.authorization !== expected) return { status: 401, body: { message: 'Bad credentials' } }
  const sub = request.method === 'DELETE' ? await parts.accountOfAccessToken(token) : undefined
  if (sub === undefined) return { status: 404, body: { message: 'Not Found' } }
  parts.revokeGrant(sub)
  return { status: 204 }
}

async function atSlack(token: string, parts: RevocationParts): Promise<JsonAnswer> {
  const sub = await parts.accountOfAccessToken(token)
  if (sub === undefined) return { status: 200, body: { ok: false, error: 'invalid_auth' } }
  parts.revokeGrant(sub)
  return { status: 200, body: { ok: true, revoked: true } }
}
