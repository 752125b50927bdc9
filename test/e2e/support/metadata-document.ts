import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generate } from 'selfsigned'

/** A client ID metadata document on `https://localhost:<port>`. */
export interface MetadataDocument {
  /** Its URL, which is the client_id. */
  url: string
  /** File with the certificate, for `NODE_EXTRA_CA_CERTS` of who fetches it. */
  certificatePath: string
  /** How often it was fetched. */
  hits(): number
  close(): Promise<void>
}

/** Serves the document of a public client with these redirect URIs. */
export async function serveMetadataDocument(redirectUris: readonly string[]): Promise<MetadataDocument> {
  const { private: key, cert } = await generate([{ name: 'commonName', value: 'localhost' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: true },
      { name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] },
    ],
  })
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-cimd-'))
  const certificatePath = join(folder, 'certificate.pem')
  await writeFile(certificatePath, cert)
  let hits = 0
  let url = ''
  const server = createServer({ key, cert }, (_, response) => {
    hits++
    response.setHeader('content-type', 'application/json')
    response.end(
      JSON.stringify({
        client_id: url,
        client_name: 'Client with a document',
        redirect_uris: redirectUris,
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        token_endpoint_auth_method: 'none',
      }),
    )
  }).listen(0, 'localhost')
  await once(server, 'listening')
  url = `https://localhost:${(server.address() as AddressInfo).port}/client.json`
  return {
    url,
    certificatePath,
    hits: () => hits,
    async close() {
      server.closeAllConnections()
      server.close()
      await rm(folder, { recursive: true })
    },
  }
}
