import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { RequestListener } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generate } from 'selfsigned'

/** A server on `https://localhost:<port>`, with a certificate that nobody else vouches for. */
export interface HttpsServer {
  origin: string
  /** PEM. */
  certificate: string
  /** File with the certificate, for `NODE_EXTRA_CA_CERTS` of who calls it. */
  certificatePath: string
  close(): Promise<void>
}

export async function serveHttps(listener: RequestListener): Promise<HttpsServer> {
  const { private: key, cert } = await generate([{ name: 'commonName', value: 'localhost' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: true },
      { name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] },
    ],
  })
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-https-'))
  const certificatePath = join(folder, 'certificate.pem')
  await writeFile(certificatePath, cert)
  const server = createServer({ key, cert }, listener).listen(0, 'localhost')
  await once(server, 'listening')
  return {
    origin: `https://localhost:${(server.address() as AddressInfo).port}`,
    certificate: cert,
    certificatePath,
    async close() {
      server.closeAllConnections()
      server.close()
      await rm(folder, { recursive: true })
    },
  }
}
