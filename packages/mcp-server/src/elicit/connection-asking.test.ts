import type { InMemoryTransport, JSONRPCMessage } from '@modelcontextprotocol/server'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { closesAfterEach } from '../closing.fixture.ts'
import { createServer } from '../create-server.ts'
import { serveThroughPipes } from '../stdio/stdio-server.fixture.ts'
import { type Answers, connectAskableOver, eras, firstText } from './asking-client.fixture.ts'

const confirm = z.object({ yes: z.boolean() })
const track = closesAfterEach()

/** A server as it stands on stdio. */
async function serve() {
  const server = createServer({ name: 'local', version: '1', environment: {}, logLevel: 'silent' })
  server.tool('everything', {
    description: 'Asks for all there is',
    run: async (_, { elicit, sample, roots, clientCan }) => {
      const [form, page, reply, folders] = await Promise.all([
        elicit({ message: 'Sure?', schema: confirm, id: 'sure' }),
        elicit({ message: 'Read this', url: 'https://docs.example/terms' }),
        sample({ messages: [{ role: 'user', content: { type: 'text', text: 'Hi' } }], maxTokens: 5 }),
        roots(),
      ])
      return JSON.stringify([form, page, reply.model, folders.map(({ uri }) => uri), clientCan])
    },
  })
  server.tool('delete', {
    description: 'Deletes after asking',
    input: z.object({ name: z.string() }),
    run: async ({ name }, { elicit }) =>
      `${name}: ${(await elicit({ message: `Delete ${name}?`, schema: confirm, once: true })).action}`,
  })
  server.tool('hello', { description: 'Asks nothing', run: () => 'hello' })
  server.prompt('letter', {
    description: 'Writes to somebody',
    run: async (_, { elicit }) =>
      `To ${(await elicit({ message: 'Whom?', schema: z.object({ name: z.string() }) })).content?.name}`,
  })
  return track(await serveThroughPipes(server))
}

/** A promise, and what resolves it. */
function gate<T = void>() {
  let open: (value: T) => void = () => {}
  const opened = new Promise<T>(resolve => {
    open = resolve
  })
  return { open, opened }
}

describe.each(eras)('a %s client on a connection that stays', (era, versionNegotiation) => {
  const connect = (transport: InMemoryTransport, answers: Answers) =>
    connectAskableOver(transport, versionNegotiation, answers)

  it('is asked for a form, a page, an answer of its model and the folders in the middle of a call', async () => {
    const client = await connect((await serve()).transport, {
      elicit: ({ mode }) =>
        mode === 'url' ? { action: 'accept' } : { action: 'accept', content: { yes: true } },
      sample: () => ({ role: 'assistant', model: 'm-1', content: { type: 'text', text: 'Hello' } }),
      roots: () => ({ roots: [{ uri: 'file:///work' }] }),
    })
    const text = firstText(await client.callTool({ name: 'everything', arguments: {} })) ?? ''
    expect(JSON.parse(text)).toEqual([
      { action: 'accept', content: { yes: true } },
      { action: 'accept' },
      'm-1',
      ['file:///work'],
      { elicit: true, elicitUrl: true, sample: true, roots: true, ui: false },
    ])
    await client.close()
  })

  it('is asked by a prompt too', async () => {
    const client = await connect((await serve()).transport, {
      elicit: () => ({ action: 'accept', content: { name: 'Ada' } }),
    })
    const { messages } = await client.getPrompt({ name: 'letter' })
    expect(messages[0]?.content).toMatchObject({ text: 'To Ada' })
    await client.close()
  })

  it('gets other calls answered while a question is open', async () => {
    const asked = gate()
    const answer = gate()
    const client = await connect((await serve()).transport, {
      elicit: async () => {
        asked.open()
        await answer.opened
        return { action: 'decline' }
      },
    })
    const call = client.callTool({ name: 'delete', arguments: { name: 'a' } })
    await asked.opened
    expect(firstText(await client.callTool({ name: 'hello', arguments: {} }))).toBe('hello')
    answer.open()
    expect(firstText(await call)).toBe('a: decline')
    await client.close()
  })

  it('that cannot be asked gets a sentence, and the call ends', async () => {
    const client = await connect((await serve()).transport, {})
    const outcome = await client.callTool({ name: 'delete', arguments: { name: 'a' } }).then(
      result => firstText(result),
      (error: { code: number }) => error.code,
    )
    const sentence = 'This needs an app that can ask you questions, and yours does not say that it can.'
    expect(outcome).toBe(era === '2025' ? sentence : -32021)
    await client.close()
  })
})

describe('a client of 2025 on a connection that stays', () => {
  const [, legacy] = eras[1]

  it('is waited for until it goes', async () => {
    const asked = gate()
    const { transport, inFlight } = await serve()
    const client = await connectAskableOver(transport, legacy, {
      elicit: () => {
        asked.open()
        return new Promise(() => {})
      },
    })
    const call = client.callTool({ name: 'delete', arguments: { name: 'a' } }).catch(() => 'gone')
    await asked.opened
    await client.close()
    expect(await call).toBe('gone')
    await inFlight.idle()
  })

  it('is not waited for by a server that stops', async () => {
    const asked = gate()
    const { transport, stopAsking } = await serve()
    const client = await connectAskableOver(transport, legacy, {
      elicit: () => {
        asked.open()
        return new Promise(() => {})
      },
    })
    const call = client.callTool({ name: 'delete', arguments: { name: 'a' } })
    await asked.opened
    stopAsking()
    expect(firstText(await call)).toBe('The server is stopping. Try again in a moment.')
    await client.close()
  })
})

describe('R161: the state of a call on a connection that stays', () => {
  const meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientInfo': { name: 'raw', version: '1' },
    'io.modelcontextprotocol/clientCapabilities': { elicitation: { form: {} } },
  }
  type Reply = { result?: Record<string, unknown>; error?: { code: number; data?: unknown } }

  /** A client by hand: one request, one answer. */
  async function connectRaw() {
    const { transport, events } = await serve()
    const replies: ((message: Reply) => void)[] = []
    transport.onmessage = message => replies.shift()?.(message as Reply)
    await transport.start()
    let id = 0
    const call = (name: string, more: object = {}) =>
      new Promise<Reply>(resolve => {
        replies.push(resolve)
        const params = { name: 'delete', arguments: { name }, _meta: meta, ...more }
        void transport.send({ jsonrpc: '2.0', id: ++id, method: 'tools/call', params } as JSONRPCMessage)
      })
    return { call, events }
  }

  it('is good for this call, once where the question says so', async () => {
    const { call, events } = await connectRaw()
    const { requestState } = (await call('a')).result ?? {}
    const retry = { requestState, inputResponses: { question_1: { action: 'decline' } } }
    expect((await call('b', retry)).error).toMatchObject({ code: -32602 })
    expect((await call('a', retry)).result).toMatchObject({ content: [{ text: 'a: decline' }] })
    const refused = { code: -32602, data: { reason: 'invalid_request_state' } }
    expect((await call('a', retry)).error).toMatchObject(refused)
    expect((await call('a', { requestState: 'made-up' })).error).toMatchObject(refused)
    expect(events.filter(({ type }) => type === 'request_state_refused')).toHaveLength(3)
  })
})
