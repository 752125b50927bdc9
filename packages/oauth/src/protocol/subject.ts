/**
 * Whom an access token speaks for: a user, or a client by itself. User ids are base64url, in which there is no colon,
 * so that the two can never meet whatever a client is called (R115, RFC 9068 §5).
 */
export type Principal = 'user' | 'client'

const clientPrefix = 'client:'

/** The `sub` of a client's own tokens. */
export const clientSubject = (clientId: string): string => clientPrefix + clientId

/** Whom a `sub` stands for. */
export const principalOf = (subject: string): Principal =>
  subject.startsWith(clientPrefix) ? 'client' : 'user'
