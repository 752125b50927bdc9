import type { Dispatcher } from 'undici'
import { frontPaths, type Ready, redirectUri, verifier } from './contender.ts'

/** What is measured, in the order it is measured: each takes what the one before it left. */
export const operations = [
  'code exchange',
  'refresh',
  'verify a new token',
  'verify a known token',
  'nothing (the front alone)',
] as const
export type Operation = (typeof operations)[number]

/** Tokens of one round. */
export interface RoundTokens {
  codes: string[]
  refreshTokens: string[]
  accessTokens: string[]
}

/** The requests of one operation: as many as there are tokens. */
export function requestsOf(
  operation: Operation,
  { tokenPath, clientId }: Ready,
  { codes, refreshTokens, accessTokens }: RoundTokens,
): Dispatcher.RequestOptions[] {
  const post = (parameters: Record<string, string>): Dispatcher.RequestOptions => ({
    method: 'POST',
    path: tokenPath,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ client_id: clientId, ...parameters }).toString(),
  })
  switch (operation) {
    case 'code exchange':
      return codes.map(code =>
        post({
          grant_type: 'authorization_code',
          code,
          code_verifier: verifier,
          redirect_uri: redirectUri,
        }),
      )
    case 'refresh':
      return refreshTokens.map(token => post({ grant_type: 'refresh_token', refresh_token: token }))
    case 'verify a new token':
    case 'verify a known token':
      return accessTokens.map(token => ({
        method: 'GET',
        path: frontPaths.verify,
        headers: { authorization: `Bearer ${token}` },
      }))
    case 'nothing (the front alone)':
      return accessTokens.map(token => ({
        method: 'GET',
        path: frontPaths.nothing,
        headers: { authorization: `Bearer ${token}` },
      }))
  }
}

/** Takes the tokens out of the answers of a token endpoint, for the operations that follow. */
export function collectTokens(tokens: RoundTokens, bodies: readonly string[]): void {
  const answers = bodies.map(body => JSON.parse(body) as { access_token: string; refresh_token: string })
  tokens.accessTokens = answers.map(answer => answer.access_token)
  tokens.refreshTokens = answers.map(answer => answer.refresh_token)
}
