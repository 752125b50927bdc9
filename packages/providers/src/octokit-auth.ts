import type { UserAccess } from './user-access.ts'

/** A request of Octokit, as far as the adapter looks at it. */
interface OctokitEndpoint {
  url: string
  headers: Record<string, unknown>
  request?: Record<string, unknown>
}

interface OctokitRequest {
  (endpoint: OctokitEndpoint): Promise<unknown>
  endpoint: { merge(route: unknown, parameters?: unknown): OctokitEndpoint }
}

/** What Octokit calls an authentication: a function, with a hook around each request. */
export interface OctokitAuth {
  (): Promise<{ type: 'token'; tokenType: 'oauth'; token: string }>
  // biome-ignore lint/suspicious/noExplicitAny: Octokit's types are its own, and no dependency of ours.
  hook(request: any, route: any, parameters?: any): Promise<any>
}

/**
 * The `authStrategy` of Octokit for the user of a tool's call, who is given as `auth`: requests are sent as `fetch` of
 * the call does, so that the token goes to the provider's APIs only and one that is rejected is renewed once.
 */
export function octokitAuth(given: UserAccess & { octokitOptions?: { auth?: UserAccess } }): OctokitAuth {
  // Octokit gives a copy of `auth`, in which the members of a call context, an object of a class, are missing.
  const access = given.octokitOptions?.auth ?? given
  const authenticate = async () => {
    const { value } = await access.token()
    return { type: 'token' as const, tokenType: 'oauth' as const, token: value }
  }
  const send: UserAccess['fetch'] = (input, init) => access.fetch(input, init)
  return Object.assign(authenticate, {
    async hook(request: OctokitRequest, route: unknown, parameters?: unknown) {
      const endpoint = request.endpoint.merge(route, parameters)
      return request({ ...endpoint, request: { ...endpoint.request, fetch: send } })
    },
  })
}
