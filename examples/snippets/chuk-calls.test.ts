import { createTestServer, eras, type TestServer } from '@sallyport/mcp-server/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { server } from './chuk-calls.ts'

let test: TestServer
beforeAll(() => {
  test = createTestServer(server)
})
afterAll(() => test.close())

describe.each(eras)('the calls docs/migrate-from-chuk.md shows, for a client of %s', era => {
  it('know their caller, who may be nobody', async () => {
    const ada = await test.asUser({ sub: 'ada' })
    const client = await ada.connect({ era })
    expect(await client.callTool({ name: 'account' })).toMatchObject({ content: [{ text: ada.userId }] })
    expect(await client.callTool({ name: 'drafts' })).toMatchObject({ content: [{ text: '["Untitled"]' }] })
    const nobody = await test.asNobody().connect({ era })
    expect(await nobody.callTool({ name: 'account' })).toMatchObject({ content: [{ text: 'nobody' }] })
  })

  it('keep the files of each user apart', async () => {
    const ada = await (await test.asUser({ sub: 'ada' })).connect({ era })
    const bob = await (await test.asUser({ sub: 'bob' })).connect({ era })
    await ada.callTool({ name: 'write-file', arguments: { path: `a/${era}`, text: 'mine' } })
    expect(await ada.readResource({ uri: `files://a/${era}` })).toMatchObject({
      contents: [{ blob: Buffer.from('mine').toString('base64') }],
    })
    await expect(bob.readResource({ uri: `files://a/${era}` })).rejects.toThrow(/not found/i)
  })

  it('tell how far they are, and write to the client', async () => {
    const client = await test.asNobody().connect({ era })
    const logged: unknown[] = []
    client.setNotificationHandler('notifications/message', ({ params }) => void logged.push(params))
    const progress: unknown[] = []
    const result = await client.callTool(
      {
        name: 'render',
        arguments: { frames: 2 },
        ...(era === '2026-07-28' && { _meta: { 'io.modelcontextprotocol/logLevel': 'info' } }),
      },
      { onprogress: step => void progress.push(step) },
    )
    expect(result).toMatchObject({ content: [{ text: '2 frames' }] })
    expect(progress).toEqual([
      { progress: 1, total: 2, message: 'Frame 1 of 2' },
      { progress: 2, total: 2, message: 'Frame 2 of 2' },
    ])
    expect(logged).toEqual([{ level: 'info', data: { frames: 2 }, logger: 'renderer' }])
  })

  it('ask the model, the user, and the client', async () => {
    const client = await test.asNobody().connect({
      era,
      capabilities: { sampling: {}, elicitation: { form: {}, url: {} }, roots: {} },
    })
    client.setRequestHandler('sampling/createMessage', () => ({
      role: 'assistant',
      model: 'test',
      content: { type: 'text', text: 'Two lovers in the rain' },
    }))
    client.setRequestHandler('elicitation/create', ({ params }) =>
      params.mode === 'url' ? { action: 'accept' } : { action: 'accept', content: { copies: 3, size: 'A3' } },
    )
    client.setRequestHandler('roots/list', () => ({ roots: [{ uri: 'file:///films', name: 'Films' }] }))
    const text = async (name: string, args = {}) =>
      (await client.callTool({ name, arguments: args })).content[0]
    expect(await text('caption', { text: 'A film' })).toMatchObject({ text: 'Two lovers in the rain' })
    expect(await text('order-print')).toMatchObject({ text: 'Ordered 3 × A3.' })
    expect(await text('buy')).toMatchObject({ text: 'The page was opened.' })
    expect(await text('folders')).toMatchObject({ text: 'file:///films' })
  })

  it('see what a client cannot do', async () => {
    const client = await test.asNobody().connect({ era })
    const caption = await client.callTool({ name: 'caption', arguments: { text: 'A film about rain' } })
    expect(caption).toMatchObject({ content: [{ text: 'A film about rain…' }] })
  })

  it('see what came along, and answer with links', async () => {
    const client = await test.asNobody().connect({ era })
    const result = await client.callTool({ name: 'trace', _meta: { 'example.com/trace': 'abc' } })
    expect(result).toMatchObject({
      content: [{ text: expect.stringContaining('"example.com/trace":"abc"') }],
    })
    expect(await client.callTool({ name: 'export' })).toMatchObject({
      content: [{ text: 'Exported.' }, { type: 'resource_link', uri: 'films://1' }],
    })
  })
})
