import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { startUpstream, type Upstream, type UpstreamKind } from '@sallyport/test-upstream'
import { freePort } from './free-port.ts'

const examples = resolve(import.meta.dirname, '../../../examples')

/** An example, running as its own process, the file as a user has it. */
export interface Example {
  mcpUrl: string
  /** What stands in for its provider; absent for an example without credentials. */
  upstream: Upstream | undefined
  output(): string
  /** SIGTERM, and again on the same port and folder. */
  restart(): Promise<void>
  close(): Promise<void>
}

/** Starts `examples/<name>/server.ts`, with a stand-in for its provider when it has one. */
export async function startExample(
  name: string,
  provider?: { kind: UpstreamKind; apiOrigin: string },
): Promise<Example> {
  const port = await freePort()
  const origin = `http://localhost:${port}`
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-example-'))
  const credentials = { clientId: 'example-client', clientSecret: 'secret-of-the-example-client' }
  const upstream =
    provider &&
    (await startUpstream({
      kind: provider.kind,
      ...credentials,
      redirectUris: [`${origin}/oauth/callback/${provider.kind}`],
    }))
  const variable = provider?.kind.toUpperCase()
  const standIn = provider &&
    upstream && {
      [`${variable}_CLIENT_ID`]: credentials.clientId,
      [`${variable}_CLIENT_SECRET`]: credentials.clientSecret,
      STAND_IN_API_ORIGINS: JSON.stringify({ [provider.apiOrigin]: upstream.apiOrigin }),
      STAND_IN_ENDPOINTS: JSON.stringify({
        authorization: upstream.endpoints.authorize,
        token: upstream.endpoints.token,
        jwks: upstream.endpoints.jwks,
        userinfo: upstream.endpoints.userinfo,
        revocation: upstream.endpoints.revoke,
        issuers: [upstream.issuer],
      }),
    }
  const preload = provider ? [`--import=${join(import.meta.dirname, 'stand-ins.ts')}`] : []
  let output = ''
  let child: ChildProcess | undefined

  async function start(): Promise<void> {
    const started = spawn(
      process.execPath,
      ['--conditions=sallyport-source', ...preload, join(examples, name, 'server.ts')],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: {
          PATH: process.env.PATH,
          HOME: directory,
          PORT: String(port),
          SALLYPORT_DIR: directory,
          ...standIn,
        },
      },
    )
    child = started
    const ready = new Promise<void>((listening, failed) => {
      started.on('exit', code => failed(new Error(`${name} stopped with exit code ${code}:\n${output}`)))
      for (const stream of [started.stdout, started.stderr]) {
        stream.on('data', (chunk: Buffer) => {
          output += chunk
          if (String(chunk).includes('"msg":"listening"')) listening()
        })
      }
    })
    await ready
  }
  async function stop(): Promise<void> {
    if (!child || child.exitCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGTERM')
    await exited
  }

  await start()
  return {
    mcpUrl: `${origin}/mcp`,
    upstream,
    output: () => output,
    async restart() {
      await stop()
      await start()
    },
    async close() {
      await stop()
      await upstream?.close()
      await rm(directory, { recursive: true, force: true })
    },
  }
}
