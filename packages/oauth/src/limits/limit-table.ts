/** What a limit counts together: requests of one address, of one client that proved who it is, or of one user. */
export type LimitedBy = 'source' | 'client' | 'user'

/** So many in so many seconds. */
export interface Limit {
  by: LimitedBy
  points: number
  windowSeconds: number
}

const perMinute = (by: LimitedBy, points: number): Limit => ({ by, points, windowSeconds: 60 })

/**
 * Every limit, before the factor of `OAUTH_RATE_LIMIT`. Generous to people: hosted clients bring all of their users
 * from a handful of addresses, and an access token of 15 minutes makes 600 refreshes a minute out of 9000 users.
 *
 * Nothing is counted by a client id that anybody can claim, nor by a user before a code or token of theirs was shown:
 * else one stranger could use up what the others have.
 */
const table = {
  /** Dynamic registrations (R22). */
  register: perMinute('source', 60),
  /** Consent pages shown. */
  authorize: perMinute('source', 120),
  /** Consent pages answered. */
  consent: perMinute('source', 120),
  /** Sign-ins begun, each of which is kept for up to ten minutes (R60). */
  sign_in: { by: 'source', points: 200, windowSeconds: 600 },
  /** Returns from a provider, and answers to a sign-in page of the application, which may ask for a password (R88). */
  callback: perMinute('source', 120),
  /** Pages of connect links shown and answered. */
  connect: perMinute('source', 120),
  /** The account page, shown and answered. */
  account: perMinute('source', 120),
  /** Pushed authorization requests. */
  push: perMinute('source', 120),
  /** Introspections: resource servers ask for every call they get. */
  introspect: perMinute('source', 60_000),
  /** Sign-outs a client asked for, shown and answered. */
  end_session: perMinute('source', 120),
  userinfo: perMinute('source', 600),
  token: perMinute('source', 600),
  revoke: perMinute('source', 300),
  /** Security event tokens: a provider sends all of its users' from a few addresses, and does not repeat for ever. */
  security_events: perMinute('source', 6_000),
  /** All requests of a client that authenticated itself. */
  client: perMinute('client', 3_000),
  /** Tokens issued to one user. */
  user: perMinute('user', 300),
  /** Providers one user began to connect. */
  connect_user: { by: 'user', points: 30, windowSeconds: 600 },
  /** Wrong secrets for one client from one source (R88): the client is not locked out anywhere else. */
  client_authentication: perMinute('source', 10),
  /**
   * Wrong secrets from one source, whichever client they are for (R88). Wide: behind one address of a hosted client
   * many customers fail and succeed, and a few of them must not end it for all.
   */
  client_authentications: perMinute('source', 300),
} as const satisfies Record<string, Limit>

export type LimitName = keyof typeof table
export const limitTable: Readonly<Record<LimitName, Limit>> = table
