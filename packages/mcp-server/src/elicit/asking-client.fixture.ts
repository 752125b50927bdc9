import { Client, StreamableHTTPClientTransport, type Transport } from '@modelcontextprotocol/client'
import { eras } from '../mcp-client.fixture.ts'
import type { Server } from '../server.ts'

export { eras }

type Request = { method: string; params: Record<string, unknown> }

/** How a client answers what it is asked. */
export interface Answers {
  elicit?: (params: Record<string, unknown>, signal: AbortSignal) => unknown
  sample?: (params: Record<string, unknown>) => unknown
  roots?: () => unknown
}

/** A real client of one era that calls a server in this process as a signed-in user, and answers what it is asked. */
export async function connectAskable(
  server: Server,
  era: (typeof eras)[number][1],
  { token, answers = {}, fetch }: { token?: unknown; answers?: Answers; fetch?: typeof globalThis.fetch },
): Promise<Client> {
  const url = new URL(server.url)
  const send = fetch ?? ((input, init) => server.fetch(new Request(input as string | URL, init)))
  const transport = new StreamableHTTPClientTransport(url, {
    fetch: (input, init) => {
      const headers = new Headers(init?.headers)
      if (token !== undefined) headers.set('authorization', `Bearer ${token}`)
      return send(input, { ...init, headers })
    },
  })
  return connectAskableOver(transport, era, answers)
}

/** The same over any transport. */
export async function connectAskableOver(
  transport: Transport,
  era: (typeof eras)[number][1],
  { elicit, sample, roots }: Answers,
): Promise<Client> {
  const client = new Client(
    { name: 'test', version: '1' },
    {
      versionNegotiation: era,
      capabilities: {
        ...(elicit && { elicitation: { form: {}, url: {} } }),
        ...(sample && { sampling: {} }),
        ...(roots && { roots: {} }),
      },
    },
  )
  if (elicit) {
    client.setRequestHandler(
      'elicitation/create',
      async (request, context) => (await elicit((request as Request).params, context.mcpReq.signal)) as never,
    )
  }
  if (sample) {
    client.setRequestHandler(
      'sampling/createMessage',
      async request => (await sample((request as Request).params)) as never,
    )
  }
  if (roots) client.setRequestHandler('roots/list', async () => (await roots()) as never)
  await client.connect(transport)
  return client
}

/** The first text of a tool's result. */
export const firstText = (result: unknown): string | undefined =>
  (result as { content?: { text?: string }[] }).content?.[0]?.text
