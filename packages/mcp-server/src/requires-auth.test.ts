import { ConfigurationError } from '@sallyport/oauth'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { offersOf, tool } from './decorators.ts'
import { requiresAuth } from './requires-auth.ts'
import type { AnyCallContext, CallContext, Caller } from './tools/call-context.ts'
import { defineTool } from './tools/define-tool.ts'

const note = z.object({ text: z.string() })
const protection = { scopes: ['notes:write'], google: ['calendar'] } as const

class ToolFirst {
  readonly saved: string[] = []

  @tool({ description: 'Adds a note', input: note })
  @requiresAuth(protection)
  addNote({ text }: { text: string }, { caller }: CallContext<Caller, 'google'>) {
    this.saved.push(text)
    return caller.userId
  }
}

class AuthFirst {
  readonly saved: string[] = []

  @requiresAuth(protection)
  @tool({ description: 'Adds a note', input: note })
  addNote({ text }: { text: string }, { caller }: CallContext<Caller, 'google'>) {
    this.saved.push(text)
    return caller.userId
  }
}

const context = { caller: { userId: 'ada' } } as AnyCallContext

describe('decorators', () => {
  it.each([
    ['@tool, then @requiresAuth', () => new ToolFirst()],
    ['@requiresAuth, then @tool', () => new AuthFirst()],
  ])('%s: one tool, protected, called on its own instance', (_, create) => {
    const instance = create()
    const [only, ...others] = offersOf(instance)
    expect(others).toEqual([])
    expect(only).toMatchObject({
      name: 'addNote',
      description: { description: 'Adds a note', input: note },
      rule: {
        scopes: ['notes:write'],
        anonymous: false,
        clients: false,
        providers: new Map([['google', ['calendar']]]),
      },
    })
    expect(only?.run({ text: 'hello' }, context)).toBe('ada')
    expect(instance.saved).toEqual(['hello'])
  })

  it('a decorator between the two that replaces the method does not take the protection away', () => {
    const replaced = (method: () => string, _: ClassMethodDecoratorContext) =>
      function (this: unknown) {
        return `cached ${method.call(this)}`
      }
    class Notes {
      @tool({ description: 'Reads' })
      @replaced
      @requiresAuth({ scopes: ['read'] })
      read() {
        return 'notes'
      }
    }
    const [read] = offersOf(new Notes())
    expect(read?.rule?.scopes).toEqual(['read'])
    expect(read?.run({}, context)).toBe('cached notes')
  })

  it('a subclass cannot lose the protection of a method it overrides', () => {
    class Louder extends AuthFirst {
      override addNote() {
        return 'LOUD'
      }
    }
    const [only] = offersOf(new Louder())
    expect(only?.rule?.scopes).toEqual(['notes:write'])
    expect(only?.run({ text: 'x' }, context)).toBe('LOUD')
  })

  it('a tool may have a name that no method can have', () => {
    class Notes {
      @tool({ name: 'add-note', description: 'Adds a note' })
      add() {
        return 'added'
      }
    }
    expect(offersOf(new Notes())[0]).toMatchObject({ name: 'add-note', rule: undefined })
  })

  it('a class without tools, and a protected method that is no tool, are errors at start', () => {
    class Forgotten {
      @requiresAuth({ scopes: ['read'] })
      read() {
        return 'notes'
      }
    }
    expect(() => offersOf(new Forgotten())).toThrow(
      new ConfigurationError(
        'Forgotten.read has @requiresAuth but not @tool, @resource or @prompt: add one, or remove it.',
      ),
    )
    expect(() => offersOf(new Date())).toThrow(ConfigurationError)
  })

  it('old decorators are told apart from standard ones, not silently without effect', () => {
    const old = requiresAuth({ scopes: ['read'] }) as unknown as (...legacy: unknown[]) => void
    expect(() => old({}, 'read', {})).toThrow(ConfigurationError)
  })
})

describe('requiresAuth around a handler', () => {
  it('protects the tool as auth does', () => {
    const run = requiresAuth(
      { scopes: ['a'] },
      ({ text }: { text: string }, { caller }) => text + caller.userId,
    )
    const tool = defineTool('t', { description: 'd', run })
    expect(tool.rule).toEqual({ scopes: ['a'], anonymous: false, clients: false, providers: new Map() })
    expect(tool.run({ text: 'hi ' }, context)).toBe('hi ada')
  })

  it('twice, or together with auth, all of it is required', () => {
    const run = requiresAuth(
      { google: ['x'] },
      requiresAuth({ scopes: ['a'] }, () => ''),
    )
    expect(defineTool('t', { description: 'd', auth: { scopes: ['b'], anonymous: true }, run }).rule).toEqual(
      {
        scopes: ['b', 'a'],
        anonymous: false,
        clients: false,
        providers: new Map([['google', ['x']]]),
      },
    )
  })
})
