import { createHash } from 'node:crypto'
import type { ClientCapabilities } from '@modelcontextprotocol/server'
import type { Clock, RandomBytes, Sealer } from '@sallyport/oauth'
import { z } from 'zod'

/** How long a session id is good for, in seconds: 30 days, as long as a sign-in by default. */
const ticketSeconds = 2_592_000

const flag = z.looseObject({}).optional()
/** What of a client's capabilities servers act on; the rest would only make the id longer. */
const capabilitiesSchema = z.object({
  elicitation: z.object({ form: flag, url: flag }).optional(),
  sampling: z.object({ tools: flag, context: flag }).optional(),
  roots: z.object({ listChanged: z.boolean().optional() }).optional(),
})

const ticketSchema = z.strictObject({
  id: z.string().min(1),
  /** Whom it was given to, as a digest. */
  principal: z.string().min(1),
  protocolVersion: z.string(),
  capabilities: capabilitiesSchema,
  client: z.strictObject({ name: z.string(), version: z.string() }),
  expiresAt: z.int(),
})

/** What a session id says: whose it is, and what its client said when it was opened. */
export type SessionTicket = z.infer<typeof ticketSchema>

/** What a client said about itself. */
export interface Introduction {
  protocolVersion: string
  capabilities: ClientCapabilities
  clientInfo: { name: string; version: string }
}

/**
 * Session ids. An id is its session, sealed: nothing is stored, so a restart, another process or a full memory orphans
 * no client, as with dynamic registration.
 */
export interface SessionTickets {
  seal(principal: string, introduction: Introduction): string
  /** Undefined when it is none of ours, or has ended. */
  open(sessionId: string): SessionTicket | undefined
}

/** Creates the session ids of a server. */
export function createSessionTickets(options: {
  sealer: Sealer
  tenant: string
  clock: Clock
  random: RandomBytes
}): SessionTickets {
  const { sealer, tenant, clock, random } = options
  const place = { tenant, kind: 'mcp-session', id: 'ticket' }
  return {
    seal(principal, { protocolVersion, capabilities, clientInfo: { name, version } }) {
      const ticket: SessionTicket = {
        id: Buffer.from(random(16)).toString('base64url'),
        principal: digestOf(principal),
        protocolVersion: protocolVersion.slice(0, 20),
        capabilities: knownCapabilities(capabilities),
        client: { name: name.slice(0, 60), version: version.slice(0, 20) },
        expiresAt: clock() + ticketSeconds,
      }
      return sealer.seal(JSON.stringify(ticket), place)
    },
    open(sessionId) {
      const opened = sealer.open(sessionId, place)
      const ticket = opened && ticketSchema.safeParse(JSON.parse(opened.plaintext)).data
      return ticket && ticket.expiresAt > clock() ? ticket : undefined
    },
  }
}

/** SHA-256 in base64url. */
export const digestOf = (value: string): string => createHash('sha256').update(value).digest('base64url')

/** Of each capability whether it is there: what else a client writes into it stays out of the id. */
function knownCapabilities({
  elicitation,
  sampling,
  roots,
}: ClientCapabilities): SessionTicket['capabilities'] {
  return {
    ...(elicitation && {
      elicitation: { ...(elicitation.form && { form: {} }), ...(elicitation.url && { url: {} }) },
    }),
    ...(sampling && {
      sampling: { ...(sampling.tools && { tools: {} }), ...(sampling.context && { context: {} }) },
    }),
    ...(roots && { roots: { listChanged: roots.listChanged === true } }),
  }
}
