import type { Context, Endpoint } from '../context.ts'
import { OAuthError } from '../errors.ts'
import { oauthErrorPage, refusalPage, troublePage } from '../pages/error-page.ts'
import { PageRefusal } from '../pages/refusal.ts'
import { errorResponse } from './respond.ts'

/** Where the user is, for the head of each page. */
export const placeOf = ({ serverName, issuer }: Pick<Context, 'serverName' | 'issuer'>) => ({
  serverName,
  serverHost: new URL(issuer).host,
})

/**
 * An endpoint that a browser navigates to: whatever it throws becomes a page for its user, never JSON and never a
 * redirect. Trouble of ours is told to the event sink as everywhere else.
 *
 * @param step name of the endpoint, for the event
 */
export function browserEndpoint(step: string, endpoint: Endpoint): Endpoint {
  return async (context, request, info) => {
    try {
      return await endpoint(context, request, info)
    } catch (error) {
      return browserErrorResponse(context, error, step)
    }
  }
}

/** The page for what an endpoint threw. */
export function browserErrorResponse(context: Context, error: unknown, step: string): Response {
  if (error instanceof PageRefusal) return refusalPage(placeOf(context), error.reason)
  if (error instanceof OAuthError) return oauthErrorPage(placeOf(context), error)
  errorResponse(error, context.emit, step)
  return troublePage(placeOf(context), error)
}
