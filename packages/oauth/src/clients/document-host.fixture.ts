import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { generate } from 'selfsigned'

/** A real https server on this machine that answers as a test says, and counts who comes. */
export interface DocumentHost {
  /** `https://localhost:<port>` */
  origin: string
  port: number
  /** Its certificate, PEM. */
  ca: string
  /** Requests that arrived, as their paths. */
  requests: string[]
  /** Connections that were opened, with or without a request. */
  connections(): number
  /** Answers the next requests. */
  answer(respond: (request: IncomingMessage, response: ServerResponse) => void): void
  close(): Promise<void>
}

const pair = generate([{ name: 'commonName', value: 'localhost' }], {
  keyType: 'ec',
  algorithm: 'sha256',
  extensions: [
    { name: 'basicConstraints', cA: true },
    {
      name: 'subjectAltName',
      altNames: [
        { type: 2, value: 'localhost' },
        { type: 2, value: 'client.example' },
        { type: 7, ip: '127.0.0.1' },
      ],
    },
  ],
})

/** Listens on a free port of 127.0.0.1. */
export async function createDocumentHost(): Promise<DocumentHost> {
  const { private: key, cert } = await pair
  const requests: string[] = []
  let connections = 0
  let respond: Parameters<DocumentHost['answer']>[0] = (_, response) => response.writeHead(500).end()
  const server = createServer({ key, cert }, (request, response) => {
    requests.push(request.url ?? '')
    respond(request, response)
  })
  server.on('connection', () => connections++)
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    origin: `https://localhost:${port}`,
    port,
    ca: cert,
    requests,
    connections: () => connections,
    answer(next) {
      respond = next
    },
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
