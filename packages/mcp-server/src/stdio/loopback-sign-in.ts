import { randomBytes } from 'node:crypto'
import type { Clock } from '@sallyport/oauth'
import { type Listener, listen } from '../listen.ts'
import type { HeldSignIn } from './held-sign-in.ts'
import type { LocalClient, PendingSignIn, SignInRequest } from './local-client.ts'

/** Links that sign the user of this machine in. */
export interface LoopbackSignIn {
  /** A link for the browser of this machine, good for ten minutes; the same one while the request is the same. */
  link(request: SignInRequest): Promise<string>
  close(): Promise<void>
}

const linkSeconds = 600
const maxPending = 20

interface Entry {
  key: string
  path: string
  pending: PendingSignIn
  endsAt: number
}

/**
 * Takes the browser's way back from the issuer on a port of its own (RFC 8252 §7.3), which is open from the first link
 * until the server closes.
 *
 * @param options.accept keeps a sign-in that came back; false when its token is not good here
 */
export function createLoopbackSignIn(options: {
  client: LocalClient
  accept: (held: HeldSignIn) => Promise<boolean>
  clock: Clock
  onError: (error: unknown) => void
}): LoopbackSignIn {
  const { client, accept, clock, onError } = options
  let entries: Entry[] = []
  let listener: Promise<Listener> | undefined

  const live = () => {
    entries = entries.filter(({ endsAt }) => endsAt > clock()).slice(-maxPending)
    return entries
  }

  async function answer(request: Request): Promise<Response> {
    const { host, pathname, searchParams, href } = new URL(request.url)
    const { port } = await listening()
    // A page that rebinds DNS to this machine comes under its own name (R193).
    if (host !== `127.0.0.1:${port}`) return page(403, 'Not here', 'This address is for this computer only.')
    if (request.method !== 'GET') return page(405, 'Not here', 'Open the link in a browser.')
    const started = live().find(({ path }) => path === pathname)
    if (started)
      return new Response(null, { status: 302, headers: { ...headers, Location: started.pending.url } })
    if (pathname !== '/callback') return ended()
    const state = searchParams.get('state')
    const entry = live().find(({ pending }) => pending.state === state)
    if (!entry) return ended()
    // Taken before it is used: a callback counts once.
    entries = entries.filter(other => other !== entry)
    try {
      if (await accept(await entry.pending.finish(new URL(href)))) {
        return page(200, 'Signed in', 'You can close this window, go back to your app and ask again.')
      }
      return page(403, 'Not signed in', 'The sign-in is not good for this server. Ask its operator.')
    } catch (error) {
      onError(error)
      return page(400, 'Not signed in', 'Nothing was changed. Go back to your app and ask it for a new link.')
    }
  }

  function listening(): Promise<Listener> {
    listener ??= listen(answer, { port: 0, host: '127.0.0.1' }).catch(error => {
      listener = undefined
      throw error
    })
    return listener
  }

  return {
    async link(request) {
      const { port } = await listening()
      const origin = `http://127.0.0.1:${port}`
      const key = JSON.stringify([[...request.scopes].sort(), request.maxAgeSeconds])
      const before = live().find(entry => entry.key === key)
      if (before) return origin + before.path
      const pending = await client.begin(`${origin}/callback`, request)
      // Not to be guessed by pages that would like to begin a sign-in.
      const path = `/sign-in/${randomBytes(18).toString('base64url')}`
      entries.push({ key, path, pending, endsAt: clock() + linkSeconds })
      return origin + path
    },
    async close() {
      entries = []
      await (await listener?.catch(() => undefined))?.close(0)
    },
  }
}

const headers = {
  'Cache-Control': 'no-store',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'Content-Security-Policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
}

const ended = () => page(404, 'This link has ended', 'Go back to your app and ask it for a new one.')

/** Constant texts only: nothing of a request is in a page (R64). */
const page = (status: number, title: string, text: string): Response =>
  new Response(
    `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${title}</title><link rel="icon" href="data:,">
<style>:root{color-scheme:light dark;font:1rem/1.5 system-ui,sans-serif}body{max-width:32rem;margin:4rem auto;padding:0 1rem}</style>
<h1>${title}</h1><p>${text}</p></html>`,
    { status, headers: { ...headers, 'Content-Type': 'text/html; charset=utf-8' } },
  )
