import { developmentSignIn } from '@sallyport/oauth'
import { describe, expect, it } from 'vitest'
import { createServer } from './create-server.ts'
import { nearestWord } from './known-keys.ts'
import { requiresAuth } from './requires-auth.ts'
import type { AnyAuth } from './tools/access-rule.ts'

const server = () => createServer({ name: 'keys', version: '1.0.0', logLevel: 'silent', environment: {} })
const run = () => 'ok'

/** As somebody writes it whom no compiler stops. */
const addTool = (definition: unknown) => () => server().tool('notes', definition as never)

describe('a definition with a word that means nothing does not go through in silence', () => {
  it.each<[string, () => unknown, string]>([
    [
      'a misspelt auth, which would leave the tool open to everybody',
      addTool({ description: 'Notes', auht: { scopes: ['notes'] }, run }),
      'Tool "notes" has "auht", which means nothing here: write "auth".',
    ],
    [
      'the word of another framework',
      addTool({ description: 'Notes', inputSchema: {}, run }),
      'Tool "notes" has "inputSchema", which means nothing here: write "input".',
    ],
    [
      'a handler under another name',
      addTool({ description: 'Notes', execute: run }),
      'Tool "notes" has "execute", which means nothing here: write "run".',
    ],
    [
      'a word that is near nothing',
      addTool({ description: 'Notes', ratelimit: 3, run }),
      'Tool "notes" has "ratelimit", which means nothing here: there are title, description, input, output, auth, run, task, taskCreation, ui, annotations, icons and _meta.',
    ],
    [
      'a resource',
      () => server().resource('notes://all', { mimetype: 'text/plain', run } as never),
      'Resource "notes://all" has "mimetype", which means nothing here: write "mimeType".',
    ],
    [
      'a prompt',
      () => server().prompt('sum-up', { description: 'Sums up', arguments: [], run } as never),
      'Prompt "sum-up" has "arguments", which means nothing here: there are title, description, input, auth, complete, run, icons and _meta.',
    ],
    ['no definition', addTool(undefined), 'Tool "notes" needs an object, such as { title: … }.'],
    [
      'the arguments of another framework',
      () => server().tool({ name: 'notes', run } as never, undefined as never),
      'The name of tool "[object Object]" must be 1 to 64 of A-Z, a-z, 0-9, "_", ".", "/", "-".',
    ],
    [
      'a page of a tool',
      addTool({ description: 'Notes', ui: { html: '<p>', csp: { connect: ['https://a.example'] } }, run }),
      'csp of ui of tool "notes" has "connect", which means nothing here: there are connectDomains, resourceDomains, frameDomains and baseUriDomains.',
    ],
    [
      'middleware of another framework',
      () => server().use(((_request: unknown, _response: unknown, next: () => void) => next()) as never),
      'server.use takes a function of two parameters, (call, next) => … around calls; middleware around HTTP is that of Hono, with a path in front: server.use("/*", …).',
    ],
    [
      'a proxy',
      () => server().proxy({ url: 'https://a.example/mcp', prefx: 'a' } as never),
      'server.proxy has "prefx", which means nothing here: write "prefix".',
    ],
    [
      'what a proxy does with tools',
      () => server().proxy({ url: 'https://a.example/mcp', tools: { excludes: [] } } as never),
      'tools of server.proxy has "excludes", which means nothing here: write "exclude".',
    ],
  ])('%s', (_, define, sentence) => {
    expect(define).toThrow(expect.objectContaining({ name: 'ConfigurationError', message: sentence }))
  })

  it('what is there and undefined is not there', () => {
    expect(addTool({ description: 'Notes', run, inputSchema: undefined })).not.toThrow()
  })
})

describe('a protection that cannot be one stops the definition', () => {
  it.each([true, false, null, 'notes:write', ['notes:write'], () => true])('auth: %s', auth => {
    expect(addTool({ description: 'Notes', auth, run })).toThrow(
      `auth of tool "notes" must be an object, such as { scopes: ['notes:write'] }, or {} for whoever is signed in.`,
    )
  })

  it('requiresAuth without a handler is no handler, and its tool not a public one', () => {
    expect(addTool({ description: 'Notes', run: requiresAuth({ scopes: ['notes:write'] }) })).toThrow(
      'The run of tool "notes" is requiresAuth without a handler: write requiresAuth({ … }, handler).',
    )
  })

  it('requiresAuth with its parameters the other way round says so', () => {
    const swapped = () => requiresAuth(run as unknown as AnyAuth, { scopes: ['notes:write'] } as never)
    expect(swapped).toThrow('requiresAuth takes what it asks for, and then the handler')
  })
})

describe('a scope or provider that nobody has', () => {
  const start = (auth: AnyAuth) => {
    const protectedServer = createServer({
      name: 'keys',
      version: '1.0.0',
      logLevel: 'silent',
      environment: {},
      signIn: developmentSignIn(),
      scopes: { 'notes:write': 'Add notes', 'notes:read': 'Read notes' },
    })
    protectedServer.tool('notes', { description: 'Notes', run: requiresAuth(auth, () => 'ok') } as never)
    return protectedServer.start({ transport: 'mounted', throwOnError: true })
  }

  it('a misspelt scope stops the start, wherever the compiler does not see it', async () => {
    await expect(start({ scopes: ['notes:wirte'] })).rejects.toThrow(
      'Tool "notes" asks for scope "notes:wirte", and the option scopes has "notes:write": correct the one that is misspelt, or add the other to scopes.',
    )
  })

  it('a misspelt word of auth is not taken for a provider', async () => {
    await expect(start({ scope: ['notes:write'] })).rejects.toThrow(
      'Tool "notes" needs provider "scope", which the server does not have: write "scopes", if that is meant.',
    )
    await expect(start({ google: [] })).rejects.toThrow(
      'Tool "notes" needs provider "google", which the server does not have: add it to the option providers.',
    )
  })
})

it.each([
  ['scope', 'scopes'],
  ['ruN', 'run'],
  ['desciption', 'description'],
  ['auht', 'auth'],
  ['notes:raed', undefined],
  ['id', undefined],
  ['', undefined],
])('somebody who wrote "%s" meant %s', (written, meant) => {
  expect(nearestWord(written, ['scopes', 'run', 'description', 'auth', 'ui'])).toBe(meant)
})
