import { describe, expect, it } from 'vitest'
import { fakeProvider } from './provider.fixture.ts'
import { createConnectionPlanner, scopeWords } from './scopes.ts'
import { defineTool } from './tools/define-tool.ts'

const run = () => ''
const tools = [
  defineTool('add', { description: 'd', run }),
  defineTool('whoami', { description: 'd', run, auth: {} }),
  defineTool('events', { description: 'd', run, auth: { google: ['calendar'] } }),
  defineTool('mail', { description: 'd', run, auth: { scopes: ['mail'], google: ['gmail', 'calendar'] } }),
  defineTool('post', { description: 'd', run, auth: { scopes: ['mail', 'post'], linkedin: ['social'] } }),
]
const google = fakeProvider('google')
const linkedin = fakeProvider('linkedin')
const providers = new Map([
  ['google', { label: 'Google', connected: google.connected }],
  ['linkedin', { label: 'LinkedIn', connected: linkedin.connected }],
])

describe('scopeWords', () => {
  it('a client may ask for the base scope and those of the tools, each in words', () => {
    expect(scopeWords(tools, { mail: 'Read your mail' })).toEqual({
      mcp: "Use this server's tools as you",
      mail: 'Read your mail',
      post: 'post',
    })
  })

  it('the developer may say more than the tools need, and reword the base scope', () => {
    expect(scopeWords([], { mcp: 'Look around', later: 'Do it later' })).toEqual({
      mcp: 'Look around',
      later: 'Do it later',
    })
  })
})

describe('createConnectionPlanner', () => {
  const needs = (scopes: string[], signInId?: string) =>
    createConnectionPlanner(tools, providers, signInId)
      .plan(scopes)
      .needs.map(({ login, scopes }) => [login.id, scopes])

  it.each<[string, string[], unknown[]]>([
    ['tools without scopes of their own', ['mcp'], [['google', ['calendar']]]],
    ['a tool whose scopes are granted', ['mcp', 'mail'], [['google', ['calendar', 'gmail']]]],
    [
      'all tools',
      ['mcp', 'mail', 'post'],
      [
        ['google', ['calendar', 'gmail']],
        ['linkedin', ['social']],
      ],
    ],
    ['a scope that does not open a tool alone', ['post'], [['google', ['calendar']]]],
  ])('a sign-in asks providers for what it opens, and no more: %s', (_, scopes, expected) => {
    expect(needs(scopes)).toEqual(expected)
  })

  it('the provider users sign in with comes first', () => {
    expect(needs(['mcp', 'mail', 'post'], 'linkedin').map(([id]) => id)).toEqual(['linkedin', 'google'])
  })

  it('with atSignIn off, only the provider users sign in with is part of the sign-in', () => {
    const { needs } = createConnectionPlanner(tools, providers, 'google', undefined, false).plan([
      'mcp',
      'mail',
      'post',
    ])
    expect(needs.map(({ login, isLater }) => [login.id, isLater])).toEqual([
      ['google', false],
      ['linkedin', true],
    ])
  })

  it('whether a user is connected is the provider’s to say', async () => {
    google.connections.set('ada', ['calendar'])
    const planner = createConnectionPlanner(tools, providers)
    expect(await planner.isConnected('ada', 'google', ['calendar'])).toBe(true)
    expect(await planner.isConnected('ada', 'google', ['gmail'])).toBe(false)
    expect(await planner.isConnected('ada', 'unknown', [])).toBe(false)
    expect(await planner.accountLabels?.('ada', 'google')).toEqual(new Map([['account-of-ada', 'ada']]))
    expect(await planner.accountLabels?.('ada', 'unknown')).toEqual(new Map())
  })
})
