import { once } from 'node:events'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Stands where the user's browser would, for programs that open links. */
export interface OpenedLinks {
  /** Environment in which `xdg-open` comes to us. */
  environment: Record<string, string>
  /** The next link a program opens. */
  next(): Promise<string>
  close(): Promise<void>
}

/** Makes a command that reports the link it is given, and names it as the browser (`BROWSER`, see `xdg-open`). */
export async function interceptLinks(): Promise<OpenedLinks> {
  const links: string[] = []
  const waiting: ((link: string) => void)[] = []
  const server = createServer(async (request, response) => {
    let link = ''
    for await (const chunk of request) link += chunk
    response.end()
    const waiter = waiting.shift()
    if (waiter) waiter(link)
    else links.push(link)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-browser-'))
  const command = join(folder, 'browser')
  const report = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  await writeFile(
    command,
    `#!${process.execPath}\nfetch('${report}', { method: 'POST', body: process.argv[2] })\n`,
  )
  await chmod(command, 0o755)
  return {
    environment: { BROWSER: command },
    next: () => {
      const link = links.shift()
      return link === undefined ? new Promise(resolve => waiting.push(resolve)) : Promise.resolve(link)
    },
    async close() {
      server.closeAllConnections()
      server.close()
      await rm(folder, { recursive: true })
    },
  }
}
