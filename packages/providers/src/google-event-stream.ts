import { ConfigurationError } from '@sallyport/oauth'
import { importPKCS8, SignJWT } from 'jose'
import { googleEventTypes } from './google-security-events.ts'
import { fetchLimited } from './limited-fetch.ts'

/** What of a service account's JSON key is needed. */
export interface GoogleServiceAccount {
  client_email: string
  private_key: string
  private_key_id: string
}

export interface GoogleEventStreamOptions {
  /** Key of a service account with the role RISC Configuration Admin, as Google Cloud gives it out in a JSON file. */
  serviceAccount: GoogleServiceAccount
  /** `PUBLIC_URL` of the server; Google pushes to https only, on a domain that the project has authorized. */
  publicUrl: string
  /** When given, Google is asked for a test event, which the server tells with this `marker`. Default: none. */
  marker?: string
  /** Address of the RISC API. Default: Google's. */
  api?: string
}

const googleApi = 'https://risc.googleapis.com'
const audience = 'https://risc.googleapis.com/google.identity.risc.v1beta.RiscManagementService'
const pushDelivery = 'https://schemas.openid.net/secevent/risc/delivery-method/push'
const limits = { timeoutMs: 10_000, maxBytes: 64 * 1024 }

/**
 * Tells Google to push what happens to accounts to a server whose `google()` has `securityEvents`: all types of events
 * that are understood here. Once for a project; doing it again replaces what Google was told before.
 *
 * @throws {ConfigurationError} when the key cannot be read, or Google refuses
 * @throws {Error} when Google cannot be reached
 * @see https://developers.google.com/identity/protocols/risc
 */
export async function registerGoogleSecurityEvents({
  serviceAccount,
  publicUrl,
  marker,
  api = googleApi,
}: GoogleEventStreamOptions): Promise<void> {
  const token = await createToken(serviceAccount)
  const post = async (method: string, body: object): Promise<void> => {
    const { status } = await fetchLimited(
      `${api}/v1beta/${method}`,
      {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      },
      limits,
    )
    if (status === 200) return
    throw new ConfigurationError(
      `Google refused ${method} with HTTP ${status}: check that the RISC API is enabled, that the service account is of ` +
        'the same project and has the role RISC Configuration Admin, and that PUBLIC_URL is https on an authorized domain.',
    )
  }
  await post('stream:update', {
    delivery: { delivery_method: pushDelivery, url: `${publicUrl}/oauth/events/google` },
    events_requested: googleEventTypes,
  })
  if (marker !== undefined) await post('stream:verify', { state: marker })
}

/** Good for an hour, as Google wants it. */
async function createToken(account: GoogleServiceAccount): Promise<string> {
  try {
    const key = await importPKCS8(account.private_key, 'RS256')
    return await new SignJWT()
      .setProtectedHeader({ alg: 'RS256', kid: account.private_key_id })
      .setIssuer(account.client_email)
      .setSubject(account.client_email)
      .setAudience(audience)
      .setIssuedAt()
      .setExpirationTime('1h')
      .sign(key)
  } catch {
    // Without the cause: it may quote the key.
    throw new ConfigurationError(
      'The serviceAccount has no usable private_key: pass the whole JSON key file that Google Cloud gave out, parsed.',
    )
  }
}
