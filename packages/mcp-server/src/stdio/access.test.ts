import { ConfigurationError } from '@sallyport/oauth'
import { describe, expect, it } from 'vitest'
import { judgeOperation } from '../operation.ts'
import { createRegistry } from '../registry.ts'
import { hasScopes } from '../scope-hierarchy.ts'
import type { AnyAuth } from '../tools/access-rule.ts'
import type { Caller, ClientCaller } from '../tools/caller.ts'
import { defineTool } from '../tools/define-tool.ts'
import { createStdioAccess } from './access.ts'

const now = 1_900_000_000
const ada: Caller = {
  principal: 'user',
  userId: 'ada',
  clientId: 'client',
  issuer: 'https://login.example.com',
  subject: 'ada',
  scopes: ['notes'],
  grantId: 'grant',
  authTime: now - 100,
  expiresAt: now + 900,
}
const machine: ClientCaller = { ...ada, principal: 'client', userId: undefined, authTime: undefined }

/** The operation of calling a tool with this `auth`. */
function operation(auth: AnyAuth | undefined) {
  const registry = createRegistry()
  registry.add(defineTool('tool', { description: 'd', auth, run: () => '' }), () => {})
  return judgeOperation({ method: 'tools/call', params: { name: 'tool' } }, registry, false)
}
const admit = (
  auth: AnyAuth | undefined,
  caller: Caller | ClientCaller | Error | undefined,
  remedy?: () => Promise<string>,
) => {
  const access = createStdioAccess({
    async caller() {
      if (caller instanceof Error) throw caller
      return caller
    },
    remedy:
      remedy ?? (async (lack, request) => JSON.stringify([lack, request.scopes, request.maxAgeSeconds])),
    hasScopes,
    clock: () => now,
    onError: () => {},
  })
  return access(operation(auth))
}

describe('who may call a tool over stdio', () => {
  it.each<[string, AnyAuth | undefined, Caller | ClientCaller | undefined]>([
    ['anybody, a public tool', undefined, undefined],
    ['a user, a public tool', undefined, ada],
    ['anybody, an anonymous tool', { anonymous: true }, undefined],
    ['a user, an anonymous tool', { anonymous: true }, ada],
    ['a user, a protected tool', {}, ada],
    ['a user with its scopes', { scopes: ['notes'] }, ada],
    ['a user who signed in lately', { maxAgeSeconds: 100 }, ada],
    ['a client by itself, a tool for clients', { clients: true }, machine],
  ])('%s', async (_, auth, caller) => {
    expect(await admit(auth, caller)).toEqual({ caller })
  })

  it.each<[string, AnyAuth, Caller | ClientCaller | undefined, unknown[]]>([
    ['who is not signed in', { scopes: ['notes'] }, undefined, ['sign-in', ['notes'], null]],
    ['who lacks a scope', { scopes: ['more'] }, ada, ['scopes', ['notes', 'more'], null]],
    [
      'who lacks a scope of an anonymous tool',
      { scopes: ['more'], anonymous: true },
      ada,
      ['scopes', ['notes', 'more'], null],
    ],
    ['who signed in too long ago', { maxAgeSeconds: 99 }, ada, ['recent sign-in', ['notes'], 99]],
  ])('R156: %s is told what to do, and asked for all that is needed', async (_, auth, caller, remedy) => {
    const admission = await admit(auth, caller)
    expect(JSON.parse('problem' in admission ? admission.problem : '')).toEqual(remedy)
  })

  it('R115: a client by itself is no user', async () => {
    expect(await admit({}, machine)).toEqual({ problem: expect.stringContaining('signed-in users') })
  })

  it('while nobody can know who calls, public tools work and protected ones do not', async () => {
    const down = new Error('down')
    expect(await admit(undefined, down)).toEqual({ caller: undefined })
    expect(await admit({}, down)).toEqual({ problem: expect.stringContaining('Try again') })
  })

  it.each([
    [new ConfigurationError('Set PORT.'), 'Set PORT.'],
    [new Error('a token: eyJ'), 'The sign-in cannot be reached now. Try again in a moment.'],
  ])('R189: of a sign-in that cannot begin, only what helps is told: %s', async (error, problem) => {
    expect(await admit({}, undefined, () => Promise.reject(error))).toEqual({ problem })
  })
})
