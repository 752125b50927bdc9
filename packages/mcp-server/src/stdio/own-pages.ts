import { ConfigurationError } from '@sallyport/oauth'
import { jsonResponse } from '../json-response.ts'
import { type Listener, listen } from '../listen.ts'
import { isLoopback } from '../loopback.ts'
import { metadataPath } from '../protected-resource-metadata.ts'

/** The server's own pages, for links that are given out over stdio: sign-in, consent, connecting a provider. */
export interface OwnPages {
  /**
   * Makes sure that somebody serves them.
   *
   * @throws {ConfigurationError} when another program has the port
   */
  open(): Promise<void>
  close(): Promise<void>
}

const timeoutMs = 2_000

/**
 * Serves the pages from this process, as soon as a link needs them. When the port is taken by another process of the
 * same server, which shares its store, that one serves them. A public URL that is not of this machine is served there.
 *
 * @param options.serve answers what is no page of MCP; the MCP endpoint stays shut, stdio is for one client
 */
export function createOwnPages(options: {
  publicUrl: string
  port: number
  serve: (request: Request, info: { remoteAddress?: string }) => Promise<Response>
}): OwnPages {
  const { publicUrl, port, serve } = options
  let listener: Listener | undefined
  let opening: Promise<void> | undefined

  async function bind(): Promise<void> {
    if (listener || !isLoopback(new URL(publicUrl).hostname)) return
    try {
      listener = await listen(
        async (request, info) =>
          new URL(request.url).pathname === '/mcp'
            ? jsonResponse({ error: 'not_found' }, 404)
            : serve(request, info),
        { port, host: '127.0.0.1' },
      )
    } catch (error) {
      if (!(error instanceof ConfigurationError) || !(await isSibling())) throw error
    }
  }

  /** Asked each time: the process that had the port may have ended. */
  async function isSibling(): Promise<boolean> {
    try {
      const response = await fetch(publicUrl + metadataPath, {
        redirect: 'error',
        signal: AbortSignal.timeout(timeoutMs),
      })
      const metadata: unknown = await response.json()
      return (metadata as { resource?: unknown } | null)?.resource === `${publicUrl}/mcp`
    } catch {
      return false
    }
  }

  return {
    open() {
      opening ??= bind().finally(() => {
        opening = undefined
      })
      return opening
    },
    async close() {
      await opening?.catch(() => {})
      await listener?.close(0)
    },
  }
}
