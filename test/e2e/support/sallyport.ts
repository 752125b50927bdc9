import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startUpstream, type Upstream, type UpstreamOptions } from '@sallyport/test-upstream'
import { freePort } from './free-port.ts'
import type { SallyportMessage, UpstreamSettings } from './messages.ts'

export interface SallyportOptions {
  /** How users sign in. Default `upstream`. */
  signIn?: UpstreamSettings['signIn']
  /** Sign-in is asked for when a client connects. Default: the server's own, at the protected call. */
  challengeOnConnect?: boolean
  /** DPoP proofs need a nonce of the server. Default: the server's own, no. */
  dpopNonces?: boolean
  /** What the upstream stands in for, and with it the provider in use. Default `oidc`, with the id `upstream`. */
  kind?: UpstreamSettings['kind']
  /** Of the test upstream. */
  upstream?: Pick<UpstreamOptions, 'autoConsent' | 'refreshTokens' | 'rotateRefreshTokens'>
  /** Google pushes what happens to accounts. Default: it does not. */
  securityEvents?: boolean
  /** Another process of this deployment: the same public URL and upstream. Default: one of its own. */
  beside?: Sallyport
  /** Environment variables beyond the usual. */
  environment?: Readonly<Record<string, string>>
}

/** A Sallyport server in a process of its own, with a store in a folder of its own and an upstream provider. */
export interface Sallyport {
  /** `http://localhost:<port>`, which is the issuer. */
  origin: string
  /** The MCP endpoint, which is the resource. */
  mcpUrl: string
  directory: string
  upstream: Upstream
  /** The secret of the upstream's client, which must not leak either. */
  upstreamSecret: string
  /** Everything it wrote to stdout and stderr so far, over restarts. */
  logs(): string
  /** Moves the server's clock ahead, and the dates of the upstream's id_tokens with it. */
  advance(seconds: number): Promise<void>
  /** Stops it, politely or with SIGKILL, and starts it on the same port and folder. */
  restart(how?: 'SIGTERM' | 'SIGKILL'): Promise<void>
  close(): Promise<void>
}

const main = fileURLToPath(new URL('sallyport-main.ts', import.meta.url))

/** Starts the server of `sallyport-main.ts` and a test upstream for it. */
export async function startSallyport(options: SallyportOptions = {}): Promise<Sallyport> {
  const port = await freePort()
  const origin = `http://localhost:${port}`
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-e2e-'))
  const clientId = 'sallyport-e2e'
  const clientSecret = 'client-secret-of-the-upstream'
  const { kind = 'oidc', beside } = options
  const upstream =
    beside?.upstream ??
    (await startUpstream({
      kind,
      clientId,
      clientSecret,
      redirectUris: [`${origin}/oauth/callback/${kind === 'oidc' ? 'upstream' : kind}`],
      refreshTokens: kind === 'linkedin' ? 'never' : 'always',
      ...options.upstream,
    }))
  const { authorize, token, jwks, revoke } = upstream.endpoints
  const settings: UpstreamSettings = {
    kind,
    endpoints: {
      authorization: authorize,
      token,
      jwks,
      revocation: revoke,
      securityEvents: upstream.securityEvents.configuration,
      issuers: [upstream.issuer],
    },
    securityEvents: options.securityEvents ?? false,
    issuer: upstream.issuer,
    apiOrigin: upstream.apiOrigin,
    clientId,
    clientSecret,
    signIn: options.signIn ?? 'upstream',
    ...(options.dpopNonces === undefined ? {} : { dpopNonces: options.dpopNonces }),
    ...(options.challengeOnConnect === undefined ? {} : { challengeOnConnect: options.challengeOnConnect }),
  }
  let logs = ''
  let ahead = 0
  let child: ChildProcess | undefined

  async function start(): Promise<void> {
    const started = fork(main, {
      execArgv: ['--conditions=sallyport-source'],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      // Nothing of this process's environment reaches the server but what a process cannot do without.
      env: {
        PATH: process.env.PATH,
        NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
        HOME: directory,
        PORT: String(port),
        PUBLIC_URL: beside?.origin ?? origin,
        SALLYPORT_DIR: directory,
        OAUTH_RATE_LIMIT: '0',
        SALLYPORT_AUDIT_LOG: join(directory, 'audit.jsonl'),
        E2E_UPSTREAM: JSON.stringify(settings),
        ...options.environment,
      },
    })
    for (const stream of [started.stdout, started.stderr])
      stream?.on('data', (chunk: Buffer) => {
        logs += chunk
      })
    child = started
    const exited = once(started, 'exit').then(([code]) => {
      throw new Error(`the server stopped with exit code ${code}:\n${logs}`)
    })
    await Promise.race([once(started, 'message'), exited])
    exited.catch(() => {})
    if (ahead > 0) await tell(ahead)
  }

  async function tell(advanceSeconds: number): Promise<void> {
    const message: SallyportMessage = { advanceSeconds }
    child?.send(message)
    if (child) await once(child, 'message')
  }

  async function stop(how: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(how)
    await exited
  }

  await start()
  return {
    origin,
    mcpUrl: `${origin}/mcp`,
    directory,
    upstream,
    upstreamSecret: clientSecret,
    logs: () => logs,
    async advance(seconds) {
      ahead += seconds
      if (!beside) upstream.control.advance(seconds)
      await tell(seconds)
    },
    async restart(how = 'SIGTERM') {
      await stop(how)
      await start()
    },
    async close() {
      await stop('SIGTERM')
      if (!beside) await upstream.close()
      await rm(directory, { recursive: true, force: true })
    },
  }
}
