import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** A TCP proxy in front of Redis that can do what networks do. */
export interface RedisProxy {
  readonly port: number
  readonly url: string
  /** Passes the next request that contains one of `texts` on, and closes its connection instead of the reply. */
  loseReplyTo(...texts: string[]): void
  /** Which of them it was, most recent last. */
  readonly lost: readonly string[]
  /** Holds everything back for so many milliseconds, from the next request on that contains `text`. */
  hangAt(text: string, milliseconds: number): void
  /** Answers the next requests that contain `text` itself, so many times, with this line. */
  answer(text: string, line: string, times: number): void
  /** How often a loss or an answer that was asked for has happened. */
  readonly interventions: number
  /** Delays every reply by so many milliseconds. */
  delay(milliseconds: number): void
  /** Accepts and says nothing: neither requests nor replies pass. */
  hang(): void
  /** Passes everything on that was held back, and is a mere cable again. */
  release(): void
  close(): Promise<void>
}

export async function startRedisProxy(target: { port: number }): Promise<RedisProxy> {
  const sockets = new Set<Socket>()
  let held: (() => void)[] | undefined
  let delayMs = 0
  let lose: readonly string[] = []
  const lost: string[] = []
  let hang: { text: string; milliseconds: number } | undefined
  let answers: { text: string; line: string; times: number } | undefined
  let interventions = 0

  const deliver = (to: Socket, chunk: Buffer) => {
    const write = () => void (to.writable && to.write(chunk))
    if (held) held.push(write)
    else write()
  }
  const release = () => {
    const late = held ?? []
    held = undefined
    for (const write of late) write()
  }
  const server = createServer(client => {
    const upstream = connect(target.port, '127.0.0.1')
    let isLost = false
    const end = () => {
      client.destroy()
      // What was held back for Redis still arrives there: a socket's buffer does not know that its sender has gone.
      if (!held) upstream.destroy()
    }
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', end)
      socket.on('close', () => {
        sockets.delete(socket)
        end()
      })
    }
    client.on('data', chunk => {
      const text = chunk.toString('latin1')
      if (answers && text.includes(answers.text)) {
        interventions++
        client.write(`${answers.line}\r\n`)
        if (--answers.times === 0) answers = undefined
        return
      }
      const losing = lose.find(each => text.includes(each))
      if (losing !== undefined) {
        lose = []
        lost.push(losing)
        isLost = true
      }
      if (hang && text.includes(hang.text)) {
        interventions++
        held ??= []
        setTimeout(release, hang.milliseconds)
        hang = undefined
      }
      deliver(upstream, chunk)
    })
    upstream.on('data', chunk => {
      if (isLost) {
        interventions++
        end()
      } else if (delayMs > 0) setTimeout(() => deliver(client, chunk), delayMs)
      else deliver(client, chunk)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    loseReplyTo: (...texts) => {
      lose = texts
    },
    lost,
    hangAt: (text, milliseconds) => {
      hang = { text, milliseconds }
    },
    answer: (text, line, times) => {
      answers = { text, line, times }
    },
    get interventions() {
      return interventions
    },
    delay: milliseconds => {
      delayMs = milliseconds
    },
    hang: () => {
      held ??= []
    },
    release,
    async close() {
      held = undefined
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
