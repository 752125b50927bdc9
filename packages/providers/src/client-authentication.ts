/** Credentials of a ready provider. */
export interface ClientCredentials {
  clientId: string
  clientSecret: string
}

/** The header that sends id and secret as HTTP Basic credentials, form-encoded first (RFC 6749 §2.3.1). */
export function basicAuthorization({ clientId, clientSecret }: ClientCredentials): string {
  return `Basic ${btoa(`${formEncode(clientId)}:${formEncode(clientSecret)}`)}`
}

const formEncode = (value: string) => new URLSearchParams({ v: value }).toString().slice(2)
