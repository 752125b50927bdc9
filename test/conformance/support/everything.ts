import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { freePort } from '../../e2e/support/free-port.ts'

const program = resolve(import.meta.dirname, '../../../examples/everything/server.ts')

/** The example, running as its own process, the file as a user has it. */
export interface Everything {
  /** MCP endpoint of the open server. */
  openUrl: string
  /** MCP endpoint of the protected one. */
  protectedUrl: string
  close(): Promise<void>
}

/** Starts `examples/everything`, with the lean path or without. */
export async function startEverything(leanCalls: 'on' | 'off'): Promise<Everything> {
  const ports = [await freePort(), await freePort()]
  const [openUrl, protectedUrl] = ports.map(port => `http://localhost:${port}/mcp`) as [string, string]
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-conformance-'))
  const child = spawn(process.execPath, ['--conditions=sallyport-source', program], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env.PATH,
      NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
      HOME: directory,
      PORT: String(ports[0]),
      PROTECTED_PORT: String(ports[1]),
      LEAN_CALLS: leanCalls,
      SALLYPORT_DIR: directory,
      OAUTH_RATE_LIMIT: '0',
    },
  })
  let output = ''
  await new Promise<void>((ready, failed) => {
    child.on('exit', code => failed(new Error(`the example stopped with exit code ${code}:\n${output}`)))
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        output += chunk
        if (output.split('"msg":"listening"').length === 3) ready()
      })
    }
  })
  return {
    openUrl,
    protectedUrl,
    async close() {
      if (child.exitCode === null) {
        const exited = once(child, 'exit')
        child.kill('SIGTERM')
        await exited
      }
      await rm(directory, { recursive: true, force: true })
    },
  }
}
