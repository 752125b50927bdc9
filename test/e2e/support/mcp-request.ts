/** Revisions a raw request can speak. */
export type Revision = '2025-11-25' | '2026-07-28'

export const revisions: readonly Revision[] = ['2025-11-25', '2026-07-28']

let lastId = 0

/** One JSON-RPC request to an MCP endpoint, without an SDK. */
export function mcpRequest(
  mcpUrl: string,
  method: string,
  params: Readonly<Record<string, unknown>> = {},
  { token, revision = '2025-11-25' }: { token?: string | undefined; revision?: Revision } = {},
): Promise<Response> {
  const modern = revision === '2026-07-28'
  const target = params.name ?? params.uri
  const meta = {
    'io.modelcontextprotocol/protocolVersion': revision,
    'io.modelcontextprotocol/clientCapabilities': {},
    'io.modelcontextprotocol/clientInfo': { name: 'raw', version: '1' },
  }
  return fetch(mcpUrl, {
    method: 'POST',
    headers: {
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
      'mcp-protocol-version': revision,
      ...(modern ? { 'mcp-method': method } : {}),
      ...(modern && typeof target === 'string' ? { 'mcp-name': target } : {}),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: ++lastId,
      method,
      params: modern ? { ...params, _meta: meta } : params,
    }),
  })
}

/** Calls a tool without an SDK. */
export const callTool = (
  mcpUrl: string,
  name: string,
  args: Readonly<Record<string, unknown>> = {},
  options: { token?: string | undefined; revision?: Revision } = {},
): Promise<Response> => mcpRequest(mcpUrl, 'tools/call', { name, arguments: args }, options)

/** The text of a tool's result, whether it came as JSON or as one server-sent event. */
export async function resultText(response: Response): Promise<string> {
  const body = await response.text()
  const json = body.startsWith('{') ? body : (/^data: (\{.*\})$/m.exec(body)?.[1] ?? 'null')
  const message = JSON.parse(json) as { result?: { content?: { text?: string }[] } } | null
  const text = message?.result?.content?.[0]?.text
  if (text === undefined) throw new Error(`no tool result, but HTTP ${response.status}: ${body}`)
  return text
}

/** The link in a tool's result. */
export function linkIn(text: string): string {
  const [link] = /http:\/\/localhost:\d+\/[^\s"\\]+/.exec(text) ?? []
  if (link === undefined) throw new Error(`no link: ${text}`)
  return link
}
