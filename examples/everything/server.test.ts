import {
  assertScopesRequired,
  assertSignInRequired,
  createTestServer,
  eras,
  type TestServer,
  withoutStart,
} from '@sallyport/mcp-server/testing'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { guarded, open } from './server.ts'

vi.mock('@sallyport/mcp-server', async original => withoutStart(await original()))

let openTest: TestServer
let guardedTest: TestServer
beforeEach(() => {
  openTest = createTestServer(open)
  guardedTest = createTestServer(guarded)
})
afterEach(async () => {
  await openTest.close()
  await guardedTest.close()
})

const capabilities = { elicitation: {}, sampling: {}, roots: {} }
type Client = Awaited<ReturnType<ReturnType<TestServer['asNobody']>['connect']>>

/** What a form asks for, as far as an answer needs it. */
interface Field {
  type?: string
  format?: string
  default?: unknown
  enum?: string[]
  oneOf?: { const: string }[]
  anyOf?: { const: string }[]
  items?: Field
}

const choiceOf = (field: Field | undefined) => field?.enum?.[0] ?? (field?.oneOf ?? field?.anyOf)?.[0]?.const

function answerTo(field: Field): unknown {
  if (field.default !== undefined) return field.default
  if (field.type === 'array') return [choiceOf(field.items)]
  if (field.type === 'boolean') return true
  return choiceOf(field) ?? (field.format === 'email' ? 'ada@example.com' : 'Ada')
}

/** A client that answers whatever it is asked: forms with what they suggest, or the first choice there is. */
function answering(client: Client): Client {
  client.setRequestHandler('elicitation/create', async ({ params }) => {
    const { properties } = (params as { requestedSchema: { properties: Record<string, Field> } })
      .requestedSchema
    const content = Object.entries(properties).map(([name, field]) => [name, answerTo(field)])
    return { action: 'accept', content: Object.fromEntries(content) as Record<string, string> }
  })
  client.setRequestHandler('sampling/createMessage', async () => ({
    role: 'assistant',
    model: 'test',
    content: { type: 'text', text: 'Paris.' },
  }))
  client.setRequestHandler('roots/list', async () => ({ roots: [{ uri: 'file:///home/ada', name: 'Home' }] }))
  return client
}

const person = '{"action":"accept","content":{"name":"Ada"}}'
const contact = { contactMethod: 'phone', phone: '1', email: 'ada@example.com' }

/** Tool → what it is called with, and what it answers with: texts, and kinds of other content. */
const calls: Record<string, [Record<string, unknown>, ...string[]]> = {
  test_simple_text: [{}, 'A simple text.'],
  test_image_content: [{}, '(image)'],
  test_audio_content: [{}, '(audio)'],
  test_embedded_resource: [{}, '(resource)'],
  test_multiple_content_types: [{}, 'A text, then a picture, then a resource.', '(image)', '(resource)'],
  test_error_handling: [{}, 'This tool always fails.'],
  test_tool_with_progress: [{}, 'Done.'],
  test_tool_with_logging: [{}, 'Done.'],
  test_logging_tool: [{}, 'Done.'],
  test_reconnection: [{}, 'The answer came over another stream.'],
  test_trigger_tool_change: [{}, 'Told.'],
  test_trigger_prompt_change: [{}, 'Told.'],
  json_schema_2020_12_tool: [contact, JSON.stringify(contact)],
  test_x_mcp_header: [{ region: 'eu' }, 'Region: eu'],
  test_sampling: [{ prompt: 'Which city?' }, 'Model: Paris.'],
  test_elicitation: [{ message: 'Who?' }, 'accept: {"username":"Ada","email":"ada@example.com"}'],
  test_elicitation_sep1034_defaults: [
    {},
    'accept: {"name":"John Doe","age":30,"score":95.5,"status":"active","verified":true}',
  ],
  test_elicitation_sep1330_enums: [
    {},
    'accept: {"untitledSingle":"option1","titledSingle":"value1","legacyEnum":"option1","untitledMulti":["option1"],"titledMulti":["value1"]}',
  ],
  test_missing_capability: [{}, 'The client can do that.'],
  test_streaming_elicitation: [{}, 'Asked: accept'],
  test_input_required_result_elicitation: [{}, 'Hello, Ada!'],
  test_input_required_result_sampling: [{}, 'Paris.'],
  test_input_required_result_list_roots: [{}, 'Home: file:///home/ada'],
  test_input_required_result_request_state: [{}, 'state-ok'],
  test_input_required_result_multiple_inputs: [
    {},
    `{"user":${person},"greeting":{"type":"text","text":"Paris."},"folders":[{"uri":"file:///home/ada","name":"Home"}]}`,
  ],
  test_input_required_result_multi_round: [{}, 'Ada likes Ada.'],
  test_input_required_result_tampered_state: [{}, 'Confirmed.'],
  test_input_required_result_capabilities: [
    {},
    `{"user":${person},"answer":{"type":"text","text":"Paris."}}`,
  ],
  greet: [{ name: 'Ada' }, 'Hello, Ada!'],
  slow_compute: [{ seconds: 0, label: 'nothing' }, 'nothing: done after 0 s.'],
  confirm_delete: [{ filename: 'a.txt' }, 'a.txt is deleted.'],
  multi_input: [{}, '{"name":"Ada","confirm":true}'],
}

/** What runs as a task or not at all; this client knows none. */
const tasksOnly = ['failing_job', 'protocol_error_job', 'test_tool_with_task']

describe.each(eras)('a client of %s', era => {
  it.each(['open', 'protected'])('gets the same from the %s server, whatever it calls', async access => {
    const caller = access === 'open' ? openTest.asNobody() : await guardedTest.asUser({ sub: 'ada' })
    const client = answering(await caller.connect({ era, capabilities }))
    const { tools } = await client.listTools()
    expect(tools.map(({ name }) => name)).toEqual([...Object.keys(calls), ...tasksOnly])
    for (const [name, [args, ...expected]] of Object.entries(calls)) {
      const { content, isError } = await client.callTool({ name, arguments: args })
      const said = content.map(block => (block.type === 'text' ? block.text : `(${block.type})`))
      expect([name, ...said]).toEqual([name, ...expected])
      expect([name, isError ?? false]).toEqual([name, name === 'test_error_handling'])
    }
    for (const name of tasksOnly) {
      await expect(client.callTool({ name, arguments: {} })).rejects.toMatchObject({ code: -32021 })
    }
    const { resources } = await client.listResources()
    for (const { uri } of resources) {
      expect((await client.readResource({ uri })).contents).toMatchObject([{ uri }])
    }
    const template = await client.readResource({ uri: 'test://template/123/data' })
    expect(template.contents).toMatchObject([{ text: '{"id":"123","data":"Data of 123"}' }])
    const prompt = { name: 'test_prompt_with_arguments', arguments: { arg1: 'one', arg2: 'two' } }
    expect((await client.getPrompt(prompt)).messages).toMatchObject([
      { content: { text: "The first is 'one', the second is 'two'." } },
    ])
    const asking = await client.getPrompt({ name: 'test_input_required_result_prompt' })
    expect(asking.messages).toMatchObject([{ content: { text: 'Write about Ada.' } }])
  })

  it('is asked to sign in when it connects, once for all there is', async () => {
    await assertSignInRequired(guardedTest.asNobody().connect({ era }), { scopes: ['mcp', 'everything'] })
    const reader = await (await guardedTest.asUser({ sub: 'ada', scopes: ['mcp'] })).connect({ era })
    expect((await reader.listTools()).tools).toHaveLength(Object.keys(calls).length + tasksOnly.length)
    for (const attempt of [
      reader.callTool({ name: 'test_simple_text', arguments: {} }),
      reader.readResource({ uri: 'test://static-text' }),
      reader.getPrompt({ name: 'test_simple_prompt' }),
    ]) {
      await assertScopesRequired(attempt, { scopes: ['everything'] })
    }
  })
})
