import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestClient, textOf } from './sign-in.fixture.ts'

const main = fileURLToPath(new URL('revocation-main.fixture.ts', import.meta.url))

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

interface Process {
  /** Calls a tool of this process. */
  call(token: unknown): Promise<Response>
  revokeUser(userId: string): Promise<unknown>
  /** Sends a request for the public URL to this process. */
  serve(request: Request): Promise<Response>
  close(): Promise<void>
}

async function startProcess(
  publicUrl: string,
  port: number,
  environment: Record<string, string>,
): Promise<Process> {
  const child = fork(main, {
    execArgv: ['--conditions=sallyport-source', '--disable-warning=ExperimentalWarning'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: {
      PATH: process.env.PATH,
      PORT: `${port}`,
      PUBLIC_URL: publicUrl,
      LOG_LEVEL: 'error',
      SALLYPORT_SECRET: 'a-secret-for-tests-that-is-long-enough-0123456789',
      ...environment,
    },
  })
  await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code]) => {
      throw new Error(`the server stopped with exit code ${code}`)
    }),
  ])
  const serve: Process['serve'] = request => {
    const url = new URL(request.url)
    url.port = `${port}`
    return fetch(new Request(url, request), { redirect: 'manual' })
  }
  return {
    serve,
    call: token => createTestClient(serve, publicUrl).call('whoami', {}, token),
    async revokeUser(userId) {
      child.send(userId)
      const [ended] = await once(child, 'message')
      return ended
    },
    async close() {
      const exited = once(child, 'exit')
      child.disconnect()
      await exited
    },
  }
}

/**
 * Declares what must hold for two processes on one store. Nothing waits for a time that was guessed: the other process
 * is asked until it refuses, and an access token would otherwise live for 15 minutes.
 *
 * @param storeOf environment that names the store
 */
export function describeRevocationAcrossProcesses(name: string, storeOf: () => Record<string, string>): void {
  describe(`${name}: two processes on one store`, () => {
    let one: Process
    let other: Process
    let client: ReturnType<typeof createTestClient>
    beforeAll(async () => {
      const [port, otherPort] = [await freePort(), await freePort()]
      const publicUrl = `http://localhost:${port}`
      one = await startProcess(publicUrl, port, storeOf())
      other = await startProcess(publicUrl, otherPort, storeOf())
      client = createTestClient(one.serve, publicUrl)
    }, 30_000)
    afterAll(async () => {
      await Promise.all([one?.close(), other?.close()])
    })

    const refresh = (token: unknown) =>
      client.token({ grant_type: 'refresh_token', refresh_token: String(token) })

    it.each<[string, (tokens: Record<string, unknown>, userId: string) => Promise<unknown>]>([
      ['a client revokes its refresh token', ({ refresh_token }) => client.revoke(String(refresh_token))],
      ['a client revokes its access token', ({ access_token }) => client.revoke(String(access_token))],
      ['an administrator revokes the user', (_, userId) => one.revokeUser(userId)],
      [
        'a refresh token that was rotated away twice comes again',
        async ({ refresh_token }) => {
          const second = await refresh(refresh_token)
          await refresh(second.refresh_token)
          expect((await refresh(refresh_token)).error).toBe('invalid_grant')
        },
      ],
    ])('R139, R157: %s at one, and the other refuses what it has just accepted', async (_, revoke) => {
      const tokens = await client.signIn()
      const before = await other.call(tokens.access_token)
      expect(before.status).toBe(200)
      const userId = await textOf(before)
      await revoke(tokens, userId!)
      expect((await one.call(tokens.access_token)).status).toBe(401)
      await expect
        .poll(async () => (await other.call(tokens.access_token)).status, { interval: 20, timeout: 20_000 })
        .toBe(401)
    })
  })
}
