import { mcpRequest, modernHeaders, modernParams } from '../mcp-request.fixture.ts'

export const extension = 'io.modelcontextprotocol/tasks'
/** What a client says that knows tasks, and can be asked. */
export const knowing = { extensions: { [extension]: {} }, elicitation: { form: {}, url: {} } }

/** A message of a client that knows tasks. `name`: of what the message is about, in place of what its params say. */
export const taskRequest = (
  origin: string,
  method: string,
  params: Record<string, unknown>,
  {
    token,
    id = 1,
    capabilities = knowing,
    name = params.name ?? params.taskId,
  }: { token?: unknown; id?: number | string; capabilities?: object; name?: unknown } = {},
): Request => {
  const _meta = {
    'io.modelcontextprotocol/clientCapabilities': capabilities,
    ...(params._meta as object | undefined),
  }
  return mcpRequest(
    origin,
    { jsonrpc: '2.0', id, method, params: modernParams({ ...params, _meta }) },
    { token, headers: modernHeaders(method, name === undefined ? undefined : String(name)) },
  )
}
