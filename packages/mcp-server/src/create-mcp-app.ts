import { inRequest } from '@sallyport/oauth'
import { Hono } from 'hono'
import { limitBody } from './body-limit.ts'
import type { ClientAddress } from './client-address.ts'
import type { HttpLayers } from './composition/http-middleware.ts'
import { failureResponse } from './failure-response.ts'
import type { HostCheck } from './host-check.ts'
import { jsonResponse } from './json-response.ts'
import type { McpEndpoint } from './mount-mcp.ts'
import {
  metadataPath,
  metadataResponse,
  type ProtectedResourceMetadata,
  rootMetadataPath,
} from './protected-resource-metadata.ts'
import { redact } from './redact.ts'
import type { RequestEnvironment } from './request-environment.ts'
import { secureResponse } from './secure-response.ts'
import type { ToolLog } from './tools/call-context.ts'

/** What the app serves; known once the server's address is. */
export interface Served {
  hostCheck: HostCheck
  mcp: McpEndpoint
  /** Absent: a server without sign-in. */
  oauth?: {
    handle(request: Request, info?: { remoteAddress?: string }): Promise<Response | undefined>
    metadata: ProtectedResourceMetadata
  }
  /** Rejects when the store cannot answer. */
  checkHealth(): Promise<void>
  /** Address of the client that a request comes from. */
  clientAddress: ClientAddress
  https: boolean
  /** Largest body, in bytes, of requests that are not ours to judge. */
  maxBodyBytes: number
}

/** Bodies of OAuth requests are small. */
const maxOAuthBodyBytes = 65_536

const mcpPath = '/mcp'

/** What the server answers itself; other well-known documents are the host's. */
const ownPath =
  /^\/(mcp|account|health|oauth\/.+|\.well-known\/(oauth-protected-resource(\/mcp)?|oauth-authorization-server|openid-configuration))$/

/** Whether a path is the server's own, apart from routes that the developer adds. */
export const isOwnPath = (path: string): boolean => ownPath.test(path)

/**
 * The whole server as one Hono app. Mounts stand in the order a request meets them; routes that the developer
 * adds to the app come last.
 */
export function createMcpApp(
  served: () => Promise<Served>,
  log: () => ToolLog,
  http: HttpLayers,
): Hono<{ Bindings: RequestEnvironment }> {
  const app = new Hono<{ Bindings: RequestEnvironment }>()

  // One id for everything that is told of a request (R191).
  app.use('*', (c, next) =>
    inRequest(async () => {
      await next()
      const secured = secureResponse(c.res, (await served()).https)
      // Emptied first: Hono would copy the old headers over the new ones.
      c.res = undefined
      c.res = secured
      // Method, path and status only: queries, headers and bodies carry codes, states and tokens (R188).
      log().debug({ method: c.req.method, path: loggedPath(c.req.path), status: c.res.status }, 'request')
    }),
  )

  // Before the host check: probes of load balancers and containers call by address, and learn one word.
  app.get('/health', async () => {
    try {
      await (await served()).checkHealth()
      return jsonResponse({ status: 'ok' })
    } catch (error) {
      log().error({ err: error }, 'health check failed')
      return jsonResponse({ status: 'unavailable' }, 503)
    }
  })

  app.use('*', async (c, next) => (await served()).hostCheck.checkHost(c.req.raw) ?? next())

  app.use('*', async (c, next) => http.run((await served()).maxBodyBytes)(c, next))

  app.all(mcpPath, async c => {
    const { hostCheck, mcp } = await served()
    // The router decodes paths, what stands in front of it may not: only the plain spelling is the endpoint (R152).
    if (new URL(c.req.raw.url).pathname !== mcpPath) return notFound()
    const origin = c.req.header('origin')
    const refused = hostCheck.checkOrigin(c.req.raw)
    if (refused) return refused
    const response = c.req.method === 'OPTIONS' ? preflight() : await mcp.handle(c.req.raw)
    return origin !== undefined && hostCheck.isAllowedOrigin(origin) ? readableBy(origin, response) : response
  })

  app.use('*', async (c, next) => {
    const { oauth, maxBodyBytes, clientAddress } = await served()
    const { pathname } = new URL(c.req.raw.url)
    const isOAuth = /^\/(oauth|\.well-known)\/|^\/account$/.test(pathname)
    const request = await limitBody(c.req.raw, isOAuth ? maxOAuthBodyBytes : maxBodyBytes)
    if (request instanceof Response) return request
    c.req.raw = request
    if (oauth && (pathname === metadataPath || pathname === rootMetadataPath)) {
      return metadataResponse(request, oauth.metadata)
    }
    if (!oauth) return next()
    const remoteAddress = isOAuth ? clientAddress(peerAddress(c.env), request.headers) : undefined
    return (await oauth.handle(request, remoteAddress === undefined ? {} : { remoteAddress })) ?? next()
  })

  app.notFound(c => (c.req.path === '/favicon.ico' ? noIcon() : notFound()))
  app.onError(error => failureResponse(error, log()))
  return app
}

/** A path without what could open something: the id in a link, or whatever a client put there by mistake. */
const loggedPath = (path: string): string =>
  redact(path.replace(/^(\/oauth\/[^/]+\/).+/, '$1…')).slice(0, 200)

const peerAddress = (environment: RequestEnvironment | undefined): string | undefined =>
  environment?.remoteAddress ?? environment?.incoming?.socket?.remoteAddress

const notFound = (): Response => jsonResponse({ error: 'not_found' }, 404)

/** Browsers ask for an icon of every page; that there is none is no error to report. */
const noIcon = (): Response =>
  new Response(null, { status: 204, headers: { 'Cache-Control': 'public, max-age=86400' } })

/** Answers a preflight, of allowed origins only; it has no effect (R152). */
const preflight = (): Response =>
  new Response(null, {
    status: 204,
    headers: {
      Allow: 'POST',
      'Access-Control-Allow-Methods': 'POST, GET, DELETE',
      'Access-Control-Allow-Headers':
        'Authorization, Content-Type, Accept, DPoP, MCP-Protocol-Version, Mcp-Method, Mcp-Name, Mcp-Session-Id, Last-Event-ID',
      'Access-Control-Max-Age': '7200',
    },
  })

/** Lets pages of one origin read the answer; never with cookies. */
function readableBy(origin: string, response: Response): Response {
  const readable = new Response(response.body, response)
  readable.headers.set('Access-Control-Allow-Origin', origin)
  readable.headers.set(
    'Access-Control-Expose-Headers',
    'WWW-Authenticate, Retry-After, DPoP-Nonce, Mcp-Session-Id',
  )
  readable.headers.append('Vary', 'Origin')
  return readable
}
