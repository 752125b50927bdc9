import type { Client } from '../clients/client.ts'
import { isLoopbackRedirectUri, redirectUriHost } from '../protocol/redirect-uri.ts'

/** Controls, format characters (bidirectional overrides, zero widths) and separators: they change what a reader sees. */
const deceptive = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu
const maxNameLength = 80

/** A name that came from outside, fit to be read: no character that hides or turns others, and not too long (R17). */
export function readableName(name: string): string {
  const characters = [...name.replace(deceptive, ' ').replace(/\s+/g, ' ').trim()]
  return characters.length > maxNameLength
    ? `${characters.slice(0, maxNameLength - 1).join('')}…`
    : characters.join('')
}

/** What the user is told about a client. */
export interface ClientDisplay {
  name: string
  /** Host of a `client_id` that is a URL: the one thing about such a client that is proven (R37). */
  host: string | undefined
  /** Who vouches for the name. */
  vouched: 'operator' | 'host' | 'nobody'
}

/** What to call a client, and how much that is worth. */
export function displayClient(client: Pick<Client, 'clientId' | 'clientName' | 'kind'>): ClientDisplay {
  const host = client.kind === 'metadata-document' ? new URL(client.clientId).host : undefined
  const ownName = readableName(client.clientName ?? '')
  const fallback =
    client.kind === 'configured' ? readableName(client.clientId) : (host ?? 'An app without a name')
  return {
    name: ownName || fallback,
    host,
    vouched: client.kind === 'configured' ? 'operator' : host === undefined ? 'nobody' : 'host',
  }
}

/** Where the answer goes: to a website, to a program on this computer, or to whatever app opens such links. */
export type Destination =
  | { kind: 'website' | 'loopback'; host: string; uri: string }
  | { kind: 'app'; scheme: string; uri: string }

/** What a redirect URI means to a user (R37). */
export function displayDestination(redirectUri: string): Destination {
  if (isLoopbackRedirectUri(redirectUri)) {
    return { kind: 'loopback', host: redirectUriHost(redirectUri), uri: redirectUri }
  }
  if (!redirectUri.startsWith('https:')) {
    return { kind: 'app', scheme: redirectUriHost(redirectUri), uri: redirectUri }
  }
  return { kind: 'website', host: redirectUriHost(redirectUri), uri: redirectUri }
}
