import type { Client } from '@modelcontextprotocol/client'
import { isModern } from './connect-remote.ts'

/** The resources that one connection follows at its remote server. */
export interface RemoteFollowing {
  /** Brings what is followed there in line with this. A remote server that cannot tell of changes is left alone. */
  follow(uris: ReadonlySet<string>): Promise<void>
}

/** How long a remote server may take to agree, in milliseconds. */
const followMs = 10_000

/**
 * Creates the following of a connection, which follows nothing yet.
 *
 * @param onEnded told when the remote server ends what it had agreed to
 */
export function createRemoteFollowing(client: Client, onEnded: () => void): RemoteFollowing {
  const canFollow = client.getServerCapabilities()?.resources?.subscribe === true
  const followed = new Set<string>()
  let subscription: Awaited<ReturnType<Client['listen']>> | undefined
  let last: Promise<unknown> = Promise.resolve()

  /** Since 2026-07-28: one request for all. The next one is there before the last one goes, so that nothing is missed. */
  async function listen(uris: ReadonlySet<string>): Promise<void> {
    const before = subscription
    const next =
      uris.size > 0
        ? await client.listen({ resourceSubscriptions: [...uris] }, { timeout: followMs })
        : undefined
    subscription = next
    next?.closed.then(cause => {
      if (cause === 'remote' && subscription === next) onEnded()
    })
    await before?.close()
  }
  /** Before: one request for each. */
  async function subscribe(uris: ReadonlySet<string>): Promise<void> {
    for (const uri of [...followed].filter(uri => !uris.has(uri))) {
      followed.delete(uri)
      await client.unsubscribeResource({ uri }, { timeout: followMs })
    }
    const missing = [...uris].filter(uri => !followed.has(uri))
    // One that has forgotten the session does not say so unless it is asked.
    for (const uri of missing.length > 0 ? missing : [...uris].slice(0, 1)) {
      // One that the remote server does not know is no reason to miss the others.
      await client.subscribeResource({ uri }, { timeout: followMs }).catch(rethrowUnlessRefused)
      followed.add(uri)
    }
  }
  async function change(uris: ReadonlySet<string>): Promise<void> {
    if (!isModern(client)) return subscribe(uris)
    if (uris.size === followed.size && [...uris].every(uri => followed.has(uri))) return
    await listen(uris)
    followed.clear()
    for (const uri of uris) followed.add(uri)
  }

  return {
    follow(uris) {
      if (!canFollow) return Promise.resolve()
      const turn = last.then(() => change(uris))
      last = turn.catch(() => {})
      return turn
    },
  }
}

/** An answer of the remote server that says no, unlike one that did not come. */
function rethrowUnlessRefused(error: unknown): void {
  const { code } = Object(error) as { code?: unknown }
  if (typeof code !== 'number' || code >= 0) throw error
}
