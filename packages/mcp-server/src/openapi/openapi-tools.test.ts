import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createServer } from '../create-server.ts'
import type { AnyCallContext } from '../tools/call-context.ts'
import { type OpenApiOptions, openApiTools } from './openapi-tools.ts'

const document = {
  openapi: '3.0.3',
  info: { title: 'Notes', version: '1' },
  servers: [{ url: 'https://api.example.com/v1' }],
  components: {
    securitySchemes: {
      oauth: {
        type: 'oauth2',
        flows: {
          authorizationCode: {
            authorizationUrl: 'https://a.example',
            tokenUrl: 'https://a.example',
            scopes: { 'notes.read': 'r', 'notes.write': 'w' },
          },
        },
      },
    },
    schemas: {
      Note: {
        type: 'object',
        required: ['text'],
        properties: {
          text: { type: 'string', nullable: true },
          example: { type: 'string', example: 'kept as a property' },
          replies: { type: 'array', items: { $ref: '#/components/schemas/Note' } },
        },
      },
    },
  },
  paths: {
    '/notes/{id}': {
      parameters: [{ name: 'id', in: 'path', required: true, schema: { type: 'string' } }],
      get: {
        operationId: 'getNote',
        summary: 'Read a note',
        security: [{ oauth: ['notes.read'] }],
        parameters: [
          { name: 'fields', in: 'query', schema: { type: 'array', items: { type: 'string' } } },
          { name: 'ids', in: 'query', explode: false, schema: { type: 'array', items: { type: 'string' } } },
          { name: 'filter', in: 'query', style: 'deepObject', schema: { type: 'object' } },
          { name: 'X-Trace', in: 'header', schema: { type: 'string' } },
          { name: 'Authorization', in: 'header', schema: { type: 'string' } },
          { name: 'Host', in: 'header', schema: { type: 'string' } },
          { name: 'COOKIE', in: 'header', schema: { type: 'string' } },
        ],
        responses: { 200: { description: 'ok' } },
      },
      delete: { operationId: 'deleteNote', responses: { 204: { description: 'gone' } } },
    },
    '/notes': {
      post: {
        operationId: 'addNote',
        tags: ['write'],
        description: 'Writes a note.',
        requestBody: {
          required: true,
          content: { 'application/json': { schema: { $ref: '#/components/schemas/Note' } } },
        },
        responses: { 200: { description: 'ok' } },
      },
    },
    '/files': {
      post: {
        requestBody: { required: true, content: { 'image/png': { schema: { type: 'string' } } } },
        responses: { 200: { description: 'ok' } },
      },
    },
    '/search': { get: { responses: { 200: { description: 'ok' } } } },
  },
}

const tools = (options: OpenApiOptions = {}) => openApiTools(document, options)
const all = tools()

/** Calls one tool against an API that answers as told, and keeps what it was asked. */
async function call(name: string, input: object, answer: () => Response = () => Response.json({ ok: true })) {
  const asked: { url: string; init: RequestInit }[] = []
  const fetch: AnyCallContext['fetch'] = async (url, init = {}) => {
    asked.push({ url: String(url), init })
    return answer()
  }
  const result = await (await all)[name]!.run(input, { fetch })
  return { result, asked }
}

describe('which tools there are', () => {
  it('one for each operation that can be sent, with the words and hints of the document', async () => {
    const made = await tools()
    expect(Object.keys(made)).toEqual(['getNote', 'deleteNote', 'addNote', 'get_search'])
    expect(made.getNote).toMatchObject({
      title: 'Read a note',
      description: 'Read a note',
      annotations: { readOnlyHint: true },
    })
    expect(made.deleteNote!.annotations).toMatchObject({ destructiveHint: true, idempotentHint: true })
  })

  it('those the developer wants, under a prefix', async () => {
    const made = await tools({ include: ({ tags }) => tags.includes('write'), prefix: 'notes_' })
    expect(Object.keys(made)).toEqual(['notes_addNote'])
  })

  it('arguments are those of the document: Authorization is nobody’s to give, references are followed', async () => {
    const made = await tools()
    const shown = (name: string) =>
      made[name]!.input['~standard'].jsonSchema.input({ target: 'draft-2020-12' })
    expect(shown('getNote')).toMatchObject({
      required: ['id'],
      additionalProperties: false,
      properties: { id: { type: 'string' }, fields: { type: 'array' }, 'X-Trace': {} },
    })
    expect(JSON.stringify(shown('getNote'))).not.toMatch(/authorization|host|cookie/i)
    expect(shown('addNote')).toMatchObject({
      required: ['body'],
      properties: {
        body: { properties: { text: { type: ['string', 'null'] }, example: { type: 'string' } } },
      },
    })
  })

  it('with a provider each tool asks for the provider scopes of its operation', async () => {
    const made = await openApiTools(document, { provider: 'google', auth: { scopes: ['notes'] } })
    expect(made.getNote!.auth).toEqual({ scopes: ['notes'], google: ['notes.read'] })
    expect(made.addNote!.auth).toEqual({ scopes: ['notes'], google: [] })
    expect((await tools()).getNote!.auth).toBeUndefined()
  })
})

describe('a call', () => {
  it('travels as the document says', async () => {
    const input = {
      id: 'a/b?c',
      fields: ['x', 'y z'],
      ids: ['1', '2'],
      filter: { by: 'me&you' },
      'X-Trace': 't',
    }
    const { asked } = await call('getNote', input)
    expect(asked).toEqual([
      {
        url: 'https://api.example.com/v1/notes/a%2Fb%3Fc?fields=x&fields=y%20z&ids=1%2C2&filter%5Bby%5D=me%26you',
        init: { method: 'GET', headers: { accept: 'application/json, text/*;q=0.8', 'X-Trace': 't' } },
      },
    ])
  })

  it('sends a body as JSON', async () => {
    const { asked } = await call('addNote', { body: { text: 'hello' } })
    expect(asked[0]!.init).toMatchObject({
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"text":"hello"}',
    })
  })

  it.each(['.', '..', ''])('cannot reach another operation by the id %j', async id => {
    await expect(call('deleteNote', { id })).rejects.toThrow('"id" cannot be')
  })

  it('stays in its path and on its host, whatever the arguments are', { timeout: 30_000 }, () =>
    fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary' }), async id => {
        const made = await call('getNote', { id }).catch(() => undefined)
        if (!made) return
        const { origin, pathname } = new URL(made.asked[0]!.url)
        expect(origin).toBe('https://api.example.com')
        expect(pathname).toMatch(/^\/v1\/notes\/[^/]+$/)
      }),
      { numRuns: 50 },
    ),
  )

  it.each(['a\r\nHost: evil.example', 'a\nb', 'a\0b'])('a header stays one line: %j', async value => {
    await expect(call('getNote', { id: '1', 'X-Trace': value })).rejects.toThrow('one line')
  })
})

describe('an answer', () => {
  const text = (value: string) => ({ content: [{ type: 'text', text: value }] })

  it('is what the API said', async () => {
    expect((await call('get_search', {})).result).toEqual(text('{"ok":true}'))
    const nothing = () => new Response(null, { status: 204 })
    expect((await call('deleteNote', { id: '1' }, nothing)).result).toEqual({ content: [] })
  })

  it('that is a failure says so, with what the model needs to mend its call', async () => {
    const refused = () => Response.json({ message: 'No such field.' }, { status: 400 })
    expect((await call('get_search', {}, refused)).result).toEqual({
      ...text('The API answered 400.\n{"message":"No such field."}'),
      isError: true,
    })
  })

  it('that is endless or no text is not passed on', async () => {
    const endless = () =>
      new Response(
        new ReadableStream({ pull: controller => controller.enqueue(new Uint8Array(65_536).fill(97)) }),
        { headers: { 'content-type': 'text/plain' } },
      )
    await expect(call('get_search', {}, endless)).rejects.toThrow('ask for less')
    const image = () => new Response('x', { headers: { 'content-type': 'image/png' } })
    await expect(call('get_search', {}, image)).rejects.toThrow('no text')
  })
})

describe('a document that cannot work', () => {
  it.each<[string, string | object, RegExp]>([
    ['no OpenAPI', { hello: 'world' }, /is not valid/],
    ['a text that is none', 'hello', /is not valid/],
    [
      'a reference that is not there',
      { ...document, paths: { '/a': { $ref: '#/nothing' } } },
      /is not valid/,
    ],
    [
      'a place deep in it, which is named',
      { ...document, paths: { '/a': { get: { responses: {} } } } },
      /is not valid at \/paths\/~1a\/get\/responses: .*[^.]\. Correct the document\.$/,
    ],
    ['its address', 'https://api.example.com/openapi.json', /not where it is: fetch or read it first/],
    ['its path', './openapi.yaml', /not where it is: fetch or read it first/],
    ['no server', { ...document, servers: [] }, /option baseUrl/],
    ['a relative server', { ...document, servers: [{ url: '/v1' }] }, /option baseUrl/],
  ])('%s: one sentence', async (_, bad, sentence) => {
    await expect(openApiTools(bad)).rejects.toThrow(sentence)
  })

  it('a misspelt option is not left out: without provider the tools would be public', async () => {
    await expect(openApiTools(document, { provder: 'google' } as never)).rejects.toThrow(
      'openApiTools has "provder", which means nothing here: write "provider".',
    )
  })

  it('nothing is changed in a document that was given as an object', async () => {
    const before = JSON.stringify(document)
    await tools()
    expect(JSON.stringify(document)).toBe(before)
  })
})

it('are tools of a server like all others', async () => {
  const server = createServer({ name: 'notes', version: '1', environment: {} })
  for (const [name, tool] of Object.entries(await openApiTools(document))) server.tool(name, tool)
  const response = await server.fetch(
    new Request('http://localhost:3000/mcp', {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json', host: 'localhost:3000' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} }),
    }),
  )
  const { result } = (await response.json()) as { result: { tools: { name: string }[] } }
  expect(result.tools.map(({ name }) => name)).toContain('getNote')
  await server.close()
})
