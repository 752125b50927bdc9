import { type SecurityEvent, SecurityEventError, type SecurityEventName } from '@sallyport/oauth'
import { z } from 'zod'
import { isNamedAs } from './issuer.ts'
import { asObject, type JsonObject } from './json.ts'
import { hashTokenName } from './token-names.ts'

type Ends = SecurityEvent['ends']

const both: Ends = ['sessions', 'connections']

interface GoogleEvent {
  name: SecurityEventName
  /** What it is about: an account, one refresh token, or nothing. */
  subject: 'account' | 'token' | 'none'
  /** As Google requires and suggests, by the reason that may stand in it. */
  ends(reason: string | undefined): Ends
}

const risc = 'https://schemas.openid.net/secevent/risc/event-type/'
const oauth = 'https://schemas.openid.net/secevent/oauth/event-type/'

/**
 * The events Google sends.
 *
 * @see https://developers.google.com/identity/protocols/risc
 */
const googleEvents: Readonly<Record<string, GoogleEvent>> = {
  [`${risc}sessions-revoked`]: {
    name: 'sessions_revoked',
    subject: 'account',
    ends: () => ['sessions'],
  },
  [`${oauth}tokens-revoked`]: { name: 'tokens_revoked', subject: 'account', ends: () => both },
  [`${oauth}token-revoked`]: { name: 'token_revoked', subject: 'token', ends: () => ['connections'] },
  [`${risc}account-disabled`]: {
    name: 'account_disabled',
    subject: 'account',
    // Disabled with many others, for what they may have done: whether that matters here is the operator's to judge.
    ends: reason => (reason === 'bulk-account' ? [] : both),
  },
  // Nothing here keeps a user out whom Google lets in, so nothing has to be undone.
  [`${risc}account-enabled`]: { name: 'account_enabled', subject: 'account', ends: () => [] },
  [`${risc}account-credential-change-required`]: {
    name: 'credential_change_required',
    subject: 'account',
    ends: () => [],
  },
  [`${risc}verification`]: { name: 'verification', subject: 'none', ends: () => [] },
}

/** The types of events to ask Google for. */
export const googleEventTypes: readonly string[] = Object.keys(googleEvents)

const shortText = z.string().max(256).optional().catch(undefined)
const detailsSchema = z.object({ reason: shortText, state: shortText })
// `iss_sub` and `id_token_claims` say the same two things. An e-mail address that may stand beside them names nobody.
const accountSchema = z.object({ iss: z.string(), sub: z.string().min(1).max(255) })
const tokenSchema = z.object({
  token_type: z.literal('refresh_token'),
  token_identifier_alg: z.enum(['prefix', 'hash_base64_sha512_sha512']),
  token: z.string().min(1).max(4096),
})

/**
 * The claim `events` of a token from Google, in our words. Types that are not known are one event, `unknown`.
 *
 * @param issuers names of Google, with the one that identities are kept under first
 * @throws {SecurityEventError} `invalid_request` when an event does not say whom it is about
 */
export async function readGoogleEvents(
  events: JsonObject,
  issuers: readonly [string, ...string[]],
): Promise<SecurityEvent[]> {
  const read: SecurityEvent[] = []
  for (const [type, known] of Object.entries(googleEvents)) {
    if (Object.hasOwn(events, type)) read.push(await readEvent(known, asObject(events[type]), issuers))
  }
  return read.length > 0 ? read : [{ name: 'unknown', ends: [] }]
}

async function readEvent(
  { name, subject, ends }: GoogleEvent,
  payload: JsonObject | undefined,
  issuers: readonly [string, ...string[]],
): Promise<SecurityEvent> {
  const details = detailsSchema.safeParse(payload)
  if (!details.success) throw new SecurityEventError('invalid_request', { cause: name })
  const { reason, state } = details.data
  const [issuer] = issuers
  const event = { name, ends: ends(reason), ...(reason !== undefined && { reason }) }
  if (subject === 'none') return { ...event, ...(state !== undefined && { marker: state }) }
  if (subject === 'token') {
    const token = tokenSchema.safeParse(payload?.subject)
    // Of another kind than Google documents: nothing is stored that it could be.
    if (!token.success) return { ...event, ends: [] }
    const { token_identifier_alg, token: value } = token.data
    return { ...event, tokenHash: await hashTokenName(issuer, token_identifier_alg, value) }
  }
  const account = accountSchema.safeParse(payload?.subject)
  if (!account.success || !isNamedAs(issuers, account.data.iss)) {
    throw new SecurityEventError('invalid_request', { cause: `${name}: subject` })
  }
  return { ...event, account: { issuer, subject: account.data.sub } }
}
