import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'

/** Revisions the endpoint serves: the client's way to pin each of the two eras. */
export const eras = [
  ['2026-07-28', { mode: { pin: '2026-07-28' } }],
  ['2025', { mode: 'legacy' }],
] as const

/** A real client of one era, connected through `fetch`, which may be a server's own. */
export async function connectClient(
  url: string,
  versionNegotiation: (typeof eras)[number][1],
  fetch?: (url: string | URL, init?: RequestInit) => Promise<Response>,
): Promise<Client> {
  const client = new Client({ name: 'test', version: '1' }, { versionNegotiation })
  await client.connect(new StreamableHTTPClientTransport(new URL(url), fetch ? { fetch } : {}))
  return client
}
