import type { Context, RequestInfo } from './context.ts'
import { browserErrorResponse, placeOf } from './endpoints/browser-endpoint.ts'
import { errorResponse } from './endpoints/respond.ts'
import { refusalPage } from './pages/error-page.ts'
import { inRequest } from './request-scope.ts'
import { matchesPath, type Route } from './route.ts'

/** What a page of another origin may send and read (R94): no credentials, so that `*` gives nobody's session away. */
const corsHeaders = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Expose-Headers': 'WWW-Authenticate, Retry-After, DPoP-Nonce',
}
const preflightHeaders = {
  'Access-Control-Allow-Headers': 'Authorization, Content-Type, DPoP, MCP-Protocol-Version',
  'Access-Control-Max-Age': '86400',
}

/** Answers a request, or returns undefined when the path is none of ours. Never throws. */
export type RequestHandler = (request: Request, info?: RequestInfo) => Promise<Response | undefined>

/**
 * Finds the route by path and method, runs its endpoint and turns what it throws into HTTP. Of the request's
 * URL only the path counts: its host is whatever the caller says it is (R3).
 */
export function createRequestHandler(context: Context, routes: readonly Route[]): RequestHandler {
  return async (request, info = {}) => {
    const { pathname } = new URL(request.url)
    const candidates = routes.filter(route => matchesPath(route.path, pathname))
    const first = candidates[0]
    if (!first) return undefined
    const limits = context.limits.from(info.remoteAddress)
    const response = await inRequest(() => answer({ ...context, limits }, candidates, request, info), {
      limitsStoreWait: true,
      ...(limits.sourceHash !== undefined && { sourceHash: limits.sourceHash }),
    })
    if (first.cors === 'open') {
      for (const [name, value] of Object.entries(corsHeaders)) response.headers.set(name, value)
    }
    return response
  }
}

/** R82. Who opens the address of a page they have answered, from the history or a closed window, gets a page. */
function notAllowed(context: Context, allowed: string, isPage: boolean): Response {
  const page = isPage ? refusalPage(placeOf(context), 'page_ended') : undefined
  const headers = new Headers(page?.headers ?? { 'Cache-Control': 'no-store' })
  headers.set('Allow', allowed)
  return new Response(page?.body ?? null, { status: 405, headers })
}

async function answer(
  context: Context,
  candidates: readonly Route[],
  request: Request,
  info: RequestInfo,
): Promise<Response> {
  const allowed = candidates
    .flatMap(route => (route.readOnly ? [route.method, 'HEAD'] : [route.method]))
    .join(', ')
  if (request.method === 'OPTIONS' && candidates[0]?.cors === 'open') {
    return new Response(null, {
      status: 204,
      headers: { ...preflightHeaders, 'Access-Control-Allow-Methods': allowed },
    })
  }
  const isHead = request.method === 'HEAD'
  const route = candidates.find(({ method, readOnly }) =>
    isHead ? readOnly && method === 'GET' : method === request.method,
  )
  if (!route) {
    return notAllowed(context, allowed, request.method === 'GET' && candidates[0]?.cors === 'none')
  }
  let response: Response
  try {
    if (route.limit) await context.limits.countSource(route.limit)
    response = await route.handler(context, request, info)
  } catch (error) {
    // The route's pattern, not the path: a path can hold a state or a link id.
    response =
      route.cors === 'none'
        ? browserErrorResponse(context, error, route.path)
        : errorResponse(error, context.emit, route.path)
  }
  return isHead ? new Response(null, { status: response.status, headers: response.headers }) : response
}
