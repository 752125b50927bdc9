import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { createTestClient } from './sign-in.fixture.ts'

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

/** A server in a process of its own. */
export interface ServerProcess {
  child: ChildProcess
  /** Everything it said over IPC so far. */
  said: readonly unknown[]
  /** Calls a tool of this process. */
  call(token: unknown): Promise<Response>
  /** Tells the process something over IPC; resolves with what it answers. */
  tell(message: string): Promise<unknown>
  /** Sends a request for the public URL to this process. */
  serve(request: Request): Promise<Response>
  close(): Promise<void>
}

/** @param main file beside this one, which serves and answers what it is told over IPC */
export async function startProcess(
  main: string,
  publicUrl: string,
  port: number,
  environment: Record<string, string>,
): Promise<ServerProcess> {
  const child = fork(fileURLToPath(new URL(main, import.meta.url)), {
    execArgv: ['--conditions=sallyport-source', '--disable-warning=ExperimentalWarning'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: {
      PATH: process.env.PATH,
      NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
      PORT: `${port}`,
      PUBLIC_URL: publicUrl,
      LOG_LEVEL: 'error',
      SALLYPORT_SECRET: 'a-secret-for-tests-that-is-long-enough-0123456789',
      ...environment,
    },
  })
  const said: unknown[] = []
  child.on('message', message => said.push(message))
  await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code]) => {
      throw new Error(`the server stopped with exit code ${code}`)
    }),
  ])
  const serve: ServerProcess['serve'] = request => {
    const url = new URL(request.url)
    url.port = `${port}`
    return fetch(new Request(url, request), { redirect: 'manual' })
  }
  return {
    child,
    said,
    serve,
    call: token => createTestClient(serve, publicUrl).call('whoami', {}, token),
    async tell(message) {
      child.send(message)
      const [answer] = await once(child, 'message')
      return answer
    },
    async close() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const exited = once(child, 'exit')
      child.disconnect()
      await exited
    },
  }
}
