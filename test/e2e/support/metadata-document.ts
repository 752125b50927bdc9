import { serveHttps } from './https-server.ts'

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
  let hits = 0
  let url = ''
  const { origin, certificatePath, close } = await serveHttps((_, response) => {
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
  })
  url = `${origin}/client.json`
  return { url, certificatePath, hits: () => hits, close }
}
