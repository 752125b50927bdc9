import type { Endpoint } from '../context.ts'
import { json } from './respond.ts'

/**
 * The keys our access tokens are verified with (RFC 7517 §5), public members only. A key is published a day
 * before it signs, so caches may keep the document for a while.
 */
export const jwks: Endpoint = async context =>
  json(await context.signingKeys.jwks(), { headers: { 'Cache-Control': 'public, max-age=300' } })
