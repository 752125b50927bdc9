import { createHash } from 'node:crypto'
import { createMemoryStore, developmentSignIn } from '@sallyport/oauth'
import { mcpRequest } from './mcp-request.fixture.ts'
import { createBrowser, type Serve } from './testing/browser.ts'

export const redirectUri = 'http://127.0.0.1:4999/callback'
const verifier = 'a-code-verifier-of-a-test-client-0123456789'

/** Options of a server that signs its users in by their names, holds all in memory, and logs nothing. */
export const testSignIn = () => ({
  signIn: developmentSignIn(),
  store: createMemoryStore({ tenant: 'default' }),
  secrets: 'a-secret-for-tests-that-is-long-enough-0123456789',
  environment: {},
  logLevel: 'silent' as const,
})

const json = async (response: Response) => (await response.json()) as Record<string, unknown>

/** A client that registers itself unless it has an id, and a user who agrees to everything on plain pages. */
export function createTestClient(serve: Serve, origin: string, configuredId?: string) {
  const { browse, submit, visited, pages } = createBrowser(serve, origin)
  let clientId = configuredId

  async function register(): Promise<string> {
    const response = await serve(
      new Request(`${origin}/oauth/register`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          client_name: 'Test client',
          redirect_uris: [redirectUri],
          token_endpoint_auth_method: 'none',
        }),
      }),
    )
    return String((await json(response)).client_id)
  }

  return {
    visited,
    pages,
    browse,
    submit,
    /**
     * Signs in; pages that ask for a name get `name`. Away from the server, `elsewhere` says where the browser
     * comes back to.
     */
    async signIn(
      options: { scope?: string; name?: string; elsewhere?: (url: URL) => string } = {},
    ): Promise<Record<string, unknown>> {
      clientId ??= await register()
      const authorize = new URL(`${origin}/oauth/authorize`)
      authorize.search = new URLSearchParams({
        client_id: clientId,
        redirect_uri: redirectUri,
        response_type: 'code',
        code_challenge: createHash('sha256').update(verifier).digest('base64url'),
        code_challenge_method: 'S256',
        state: 'state-of-the-client',
        resource: `${origin}/mcp`,
        ...(options.scope !== undefined && { scope: options.scope }),
      }).toString()
      let page = await browse(authorize.href)
      for (let steps = 0; steps < 8 && !page.url.href.startsWith(redirectUri); steps++) {
        if (page.html === undefined) {
          if (!options.elsewhere) throw new Error(`sent to ${page.url.href}`)
          page = await browse(options.elsewhere(page.url))
        } else
          page = await submit(page, { ...(/name="name"/.test(page.html) && { name: options.name ?? 'ada' }) })
      }
      const code = page.url.searchParams.get('code')
      if (code === null) throw new Error(`no code: ${page.url.href}\n${pages.at(-1)}`)
      return this.token({
        grant_type: 'authorization_code',
        code,
        redirect_uri: redirectUri,
        code_verifier: verifier,
      })
    },
    /** One request of the token endpoint. */
    async token(parameters: Record<string, string>): Promise<Record<string, unknown>> {
      const response = await serve(
        new Request(`${origin}/oauth/token`, {
          method: 'POST',
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
          body: new URLSearchParams({ ...parameters, client_id: clientId ?? '', resource: `${origin}/mcp` }),
        }),
      )
      return json(response)
    },
    async revoke(token: string): Promise<number> {
      const response = await serve(
        new Request(`${origin}/oauth/revoke`, {
          method: 'POST',
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
          body: new URLSearchParams({ token, client_id: clientId ?? '' }),
        }),
      )
      return response.status
    },
    /** Calls a tool as a 2025-era script does, with JSON only. */
    call(tool: string, args: Record<string, unknown> = {}, token?: unknown): Promise<Response> {
      const message = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: tool, arguments: args } }
      return serve(mcpRequest(origin, message, { token, headers: { accept: 'application/json' } }))
    },
  }
}

/** The text of a tool's result. */
export async function textOf(response: Response): Promise<string | undefined> {
  const { result } = (await response.json()) as { result?: { content?: { text?: string }[] } }
  return result?.content?.[0]?.text
}
