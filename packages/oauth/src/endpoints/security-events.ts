import type { Context, Endpoint } from '../context.ts'
import { OAuthError } from '../errors.ts'
import { sha256 } from '../protocol/hash.ts'
import { readTokenBody } from '../protocol/parameters.ts'
import {
  type SecurityEvent,
  SecurityEventError,
  type SecurityEventProblem,
  type SecurityEventReceiver,
} from '../security-events.ts'
import { signOutBrowsers } from '../sign-out.ts'
import { hashIdentity } from '../storage/find-user.ts'
import { operationId } from '../storage/operation-id.ts'
import { json } from './respond.ts'

/** Security event tokens are a kilobyte or two. */
const maxTokenBytes = 16_384

/** `application/jwt` was the type before RFC 8417 had its own. */
const mediaTypes = ['application/secevent+jwt', 'application/jwt']

/**
 * How much later than an event sessions and connections may have begun and still end by it, in seconds: clocks differ,
 * and a provider takes a moment to do what it has announced. What began later did so after the event.
 */
const leewaySeconds = 60

/** How far ahead of ours a provider's clock may be, in seconds. */
const clockToleranceSeconds = 120

const descriptions: Readonly<Record<Exclude<SecurityEventProblem, 'unavailable'>, string>> = {
  invalid_request: 'The body is not a security event token that can be read here.',
  invalid_key: 'The token is not signed with a key and algorithm of its issuer.',
  invalid_issuer: 'The token is from another issuer.',
  invalid_audience: 'The token is for somebody else.',
  authentication_failed: 'The signature does not verify.',
}

/**
 * Takes what a provider tells about accounts (push delivery, RFC 8935). 202 says that all of it is done. A token that
 * came before is 202 too, and nothing is done again; one whose work could not be finished is 503 and counts as not
 * received, so that the provider sends it again.
 */
export const securityEvents: Endpoint = async (context, request) => {
  const provider = new URL(request.url).pathname.split('/').at(-1)!
  const receiver = context.securityEvents.get(provider)
  if (!receiver) return json({ error: 'not_found' }, { status: 404 })
  try {
    await receive(context, provider, receiver, await readToken(request))
  } catch (error) {
    if (!(error instanceof SecurityEventError)) throw error
    const { problem } = error
    context.emit({ type: 'security_event_refused', provider, errorClass: problem })
    if (problem !== 'unavailable') return refusal(problem)
    throw new OAuthError('temporarily_unavailable', 'The token cannot be verified now. Send it again.', {
      cause: error,
    })
  }
  return new Response(null, { status: 202, headers: { 'Cache-Control': 'no-store' } })
}

async function readToken(request: Request): Promise<string> {
  try {
    return (await readTokenBody(request, mediaTypes, maxTokenBytes)).trim()
  } catch (cause) {
    if (cause instanceof OAuthError) throw new SecurityEventError('invalid_request', { cause })
    throw cause
  }
}

async function receive(
  context: Context,
  provider: string,
  receiver: SecurityEventReceiver,
  value: string,
): Promise<void> {
  const { store, clock, random, emit } = context
  const token = await receiver.read(value)
  const { issuedAt } = token
  const now = clock()
  // Older than its id would be remembered: it could come again without end. Newer than now: the same, until then.
  if (issuedAt + receiver.maxAgeSeconds < now || issuedAt > now + clockToleranceSeconds) {
    throw new SecurityEventError('invalid_request', { cause: 'iat' })
  }
  const mark = {
    kind: 'security-event' as const,
    idHash: sha256(JSON.stringify([provider, token.id])),
  }
  if (await store.isSingleUseClaimed({ ...mark, now })) return
  const before = issuedAt + leewaySeconds
  const done: { event: SecurityEvent; sessions: number; connections: number }[] = []
  for (const event of token.events) {
    const { ends } = event
    done.push({
      event,
      connections: ends.includes('connections') ? await receiver.endConnections(event, before) : 0,
      sessions: ends.includes('sessions') ? await endSessions(context, event, before) : 0,
    })
  }
  // Marked when all is done: what broke off is done again from the beginning, which ends nothing that began later.
  const expiresAt = issuedAt + receiver.maxAgeSeconds + clockToleranceSeconds
  const claim = { ...mark, expiresAt, operationId: operationId(random), now: clock() }
  if ((await store.claimSingleUse(claim)) === 'used') return
  for (const { event, sessions, connections } of done) {
    const { name, reason, marker } = event
    emit({
      type: 'security_event_received',
      provider,
      kind: name,
      ...(reason !== undefined && { reason }),
      ...(marker !== undefined && { marker }),
      sessions,
      connections,
    })
  }
}

/** Ends the sessions of who signed in with an account, as far as there is such a user. */
async function endSessions(context: Context, { account }: SecurityEvent, before: number): Promise<number> {
  const { store, clock, random, emit } = context
  if (!account) return 0
  const identityHash = hashIdentity([account.issuer, account.subject])
  const userId = await store.findUser({ identityHash, now: clock() })
  if (userId === undefined) return 0
  await signOutBrowsers(context, userId, before)
  const by = 'provider'
  let count = 0
  for (const { id: grantId, createdAt } of await store.listGrants({ userId, now: clock() })) {
    if (createdAt > before) continue
    const step = { id: grantId, reason: by, operationId: operationId(random), now: clock() } as const
    if ((await store.revokeGrant(step)) !== 'revoked') continue
    emit({ type: 'family_revoked', grantId, by })
    count++
  }
  return count
}

/** RFC 8935 §2.3. */
const refusal = (err: keyof typeof descriptions): Response => {
  const response = json({ err, description: descriptions[err] }, { status: 400 })
  response.headers.set('Content-Language', 'en')
  return response
}
