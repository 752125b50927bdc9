/** Who takes part. `-100` has a hundred tools, the others one. */
export const contenderNames = ['node', 'hono', 'sdk', 'sdk-100', 'sallyport', 'sallyport-100'] as const

/** Who takes part. */
export type ContenderName = (typeof contenderNames)[number]

/** What a contender tells once it listens. */
export interface Ready {
  port: number
  /** Access token that the contender accepts; empty where none is asked for. */
  token: string
}

/** A server under test. */
export interface Contender extends Ready {
  close(): Promise<void>
}

/** How many tools a contender has. */
export const toolCount = (name: ContenderName): number => (name.endsWith('-100') ? 100 : 1)

/** Revisions a call can be of. */
export const eras = ['2025', '2026'] as const

/** Where every contender takes calls. */
export const path = '/mcp'

/** The call each request makes. */
export function callOf(era: (typeof eras)[number], token: string) {
  const body = JSON.stringify({
    jsonrpc: '2.0',
    id: 1,
    method: 'tools/call',
    params: {
      name: 'tool-0',
      arguments: { text: 'hello' },
      ...(era === '2026' && {
        _meta: {
          'io.modelcontextprotocol/protocolVersion': '2026-07-28',
          'io.modelcontextprotocol/clientInfo': { name: 'bench', version: '1.0.0' },
          'io.modelcontextprotocol/clientCapabilities': {},
        },
      }),
    },
  })
  return {
    method: 'POST' as const,
    path,
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...(token !== '' && { authorization: `Bearer ${token}` }),
      ...(era === '2026'
        ? { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'tool-0' }
        : { 'mcp-protocol-version': '2025-11-25' }),
    },
    body,
  }
}
