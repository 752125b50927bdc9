import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './free-port.ts'

/** A Redis of the test's own. */
export interface TestRedis {
  url: string
  /** Stops it in the middle of whatever it does: connections stay open and nothing answers. */
  freeze(): void
  thaw(): void
  close(): Promise<void>
}

/** Starts Debian's `redis-server` on a free port, with an append-only file in a folder of its own. */
export async function startRedis(): Promise<TestRedis> {
  const port = await freePort()
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-e2e-redis-'))
  const settings = { port, bind: '127.0.0.1', dir: folder, appendonly: 'yes', save: '""', daemonize: 'no' }
  const server = spawn(
    'redis-server',
    Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]),
    { stdio: 'ignore' },
  )
  while (!(await answers(port))) {
    if (server.exitCode !== null) throw new Error(`redis-server stopped with exit code ${server.exitCode}`)
  }
  return {
    url: `redis://127.0.0.1:${port}`,
    freeze: () => void server.kill('SIGSTOP'),
    thaw: () => void server.kill('SIGCONT'),
    async close() {
      const exited = once(server, 'exit')
      server.kill('SIGCONT')
      server.kill('SIGKILL')
      await exited
      await rm(folder, { recursive: true, force: true })
    },
  }
}

const answers = (port: number): Promise<boolean> =>
  new Promise(tell => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'))
    socket.on('data', data => {
      socket.destroy()
      tell(data.toString().startsWith('+PONG'))
    })
    socket.on('error', () => setTimeout(tell, 50, false))
  })
