// A contender in its own process: a plain node:http front, and answers to the parent's questions over IPC.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type Contender, type ContenderSettings, frontPaths, type Ready, redirectUri } from './contender.ts'
import { createOidcProvider } from './oidc-provider.ts'
import { createSallyport } from './sallyport.ts'

const settings: ContenderSettings = JSON.parse(process.argv[2] ?? '')
const contender = await (settings.name.startsWith('oidc') ? createOidcProvider : createSallyport)(settings)

const server = createServer((request, response) => {
  if (request.url === frontPaths.nothing) response.writeHead(204).end()
  else if (request.url === frontPaths.verify) void verify(contender, request, response)
  else contender.listener(request, response)
})
server.listen(settings.port, '127.0.0.1')
await once(server, 'listening')
const origin = `http://localhost:${settings.port}`
const clientId = await register(`${origin}${contender.registrationPath}`)

process.on('message', async ({ question, ask }: { question: string; ask: number | undefined }) => {
  if (question === 'mint') process.send?.(await contender.mintCodes(clientId, ask ?? 0))
  if (question === 'cpu') {
    const { user, system } = process.cpuUsage()
    process.send?.(user + system)
  }
  if (question === 'stop') {
    server.closeAllConnections()
    server.close()
    await contender.close()
    process.disconnect()
  }
})
process.send?.({ port: settings.port, tokenPath: contender.tokenPath, clientId } satisfies Ready)

async function verify({ verify }: Contender, request: IncomingMessage, response: ServerResponse) {
  try {
    await verify(request.headers.authorization?.slice('Bearer '.length) ?? '')
    response.writeHead(204).end()
  } catch {
    response.writeHead(401).end()
  }
}

/** A public client, registered as MCP clients do (RFC 7591). */
async function register(url: string): Promise<string> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({
      client_name: 'Bench',
      redirect_uris: [redirectUri],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    }),
  })
  if (response.status !== 201) throw new Error(`registration: ${response.status} ${await response.text()}`)
  return ((await response.json()) as { client_id: string }).client_id
}
