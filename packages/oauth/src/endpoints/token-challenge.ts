import type { Context } from '../context.ts'
import { OAuthError, type OAuthErrorCode } from '../errors.ts'

/** How an access token was presented; undefined when it was not, or in a way that is none. */
export type TokenScheme = 'bearer' | 'dpop' | undefined

/** What is wrong with an access token, or with the proof beside it. */
interface Problem {
  code: OAuthErrorCode
  description: string
  /** What would be enough. */
  scope?: string
  headers?: Readonly<Record<string, string>>
}

/**
 * The value of a `WWW-Authenticate` header. What is wrong is told in the words of the scheme that was used; the other
 * one is offered beside Bearer when another token is needed (RFC 9449 §7.1, §7.2).
 */
export function tokenChallenge(
  { dpop }: Pick<Context, 'dpop'>,
  scheme: TokenScheme,
  problem?: Pick<Problem, 'code' | 'description' | 'scope'>,
): string {
  const parameters = problem && {
    error: problem.code,
    error_description: problem.description,
    ...(problem.scope !== undefined && { scope: problem.scope }),
  }
  const told = Object.entries(parameters ?? {}).map(([name, value]) => `${name}="${value}"`)
  const algorithms = dpop && `algs="${dpop.algorithms.join(' ')}"`
  if (scheme === 'dpop' && algorithms !== undefined) return `DPoP ${[...told, algorithms].join(', ')}`
  const bearer = ['Bearer', told.join(', ')].filter(Boolean).join(' ')
  const isOffered = algorithms !== undefined && problem?.code !== 'insufficient_scope'
  return isOffered ? `${bearer}, DPoP ${algorithms}` : bearer
}

/** The refusal of an access token: 401, or what its code has, with the challenge. */
export function tokenRefusal(
  context: Pick<Context, 'dpop'>,
  scheme: TokenScheme,
  { code, description, scope, headers }: Problem,
): OAuthError {
  const challenge = tokenChallenge(context, scheme, {
    code,
    description,
    ...(scope !== undefined && { scope }),
  })
  return new OAuthError(code, description, {
    ...(code !== 'insufficient_scope' && { status: 401 }),
    headers: { ...headers, 'WWW-Authenticate': challenge },
  })
}
