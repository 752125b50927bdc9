import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  connectAskable,
  eras,
  firstText,
} from '../../packages/mcp-server/src/elicit/asking-client.fixture.ts'
import { createTestClient } from '../../packages/mcp-server/src/sign-in.fixture.ts'
import { server } from './asking.ts'

const settings = {
  SESSION_PROVIDER: 'memory',
  PORT: '3000',
  LOG_LEVEL: 'silent',
  SALLYPORT_SECRET: 'a-snippet-needs-thirty-two-bytes-too',
}
const before = Object.keys(settings).map(name => [name, process.env[name]] as const)
let token: unknown

beforeAll(async () => {
  Object.assign(process.env, settings)
  const browser = createTestClient(request => server.fetch(request), 'http://localhost:3000')
  token = (await browser.signIn()).access_token
})
afterAll(async () => {
  await server.close()
  for (const [name, value] of before) {
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }
})

/** What the user answers, by what is asked. */
const contents: Record<string, object> = {
  'Delete "Summer" for good?': { sure: true, reason: 'blurred' },
  'What is it called?': { title: 'Winter' },
  'Order for 4 euros?': { yes: true },
  'Which year?': { year: 1999 },
  'Seat 1?': { yes: true },
}

describe.each(eras)('the code docs/asking.md shows, in revision %s', (_, era) => {
  it.each<[string, object, string, string]>([
    ['delete-album', { name: 'Summer' }, 'Deleted: blurred.', 'ask you questions'],
    ['pay', { invoice: 'paid-1' }, 'Paid.', 'send you to a web page'],
    ['new-album', {}, 'Made Winter.', 'tell which folders'],
    ['order', { item: 'book' }, 'Ordered book.', 'ask you questions'],
    ['reserve', {}, 'Seat 1 is yours.', 'ask you questions'],
    ['guess', {}, 'Summer of 1999', 'Summer of 2000'],
    ['guess-again', {}, 'Summer of 1999', 'Summer of 2000'],
  ])('%s asks, and says what a client must be able to do', async (name, args, asked, unasked) => {
    const client = await connectAskable(server, era, {
      token,
      answers: {
        elicit: ({ message }) => ({ action: 'accept', content: contents[String(message)] }),
        roots: () => ({ roots: [{ uri: 'file:///home/ada' }] }),
      },
    })
    const call = { name, arguments: { ...args } }
    expect(firstText(await client.callTool(call))).toBe(asked)
    await client.close()
    const mute = await connectAskable(server, era, { token })
    const result = await mute.callTool(call).catch(error => error)
    expect(result.code === -32021 ? unasked : firstText(result)).toContain(unasked)
    await mute.close()
  })
})
