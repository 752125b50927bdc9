import type { IncomingHttpHeaders } from 'node:http'
import type { Account } from './accounts.ts'
import type { EndpointName, UpstreamKind } from './kinds.ts'
import { bareScope, googleScopes, offlineScope } from './kinds.ts'

/** A request on its way to the OpenID provider. */
export interface Passing {
  url: URL
  headers: IncomingHttpHeaders
  form: URLSearchParams | undefined
}

/** An answer given in the OpenID provider's place. */
export interface Refusal {
  status: number
  body: object
}

/** What a provider does to a request before its own rules see it. */
export function adaptRequest(
  kind: UpstreamKind,
  endpoint: EndpointName | undefined,
  passing: Passing,
): Refusal | undefined {
  const { url, headers, form } = passing
  if (kind === 'linkedin') return adaptForLinkedin(endpoint, passing)
  if (endpoint === 'authorize' && (kind === 'github' || kind === 'notion')) {
    const scope = kind === 'github' ? url.searchParams.get('scope') : undefined
    url.searchParams.set('scope', scope || bareScope)
  }
  if (kind === 'microsoft' && endpoint === 'authorize') {
    const scope = url.searchParams.get('scope') ?? ''
    url.searchParams.set('scope', scope.replace('offline_access', offlineScope))
  }
  if (kind === 'slack' && endpoint === 'authorize') {
    // `scope` would install a bot.
    url.searchParams.set('scope', (url.searchParams.get('user_scope') ?? '').replaceAll(',', ' '))
    if (url.searchParams.get('scope') === '') return { status: 400, body: { ok: false, error: 'no_scopes' } }
  }
  if (kind === 'notion' && endpoint === 'authorize') {
    if (url.searchParams.get('owner') !== 'user')
      return { status: 400, body: notionError(400, 'validation_error') }
  }
  if (kind === 'notion' && endpoint === 'token') {
    if (form === undefined) return { status: 400, body: notionError(400, 'invalid_json') }
    if (headers['notion-version'] === undefined)
      return { status: 400, body: notionError(400, 'missing_version') }
  }
  return undefined
}

function adaptForLinkedin(
  endpoint: EndpointName | undefined,
  { url, headers, form }: Passing,
): Refusal | undefined {
  if (endpoint === 'authorize')
    for (const ignored of ['nonce', 'code_challenge', 'code_challenge_method'])
      url.searchParams.delete(ignored)
  // The web flow takes a code verifier for a failed client authentication, and knows no Basic scheme.
  if (endpoint === 'token' && (form?.has('code_verifier') || headers.authorization !== undefined))
    return {
      status: 401,
      body: { error: 'invalid_client', error_description: 'Client authentication failed' },
    }
  return undefined
}

/** An error of Notion's API. */
export const notionError = (status: number, code: string): object => ({
  object: 'error',
  status,
  code,
  message: 'Words of the service.',
})

/** A token reply on its way to the client. */
export interface PassingReply {
  grantType: string | undefined
  /** Standard members. */
  reply: Record<string, unknown>
  /** Whose tokens they are, if they are. */
  account: Account | undefined
  refreshTokenSecondsLeft(): number | undefined
}

/** What a provider makes of a standard token reply. Changes `reply`; a status is returned where it is another. */
export function adaptTokenReply(kind: UpstreamKind, passing: PassingReply): number | undefined {
  return replyAdapters[kind]?.(passing)
}

const replyAdapters: Partial<Record<UpstreamKind, (passing: PassingReply) => number | undefined>> = {
  google({ grantType, reply }) {
    if (typeof reply.scope === 'string') reply.scope = fullUris(reply.scope)
    // Google does not rotate, and repeats nothing.
    if (grantType === 'refresh_token') delete reply.refresh_token
    return undefined
  },
  linkedin({ grantType, reply, refreshTokenSecondsLeft }) {
    if (grantType === 'refresh_token' && reply.error === 'invalid_grant') {
      reply.error = 'invalid_request'
      reply.error_description =
        'The provided authorization grant or refresh token is invalid, expired or revoked'
    }
    if (typeof reply.refresh_token === 'string') reply.refresh_token_expires_in = refreshTokenSecondsLeft()
    return undefined
  },
  github({ grantType, reply, refreshTokenSecondsLeft }) {
    if (typeof reply.error === 'string') {
      const dead = grantType === 'refresh_token' ? 'bad_refresh_token' : 'bad_verification_code'
      const codes: Record<string, string> = {
        invalid_grant: dead,
        invalid_client: 'incorrect_client_credentials',
      }
      replaceMembers(reply, {
        error: codes[reply.error] ?? reply.error,
        error_description: 'Words of the service.',
      })
      return 200
    }
    reply.token_type = 'bearer'
    const scope = String(reply.scope ?? '')
      .replaceAll(' ', ',')
      .replace(bareScope, '')
    if (typeof reply.refresh_token === 'string') {
      // A GitHub App has no scopes.
      Object.assign(reply, { scope: '', refresh_token_expires_in: refreshTokenSecondsLeft() })
    } else {
      delete reply.expires_in
      reply.scope = scope
    }
    return undefined
  },
  microsoft({ reply }) {
    if (typeof reply.error !== 'string') {
      reply.scope = String(reply.scope ?? '')
        .split(' ')
        .filter(scope => scope !== offlineScope)
        .map(scope => (/[A-Z]/.test(scope) ? `https://graph.microsoft.com/${scope}` : scope))
        .join(' ')
      return undefined
    }
    const numbers: Record<string, number> = { invalid_grant: 70_000, invalid_client: 7_000_215 }
    const number = numbers[reply.error] ?? 900_144
    Object.assign(reply, {
      error_description: `AADSTS${number}: Words of the service.`,
      error_codes: [number],
      ...(reply.error === 'invalid_grant' && { suberror: 'bad_token' }),
    })
    return undefined
  },
  slack({ grantType, reply, account }) {
    if (typeof reply.error === 'string') {
      const codes: Record<string, string> = {
        invalid_grant: grantType === 'refresh_token' ? 'invalid_refresh_token' : 'invalid_code',
        invalid_client: 'bad_client_secret',
      }
      replaceMembers(reply, { ok: false, error: codes[reply.error] ?? reply.error })
      return 200
    }
    const { access_token, refresh_token, expires_in, scope } = reply
    const user = {
      access_token,
      token_type: 'user',
      scope: String(scope ?? '').replaceAll(' ', ','),
      ...(refresh_token !== undefined && { refresh_token, expires_in }),
    }
    const team = { id: 'T0UPSTREAM', name: 'Upstream' }
    const common = { ok: true, app_id: 'A0UPSTREAM', team, enterprise: null }
    replaceMembers(
      reply,
      grantType === 'refresh_token'
        ? { ...common, ...user }
        : { ...common, authed_user: { id: slackUserId(account?.sub ?? ''), ...user } },
    )
    return undefined
  },
  notion({ reply, account }) {
    if (typeof reply.error === 'string') return undefined
    const { access_token, refresh_token = null } = reply
    replaceMembers(reply, {
      access_token,
      refresh_token,
      token_type: 'bearer',
      bot_id: guidOf(account?.sub ?? '', 'b'),
      workspace_id: guidOf('', 'a'),
      workspace_name: 'Upstream',
      workspace_icon: null,
      owner: {
        type: 'user',
        user: { object: 'user', id: guidOf(account?.sub ?? '', 'c'), name: account?.name },
      },
      duplicated_template_id: null,
      request_id: guidOf('', 'd'),
    })
    return undefined
  },
}

function replaceMembers(reply: Record<string, unknown>, members: Record<string, unknown>): void {
  for (const name of Object.keys(reply)) delete reply[name]
  Object.assign(reply, members)
}

/** Slack's id of an account. */
export const slackUserId = (sub: string): string => `U${sub.slice(-8)}`

/** A GUID that stands for an account; another one for each `kind` digit. */
export const guidOf = (sub: string, kind: string): string =>
  `0000000${kind}-0000-4000-8000-${sub.slice(-12).padStart(12, '0')}`

function fullUris(scope: string): string {
  const names: Record<string, string> = { email: googleScopes.email, profile: googleScopes.profile }
  return [...new Set(scope.split(' ').map(name => names[name] ?? name))].join(' ')
}

/** What a provider adds to, or leaves out of, its redirect back to the client. */
export function adaptCallback(kind: UpstreamKind, callback: URL): void {
  if (!['oidc', 'google'].includes(kind)) callback.searchParams.delete('iss')
  if (kind === 'google' && callback.searchParams.has('code')) {
    callback.searchParams.set('authuser', '0')
    callback.searchParams.set('prompt', 'consent')
  }
}
