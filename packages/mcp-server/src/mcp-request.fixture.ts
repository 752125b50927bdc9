const modernMeta = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
}

/** Params of a message of 2026-07-28, with what every message says of its sender. */
export const modernParams = (params: object): object => ({
  ...params,
  _meta: { ...modernMeta, ...('_meta' in params && (params._meta as object)) },
})

/** Headers that go with a message of 2026-07-28. `name`: of the tool or prompt, or the URI, that is meant. */
export const modernHeaders = (method: string, name?: string): Record<string, string> => ({
  'mcp-protocol-version': '2026-07-28',
  'mcp-method': method,
  ...(name !== undefined && { 'mcp-name': name }),
})

/** A message as a script without an SDK sends it. `headers` come after the usual ones. */
export const mcpRequest = (
  origin: string,
  body: unknown,
  { token, headers }: { token?: unknown; headers?: Record<string, string> } = {},
): Request =>
  new Request(`${origin}/mcp`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...headers,
    },
    body: JSON.stringify(body),
  })
