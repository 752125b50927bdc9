import { describe, expect, it } from 'vitest'
import { judgeOperation } from './operation.ts'
import { createRegistry } from './registry.ts'
import { defineTool } from './tools/define-tool.ts'

const registry = createRegistry()
const tools = { add: (tool: Parameters<typeof registry.add>[0]) => registry.add(tool, () => {}) }
const run = () => ''
tools.add(defineTool('add', { description: 'd', run }))
tools.add(defineTool('whoami', { description: 'd', run, auth: {} }))
tools.add(defineTool('write', { description: 'd', run, auth: { scopes: ['notes:write'] } }))
tools.add(defineTool('read', { description: 'd', run, auth: { scopes: ['notes:read'] } }))
tools.add(defineTool('hello', { description: 'd', run, auth: { anonymous: true, scopes: ['greet'] } }))

tools.add(defineTool('job', { description: 'd', run, auth: { clients: true, scopes: ['jobs'] } }))
tools.add(defineTool('pay', { description: 'd', run, auth: { maxAgeSeconds: 300 } }))
tools.add(defineTool('pay-more', { description: 'd', run, auth: { maxAgeSeconds: 60 } }))

const call = (name: unknown) => ({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name } })

describe('judgeOperation', () => {
  it.each<[string, unknown, boolean, string[], string[]]>([
    ['a public tool', call('add'), false, [], ['mcp']],
    ['a tool for signed-in users', call('whoami'), true, [], ['mcp']],
    ['a tool with a scope', call('write'), true, ['notes:write'], ['notes:write']],
    ['a tool that accepts both', call('hello'), false, ['greet'], ['greet']],
    ['a list', { jsonrpc: '2.0', id: 1, method: 'tools/list' }, false, [], ['mcp']],
    ['a tool nobody has', call('nothing'), false, [], ['mcp']],
    ['no body', undefined, false, [], ['mcp']],
    ['a batch of public calls', [call('add'), call('add')], false, [], ['mcp']],
    ['R152: a protected call behind a public one', [call('add'), call('whoami')], true, [], ['mcp']],
    [
      'R156: a batch needs the scopes of all',
      [call('write'), call('read')],
      true,
      ['notes:write', 'notes:read'],
      ['notes:write', 'notes:read'],
    ],
  ])('%s', (_, body, needsCaller, scopes, challengeScopes) => {
    expect(judgeOperation(body, registry, false)).toMatchObject({ needsCaller, scopes, challengeScopes })
  })

  it.each<[string, unknown, boolean]>([
    ['a public tool', call('add'), true],
    ['a tool for users', call('whoami'), false],
    ['a tool for users with a scope', call('write'), false],
    ['a tool for everybody', call('hello'), true],
    ['a tool for clients', call('job'), true],
    ['R152: a tool for users behind one for clients', [call('job'), call('whoami')], false],
    ['a list', { jsonrpc: '2.0', id: 1, method: 'tools/list' }, true],
    ['no body', undefined, true],
  ])('R115: whether a client may by itself: %s', (_, body, allowsClients) => {
    expect(judgeOperation(body, registry, true)).toMatchObject({ allowsClients })
  })

  it('R152: of a batch the shortest age counts', () => {
    expect(judgeOperation(call('pay'), registry, false).maxAgeSeconds).toBe(300)
    expect(judgeOperation([call('pay'), call('pay-more')], registry, false).maxAgeSeconds).toBe(60)
    expect(judgeOperation(call('whoami'), registry, false)).not.toHaveProperty('maxAgeSeconds')
  })

  it('R149: what is about tasks needs a caller where nobody else can have any', () => {
    const own = createRegistry()
    own.add(defineTool('plain', { description: 'd', run }), () => {})
    const needs = (method: string, params: object) =>
      judgeOperation({ method, params }, own, false).needsCaller
    const asked = () => [
      needs('tasks/get', { taskId: 'a' }),
      needs('subscriptions/listen', { notifications: { taskIds: ['a'] } }),
      needs('subscriptions/listen', { notifications: { toolsListChanged: true } }),
    ]
    expect(asked()).toEqual([false, false, false])
    own.add(defineTool('job', { description: 'd', run, auth: {}, task: 'required' }), () => {})
    expect(asked()).toEqual([true, true, false])
    own.add(defineTool('open-job', { description: 'd', run, task: 'required' }), () => {})
    expect(asked()).toEqual([false, false, false])
  })

  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['text', 'tools/call'],
    ['an empty batch', []],
    ['a nested batch', [[call('add')]]],
    ['a call without a name', call(undefined)],
    ['a call with a name that is a list', call(['whoami'])],
    ['a public call', call('add')],
    ['connecting', { jsonrpc: '2.0', id: 1, method: 'initialize' }],
    ['discovery', { jsonrpc: '2.0', id: 1, method: 'server/discover' }],
  ])('R152: with challenge on connect %s needs a caller', (_, body) => {
    expect(judgeOperation(body, registry, true).needsCaller).toBe(true)
  })

  it.each<[string, Record<string, Parameters<typeof defineTool>[1]['auth']>, string[]]>([
    [
      'one scope that each needs',
      { a: { scopes: ['notes', 'a'] }, b: { scopes: ['b', 'notes'] } },
      ['mcp', 'notes'],
    ],
    ['nothing in common', { a: { scopes: ['a'] }, b: { scopes: ['b'] } }, ['mcp']],
    ['one that any user may call', { a: { scopes: ['a'] }, b: {} }, ['mcp']],
    ['one that is public', { a: { scopes: ['a'] }, b: undefined }, ['mcp']],
    ['one that is open to both', { a: { scopes: ['a'] }, b: { scopes: ['a'], anonymous: true } }, ['mcp']],
    ['one that is hidden', { a: { scopes: ['a'] }, b: { scopes: ['admin'], hidden: true } }, ['mcp', 'a']],
    ['nothing at all', {}, ['mcp']],
  ])('whoever connects is asked at once for what everything needs: %s', (_, offers, challengeScopes) => {
    const registry = createRegistry()
    for (const [name, auth] of Object.entries(offers)) {
      registry.add(defineTool(name, { description: 'd', run, auth }), () => {})
    }
    const list = { jsonrpc: '2.0', id: 1, method: 'tools/list' }
    for (const body of [list, [list], undefined]) {
      // It is asked for, and not insisted on: lists are for every user.
      expect(judgeOperation(body, registry, true)).toMatchObject({ scopes: [], challengeScopes })
      expect(judgeOperation(body, registry, false)).toMatchObject({ scopes: [], challengeScopes: ['mcp'] })
    }
  })

  it.each(['__proto__', 'constructor', 'toString'])('R171: a tool called %s is no tool', name => {
    expect(judgeOperation(call(name), registry, false)).toMatchObject({ name: 'connect', scopes: [] })
  })
})
