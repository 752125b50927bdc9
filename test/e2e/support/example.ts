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
  /** What stands in for its providers, in their order. */
  upstreams: readonly Upstream[]
  output(): string
  /** SIGTERM, and again on the same port and folder. */
  restart(): Promise<void>
  close(): Promise<void>
}

/** Starts `examples/<name>/server.ts`, or the file that the name ends with, with a stand-in for each of its providers. */
export async function startExample(
  name: string,
  ...providers: { kind: UpstreamKind; apiOrigin: string }[]
): Promise<Example> {
  const port = await freePort()
  const origin = `http://localhost:${port}`
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-example-'))
  const credentials = { clientId: 'example-client', clientSecret: 'secret-of-the-example-client' }
  const upstreams = await Promise.all(
    providers.map(({ kind }) =>
      startUpstream({ kind, ...credentials, redirectUris: [`${origin}/oauth/callback/${kind}`] }),
    ),
  )
  const each = <T>(of: (upstream: Upstream, provider: (typeof providers)[number]) => [string, T][]) =>
    Object.fromEntries(upstreams.flatMap((upstream, at) => of(upstream, providers[at]!)))
  const standIn = {
    ...each((_, { kind }) => [
      [`${kind.toUpperCase()}_CLIENT_ID`, credentials.clientId],
      [`${kind.toUpperCase()}_CLIENT_SECRET`, credentials.clientSecret],
    ]),
    STAND_IN_API_ORIGINS: JSON.stringify(each(({ apiOrigin }, given) => [[given.apiOrigin, apiOrigin]])),
    STAND_IN_ENDPOINTS: JSON.stringify(
      each(({ endpoints, issuer }, { kind }) => [
        [
          kind,
          {
            authorization: endpoints.authorize,
            token: endpoints.token,
            jwks: endpoints.jwks,
            userinfo: endpoints.userinfo,
            revocation: endpoints.revoke,
            issuers: [issuer],
          },
        ],
      ]),
    ),
  }
  const preload = providers.length > 0 ? [`--import=${join(import.meta.dirname, 'stand-ins.ts')}`] : []
  let output = ''
  let child: ChildProcess | undefined

  async function start(): Promise<void> {
    const started = spawn(
      process.execPath,
      [
        '--conditions=sallyport-source',
        ...preload,
        join(examples, name.endsWith('.ts') ? name : `${name}/server.ts`),
      ],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: {
          PATH: process.env.PATH,
          NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
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
          if (/"msg":"listening"|^ready: /m.test(String(chunk))) listening()
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
    upstreams,
    output: () => output,
    async restart() {
      await stop()
      await start()
    },
    async close() {
      await stop()
      await Promise.all(upstreams.map(upstream => upstream.close()))
      await rm(directory, { recursive: true, force: true })
    },
  }
}
