import type { UserAccess } from './user-access.ts'

/** The part of `OAuth2Client` (google-auth-library 10 and later) that the adapter fills in. */
export interface GoogleAuthClient {
  refreshHandler?: (() => Promise<{ access_token: string; expiry_date: number }>) | undefined
  transporter: { defaults: { fetchImplementation?: UserAccess['fetch'] } }
}

/**
 * Makes a client of Google's libraries act for the user of a tool's call: it asks for their token, refreshed when it
 * was stale, and sends requests as `fetch` of the call does, so that the token goes to Google's APIs only and one that
 * is rejected is renewed once. Make a client for each call; it remembers the token.
 *
 * @returns the client given
 */
export function googleAuth<Client extends GoogleAuthClient>(client: Client, access: UserAccess): Client {
  client.refreshHandler = async () => {
    const { value, expiresAt } = await access.token()
    return { access_token: value, expiry_date: expiresAt === 0 ? Number.MAX_SAFE_INTEGER : expiresAt * 1000 }
  }
  client.transporter.defaults.fetchImplementation = (input, init) => access.fetch(input, init)
  return client
}
