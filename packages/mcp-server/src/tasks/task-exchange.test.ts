import { describe, expect, it } from 'vitest'
import type { ConnectionNeed } from '../elicit/exchange.ts'
import { ConnectionRequiredError } from '../provider.ts'
import { ToolError } from '../tools/tool-error.ts'
import { createTaskExchange, type TaskQuestions } from './task-exchange.ts'

function setUp({ answerMs = 60_000, url = true }: { answerMs?: number; url?: boolean } = {}) {
  const open = new Map<string, unknown>()
  const answers = new Map<string, (answer: unknown) => void>()
  const over = new AbortController()
  const stopping = new AbortController()
  const questions: TaskQuestions = {
    async post(name, request) {
      open.set(name, request)
    },
    async withdraw(name) {
      open.delete(name)
    },
    answer: (name, signal) =>
      new Promise((resolve, reject) => {
        signal.throwIfAborted()
        signal.addEventListener('abort', () => reject(signal.reason), { once: true })
        answers.set(name, answer => {
          open.delete(name)
          resolve(answer)
        })
      }),
  }
  const exchange = createTaskExchange(questions, {
    capabilities: { elicitation: { form: {}, ...(url && { url: {} }) } },
    timing: { answerMs, roundMs: 1_000, pollMs: 2 },
    stopping: stopping.signal,
    signal: over.signal,
  })
  let isConnected = false
  const need: ConnectionNeed = {
    error: new ConnectionRequiredError('google', 'not_connected', []),
    label: 'Google',
    message: 'Your Google account is not connected.',
    link: async () => 'https://mcp.example.com/oauth/connect/google?ticket=once',
    isConnected: async () => isConnected,
  }
  const answer = async (name: string, value: unknown) => {
    await expect.poll(() => answers.has(name), { timeout: 20_000, interval: 2 }).toBe(true)
    answers.get(name)!(value)
  }
  return { exchange, open, over, stopping, need, answer, connect: () => (isConnected = true) }
}

const question = {
  id: 'name',
  request: { method: 'elicitation/create', params: { message: 'Your name?' } },
  read: async (answer: unknown) => (answer === 'fits' ? 'read' : undefined),
} as const

describe('a question of a task', () => {
  it('is asked again under another name until its answer fits, and not for ever', async () => {
    const { exchange, answer } = setUp()
    const asked = exchange.ask(question)
    await answer('name', 'does not fit')
    await answer('name_2', 'fits')
    expect(await asked).toBe('read')
    const again = exchange.ask(question)
    for (const name of ['name_3', 'name_4', 'name_5']) await answer(name, 'does not fit')
    await expect(again).rejects.toThrow(ToolError)
  })

  it('is taken back when nobody answers', async () => {
    const { exchange, open } = setUp({ answerMs: 1 })
    await expect(exchange.ask(question)).rejects.toThrow('did not answer')
    expect(open.size).toBe(0)
  })

  it('ends with its task, and with its server', async () => {
    const cancelled = setUp()
    const asked = cancelled.exchange.ask(question)
    cancelled.over.abort(new Error('the task is over'))
    await expect(asked).rejects.toThrow('the task is over')
    const stopped = setUp()
    const waiting = stopped.exchange.ask(question)
    stopped.stopping.abort()
    await expect(waiting).rejects.toThrow('The server is stopping')
  })
})

describe('an account that a task needs', () => {
  it('is asked for with a link, and the task goes on once it is connected, whatever the client says', async () => {
    const { exchange, open, need, connect } = setUp()
    const connected = exchange.connect(need)
    await expect
      .poll(() => open.get('connect_google'), { timeout: 20_000 })
      .toMatchObject({
        params: { mode: 'url', url: await need.link(), message: need.message },
      })
    connect()
    await connected
    await expect.poll(() => open.size, { timeout: 20_000 }).toBe(0)
  })

  it('a yes of the client is not yet a connection', async () => {
    const { exchange, need, connect, answer } = setUp()
    let isDone = false
    const connected = exchange.connect(need).then(() => {
      isDone = true
    })
    await answer('connect_google', { action: 'accept' })
    await new Promise(resolve => setImmediate(resolve))
    expect(isDone).toBe(false)
    connect()
    await connected
  })

  it('is not connected when the user declines, or the client cannot open links', async () => {
    const { exchange, need, answer } = setUp()
    const connected = exchange.connect(need)
    connected.catch(() => {})
    await answer('connect_google', { action: 'decline' })
    await expect(connected).rejects.toThrow('as you decided')
    await expect(setUp({ url: false }).exchange.connect(need)).rejects.toBe(need.error)
  })
})
