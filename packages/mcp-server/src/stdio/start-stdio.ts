import { ConfigurationError } from '@sallyport/oauth'
import type { Listener } from '../calls/changes.ts'
import { createLists } from '../calls/lists.ts'
import type { CallServices } from '../calls/perform.ts'
import { judgeOperation } from '../operation.ts'
import type { Admission } from '../tools/sdk-server.ts'
import { createStdioAccess } from './access.ts'
import { createOwnPages } from './own-pages.ts'
import type { StdioParts } from './stdio-parts.ts'
import { type StdioHandle, serveOffers } from './stdio-server.ts'
import { userOfBrowser, userOfToken } from './stdio-user.ts'

/**
 * Serves over stdio for the user that `SALLYPORT_TOKEN` names, or who signs in through the browser of this machine. Each
 * request is verified anew.
 *
 * @throws {ConfigurationError} when `SALLYPORT_TOKEN` is not good here
 */
export async function startStdio(parts: StdioParts): Promise<StdioHandle> {
  const { identity, config, registry, verifier, resource, log, clock } = parts
  const { hasScopes } = parts.services
  const onError = (error: unknown) => log.warn({ reason: reasonOf(error) }, 'sign-in over stdio failed')
  const verify = (token: string) => verifier.verifyAccessToken(token, resource)
  const pages = createOwnPages({ publicUrl: parts.publicUrl, port: config.port, serve: parts.serve })
  const user =
    config.token === undefined
      ? userOfBrowser(parts, { verify, pages, onError })
      : await userOfToken(config.token, { verify, resource, log })
  const access = createStdioAccess({ ...user, hasScopes, clock, onError })

  const services: CallServices = {
    ...parts.services,
    async connectLink(link) {
      await pages.open()
      return parts.services.connectLink(link)
    },
  }
  let latest: Listener
  let onRenewed = () => {}
  const admit = async (request: object): Promise<Admission> => {
    const admission = await access(judgeOperation(request, registry, false))
    if ('caller' in admission) {
      latest = admission.caller
      onRenewed()
    }
    return admission
  }
  const lists = createLists(registry, services, parts.lists)
  const changes = parts.changes.heardBy({
    caller: () => latest,
    onRenewed(step) {
      onRenewed = step
    },
  })
  const { tasks, asking } = parts
  const handle = serveOffers({ identity, registry, services, lists, tasks }, { changes, admit, asking, log })
  return {
    async close() {
      await handle.close()
      await Promise.all([user.close?.(), pages.close()])
    },
  }
}

/** Which failure it was: errors of the OAuth library have the issuer's answer hanging on them, and codes (R188). */
function reasonOf(error: unknown): string {
  if (error instanceof ConfigurationError) return error.message
  if (!(error instanceof Error)) return 'unknown'
  const { code } = error as { code?: unknown }
  return typeof code === 'string' ? `${error.name} ${code}` : error.name
}
