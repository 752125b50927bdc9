import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Account } from './accounts.ts'
import { type JsonAnswer, sendJson } from './http.ts'
import { googleScopes, type UpstreamKind } from './kinds.ts'
import { notionError } from './quirks.ts'

/** A request that carries a live access token. */
export interface ApiCaller {
  account: Account
  scopes: readonly string[]
}

const googleError = (code: number, status: string, message: string): JsonAnswer => ({
  status: code,
  body: { error: { code, message, status } },
})

const linkedinError = (
  status: number,
  code: string,
  message: string,
  serviceErrorCode?: number,
): JsonAnswer => ({
  status,
  body: { status, ...(serviceErrorCode === undefined ? {} : { serviceErrorCode }), code, message },
})

const unauthorizedAnswers: Record<UpstreamKind, JsonAnswer> = {
  oidc: { status: 401, body: { error: 'invalid_token' } },
  google: googleError(401, 'UNAUTHENTICATED', 'Request had invalid authentication credentials.'),
  linkedin: linkedinError(401, 'INVALID_ACCESS_TOKEN', 'Invalid access token', 65600),
  github: { status: 401, body: { message: 'Bad credentials' } },
  microsoft: { status: 401, body: { error: { code: 'InvalidAuthenticationToken' } } },
  slack: { status: 200, body: { ok: false, error: 'invalid_auth' } },
  notion: { status: 401, body: notionError(401, 'unauthorized') },
}

function unauthorized(kind: UpstreamKind): JsonAnswer {
  const challenge = { 'www-authenticate': 'Bearer error="invalid_token"' }
  return { ...unauthorizedAnswers[kind], headers: challenge }
}

/** Numeric id of a GitHub user. */
const githubId = ({ sub }: Account) => Number(sub.slice(-8))

const githubLogin = ({ email }: Account) => email.split('@')[0]

/** Issues assigned to the user: one in a public repository, and with `repo` one in a private one. */
function listIssues(url: URL, { account, scopes }: ApiCaller): JsonAnswer {
  const issue = (number: number, repository: string, title: string) => ({
    id: number,
    number,
    title,
    state: 'open',
    html_url: `https://github.com/${repository}/issues/${number}`,
    repository: { full_name: repository },
    user: { login: githubLogin(account), id: githubId(account) },
  })
  const open = [
    issue(7, 'upstream/docs', `Typo found by ${account.name}`),
    ...(scopes.includes('repo') ? [issue(3, 'upstream/secret', 'The gate squeaks')] : []),
  ]
  return { status: 200, body: url.searchParams.get('state') === 'closed' ? [] : open }
}

const readers: readonly string[] = [
  googleScopes.calendar,
  googleScopes.calendarReadonly,
  googleScopes.calendarEvents,
  googleScopes.calendarEventsReadonly,
]

function listEvents(url: URL, { account, scopes }: ApiCaller): JsonAnswer {
  if (!scopes.some(scope => readers.includes(scope)))
    return googleError(403, 'PERMISSION_DENIED', 'Request had insufficient authentication scopes.')
  const day = (url.searchParams.get('timeMin') ?? '2026-11-20T00:00:00Z').slice(0, 10)
  return {
    status: 200,
    body: {
      kind: 'calendar#events',
      summary: account.email,
      timeZone: 'UTC',
      items: [
        {
          kind: 'calendar#event',
          id: `standup-${day}`,
          status: 'confirmed',
          summary: `Stand-up of ${account.name}`,
          start: { dateTime: `${day}T09:00:00Z` },
          end: { dateTime: `${day}T09:15:00Z` },
        },
      ],
    },
  }
}

function createPost(request: IncomingMessage, body: string, { scopes }: ApiCaller): JsonAnswer {
  const version = request.headers['linkedin-version']
  if (typeof version !== 'string' || !/^\d{6}$/.test(version))
    return linkedinError(400, 'VERSION_MISSING', 'A version must be present. Please specify a version.')
  // Versions live for a year, then the API answers 426.
  if (version < '202512')
    return linkedinError(426, 'NONEXISTENT_VERSION', `Requested version ${version} is not active`)
  if (request.headers['x-restli-protocol-version'] !== '2.0.0')
    return linkedinError(400, 'BAD_REQUEST', 'X-Restli-Protocol-Version must be 2.0.0')
  if (!scopes.includes('w_member_social'))
    return linkedinError(403, 'ACCESS_DENIED', 'Not enough permissions to access: posts.CREATE', 100)
  const post = parseObject(body)
  for (const field of ['author', 'commentary', 'visibility', 'distribution', 'lifecycleState'])
    if (post?.[field] === undefined)
      return linkedinError(422, 'MISSING_FIELD', `/${field} :: field is required but not found`)
  return { status: 201, headers: { 'x-restli-id': 'urn:li:share:7000000000000000001' } }
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

function route(
  kind: UpstreamKind,
  request: IncomingMessage,
  url: URL,
  body: string,
  caller: ApiCaller,
): JsonAnswer {
  const operation = `${request.method} ${url.pathname}`
  if (operation === 'GET /api/profile') return { status: 200, body: caller.account }
  if (kind === 'google' && operation === 'GET /calendar/v3/calendars/primary/events')
    return listEvents(url, caller)
  if (kind === 'github' && operation === 'GET /user') {
    const { account } = caller
    const body = { login: githubLogin(account), id: githubId(account), name: account.name, type: 'User' }
    return { status: 200, body }
  }
  if (kind === 'github' && operation === 'GET /issues') return listIssues(url, caller)
  if (kind === 'linkedin' && operation === 'POST /rest/posts') return createPost(request, body, caller)
  return { status: 404, body: { error: 'not_found' } }
}

/** The upstream's API: what tools call with the user's access token. */
export function answerApi(
  kind: UpstreamKind,
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
  body: string,
  caller: ApiCaller | undefined,
): void {
  const answer = caller === undefined ? unauthorized(kind) : route(kind, request, url, body, caller)
  sendJson(response, answer)
}
