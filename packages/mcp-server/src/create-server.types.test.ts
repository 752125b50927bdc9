import type { CallToolResult } from '@modelcontextprotocol/server'
import type { ConnectionStatus, PageLogin } from '@sallyport/oauth'
import { describe, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import { createServer } from './create-server.ts'
import { prompt, resource, tool } from './decorators.ts'
import { fakeProvider } from './provider.fixture.ts'
import type { ExternalToken } from './provider.ts'
import { requiresAuth } from './requires-auth.ts'
import { withJsonSchema } from './schemas/schema.ts'
import type { AccountChoice, CallContext, Caller, ClientCaller, TokenChoice } from './tools/call-context.ts'

const identity = { name: 'test', version: '1' }
const google = fakeProvider('google').provider
const linkedin = fakeProvider('linkedin').provider
const page = { kind: 'page', id: 'page', label: 'Page' } as PageLogin
const description = 'd'

describe('what the compiler knows', () => {
  const server = createServer({ ...identity, signIn: google, providers: [linkedin] })

  it('the input comes from the schema', () => {
    server.tool('a', {
      description,
      input: z.object({ day: z.iso.date(), count: z.number().default(1) }),
      run: (input, context) => {
        expectTypeOf(input).toEqualTypeOf<{ day: string; count: number }>()
        expectTypeOf(context.caller).toEqualTypeOf<Caller | undefined>()
      },
    })
    server.tool('b', {
      description,
      run: input => expectTypeOf(input).toEqualTypeOf<Readonly<Record<string, never>>>(),
    })
  })

  it('a protected tool has a caller, an anonymous one may have', () => {
    server.tool('c', {
      description,
      auth: {},
      run: (_, { caller }) => expectTypeOf(caller).toEqualTypeOf<Caller>(),
    })
    server.tool('d', {
      description,
      auth: { scopes: ['x'], anonymous: true },
      run: (_, { caller }) => expectTypeOf(caller).toEqualTypeOf<Caller | undefined>(),
    })
    server.tool('e', {
      description,
      auth: { scopes: ['x'], anonymous: false },
      run: (_, { caller }) => expectTypeOf(caller).toEqualTypeOf<Caller>(),
    })
  })

  it('token and connection know the providers of the tool', () => {
    server.tool('f', {
      description,
      auth: { google: ['calendar'] },
      run: (_, { token, connection }) => {
        expectTypeOf(token).parameters.toEqualTypeOf<[provider?: 'google', choice?: TokenChoice]>()
        expectTypeOf(token).returns.resolves.toEqualTypeOf<ExternalToken>()
        expectTypeOf(connection).parameters.toEqualTypeOf<[provider?: 'google', choice?: AccountChoice]>()
        expectTypeOf(connection).returns.resolves.toEqualTypeOf<ConnectionStatus>()
      },
    })
    server.tool('g', {
      description,
      auth: { google: [], linkedin: [] },
      run: (_, { token }) =>
        expectTypeOf(token).parameters.toEqualTypeOf<
          [provider: 'google' | 'linkedin', choice?: TokenChoice]
        >(),
    })
    server.tool('h', {
      description,
      auth: {},
      run: (_, { token }) => expectTypeOf(token).parameters.toEqualTypeOf<[provider: never]>(),
    })
  })

  it('a proxy lends tokens of providers there are, and asks for sign-in where there is one', () => {
    const add = () => {
      const url = 'https://mcp.example.com'
      server.proxy({ url, credentials: { provider: 'google', scopes: ['calendar'] } })
      server.proxy({
        url,
        auth: {},
        credentials: { bearer: 'x' },
        tools: { auth: { 'x-*': { scopes: ['y'] } } },
      })
      // @ts-expect-error: no such provider
      server.proxy({ url, credentials: { provider: 'github' } })
      // @ts-expect-error: either a URL or a command
      server.proxy({ url, command: 'x' })
      // @ts-expect-error: a command has an environment, and no credentials
      server.proxy({ command: 'x', credentials: { bearer: 'x' } })
      // @ts-expect-error: nobody is signed in
      createServer(identity).proxy({ url, auth: {} })
    }
    expectTypeOf(add).toBeFunction()
  })

  it('a provider the server does not have, or a typo, does not compile', () => {
    const add = () => {
      // @ts-expect-error: no such provider
      server.tool('i', { description, auth: { github: ['repo'] }, run: () => '' })
      // @ts-expect-error: no such provider, beside what is known
      server.tool('j', { description, auth: { scopes: ['x'], gogle: ['calendar'] }, run: () => '' })
      // @ts-expect-error: scopes is a list
      server.tool('k', { description, auth: { scopes: 'x' }, run: () => '' })
      const other = createServer({ ...identity, signIn: page })
      // @ts-expect-error: the provider belongs to another server
      other.tool('l', { description, auth: { google: [] }, run: () => '' })
    }
    expectTypeOf(add).toBeFunction()
  })

  it('auth on a server without sign-in does not compile', () => {
    const add = () => {
      // @ts-expect-error: nobody can sign in
      createServer(identity).tool('m', { description, auth: {}, run: () => '' })
      createServer(identity).tool('n', { description, run: () => '' })
      createServer({ ...identity, signIn: page }).tool('o', {
        description,
        auth: { scopes: ['x'] },
        run: () => '',
      })
    }
    expectTypeOf(add).toBeFunction()
  })

  it('auth is an object: a mere yes would ask for nothing in particular', () => {
    const add = () => {
      // @ts-expect-error: what does it ask for?
      server.tool('yes', { description, auth: true, run: () => '' })
      server.resource('x://yes', { auth: { scopes: ['x'] }, run: () => '' })
    }
    expectTypeOf(add).toBeFunction()
  })

  it('a JSON Schema may be of any type that a library gives it', () => {
    interface LibrarySchema {
      type?: 'object' | 'string'
      properties?: Record<string, LibrarySchema>
    }
    const json = {} as LibrarySchema
    const add = () =>
      server.tool('library', {
        description,
        input: withJsonSchema(z.object({ text: z.string() }), json),
        run: input => expectTypeOf(input).toEqualTypeOf<{ text: string }>(),
      })
    expectTypeOf(add).toBeFunction()
  })

  it('a handler may return what it knows to be a whole result, of any client library', () => {
    const whole = {} as CallToolResult
    const add = () => {
      server.tool('whole', { description, output: z.object({ n: z.number() }), run: () => whole })
      // @ts-expect-error: a text is no number
      server.tool('wrong', { description, output: z.object({ n: z.number() }), run: () => ({ n: '1' }) })
    }
    expectTypeOf(add).toBeFunction()
  })

  it('a server with an issuer may have protected tools, without a word on sign-in', () => {
    const add = () => {
      const issuer = createServer({ ...identity, issuer: 'https://login.example.com' })
      issuer.tool('issuer-1', {
        description,
        auth: { scopes: ['x'] },
        run: (_, { caller }) => {
          expectTypeOf(caller).toEqualTypeOf<Caller>()
          expectTypeOf(caller.subject).toBeString()
        },
      })
      const options = { ...identity, issuer: { issuer: 'https://login.example.com', audience: 'api' } }
      createServer(options).tool('issuer-2', { description, auth: { clients: true }, run: () => '' })
      const alone = createServer({ ...options, providers: [google] })
      // @ts-expect-error: nothing keeps what users connect
      alone.tool('issuer-3', { description, auth: { google: [] }, run: () => '' })
      const connecting = createServer({ ...options, signIn: linkedin, providers: [google] })
      connecting.tool('issuer-4', {
        description,
        auth: { google: ['calendar'], linkedin: [] },
        run: (_, { token }) =>
          expectTypeOf(token).parameters.toEqualTypeOf<
            [provider: 'google' | 'linkedin', choice?: TokenChoice]
          >(),
      })
    }
    expectTypeOf(add).toBeFunction()
  })

  it('R115: a tool for clients has to look who calls', () => {
    const add = () => {
      server.tool('clients-1', {
        description,
        auth: { clients: true },
        run: (_, { caller }) => {
          expectTypeOf(caller).toEqualTypeOf<Caller | ClientCaller>()
          return caller.principal === 'user' ? caller.userId : caller.clientId
        },
      })
      server.tool('clients-2', {
        description,
        auth: { clients: true, anonymous: true },
        run: (_, { caller }) => {
          expectTypeOf(caller).toEqualTypeOf<Caller | ClientCaller | undefined>()
        },
      })
      server.tool('clients-3', {
        description,
        auth: { clients: false },
        run: (_, { caller, token }) => {
          expectTypeOf(caller).toEqualTypeOf<Caller>()
          expectTypeOf(token).parameters.toEqualTypeOf<[provider: never]>()
        },
      })
    }
    expectTypeOf(add).toBeFunction()
  })

  it('the result follows the output schema', () => {
    const output = z.object({ sum: z.number() })
    const add = () => {
      server.tool('p', { description, output, run: () => ({ sum: 1 }) })
      server.tool('q', { description, output, run: async () => ({ content: [], isError: true }) })
      // @ts-expect-error: not what the schema says
      server.tool('r', { description, output, run: () => ({ sum: 'one' }) })
      // @ts-expect-error: nor later
      server.tool('r1', { description, output, run: async () => ({ sum: 'one' }) })
      // @ts-expect-error: something is missing
      server.tool('r2', { description, output, run: () => ({}) })
      // @ts-expect-error: nothing is returned
      server.tool('r3', { description, output, run: () => {} })
      // @ts-expect-error: a text is no object
      server.tool('r4', { description, output, run: () => 'one' })
      // @ts-expect-error: a number is no text
      server.tool('r5', { description, output: z.string(), run: () => 1 })
      // @ts-expect-error: not what the schema says, behind a guard either
      server.tool('r6', { description, output, run: requiresAuth({}, () => ({ sum: 'one' })) })
    }
    expectTypeOf(add).toBeFunction()
  })

  it('a decorated method fits the schemas beside it', () => {
    const define = () => {
      class Fits {
        @tool({ description, input: z.object({ n: z.number() }), output: z.object({ sum: z.number() }) })
        async add({ n }: { n: number }) {
          return { sum: n }
        }
      }
      class Tools {
        // @ts-expect-error: not what the output schema says
        @tool({ description, output: z.object({ sum: z.number() }) })
        async sum() {
          return { sum: 'one' }
        }

        // @ts-expect-error: not what the input schema gives
        @tool({ description, input: z.object({ n: z.number() }) })
        take({ n }: { n: string }) {
          return n
        }

        // @ts-expect-error: no message
        @prompt({ description })
        ask() {
          return 1
        }

        // @ts-expect-error: no such variable
        @resource('x://{id}')
        read({ name }: { name: string }) {
          return name
        }
      }
      return [Fits, Tools]
    }
    expectTypeOf(define).toBeFunction()
  })

  it('a word that means nothing does not compile', () => {
    const add = () => {
      // @ts-expect-error: no such option
      server.tool('w1', { description, inputs: z.object({}), run: () => '' })
      // @ts-expect-error: no such word of auth
      server.tool('w2', { description, auth: { maxAge: 5 }, run: () => '' })
      // @ts-expect-error: a word of auth with a value that it does not take
      server.tool('w3', { description, auth: { hidden: 'yes' }, run: () => '' })
      // @ts-expect-error: the tool has a token of Google alone
      server.tool('w4', { description, auth: { google: [] }, run: (_, { token }) => token('linkedin') })
      // @ts-expect-error: a public tool has no token at all
      server.tool('w5', { description, run: (_, { token }) => token('google') })
    }
    expectTypeOf(add).toBeFunction()
  })

  it('requiresAuth around a handler types its context', () => {
    const add = () =>
      server.tool('s', {
        description,
        input: z.object({ text: z.string() }),
        run: requiresAuth({ google: ['calendar'] }, ({ text }: { text: string }, { caller, token }) => {
          expectTypeOf(caller).toEqualTypeOf<Caller>()
          expectTypeOf(token).parameters.toEqualTypeOf<[provider?: 'google', choice?: TokenChoice]>()
          return text
        }),
      })
    expectTypeOf(add).toBeFunction()
  })

  it('a decorated method whose context asks for more than auth gives does not compile', () => {
    const define = () => {
      class Tools {
        // @ts-expect-error: anonymous callers may call, so the caller may be undefined
        @requiresAuth({ anonymous: true })
        anonymous(_: object, { caller }: CallContext<Caller>) {
          return caller.userId
        }

        // @ts-expect-error: the tool has no Google token
        @requiresAuth({ scopes: ['x'] })
        tokenless(_: object, { token }: CallContext<Caller, 'google'>) {
          return token()
        }
      }
      return Tools
    }
    expectTypeOf(define).toBeFunction()
  })

  it('a scope that is not declared does not compile', () => {
    const add = () => {
      const scoped = createServer({ ...identity, signIn: google, scopes: { 'notes:read': 'Read' } })
      scoped.tool('t', { description, auth: { scopes: ['notes:read'] }, run: () => '' })
      // @ts-expect-error: no such scope
      scoped.tool('u', { description, auth: { scopes: ['notes:raed'] }, run: () => '' })
      // @ts-expect-error: no such scope
      scoped.resource('x://y', { auth: { scopes: ['notes'] }, run: () => '' })
      // @ts-expect-error: no such scope
      scoped.prompt('p', { description, auth: { scopes: ['notes'] }, run: () => '' })
      createServer({
        ...identity,
        signIn: google,
        scopes: { a: 'A', b: 'B' },
        // @ts-expect-error: no such scope
        scopeHierarchy: { a: ['c'] },
      })
    }
    expectTypeOf(add).toBeFunction()
  })

  it('a resource knows the variables of its template, and its caller', () => {
    server.resource('notes://{user}/{id}{?part}', {
      auth: { google: ['drive'] },
      run: (variables, { caller, token }) => {
        expectTypeOf(variables.user).toEqualTypeOf<string>()
        expectTypeOf(variables.part).toEqualTypeOf<string>()
        expectTypeOf(caller).toEqualTypeOf<Caller>()
        expectTypeOf(token).parameters.toEqualTypeOf<[provider?: 'google', choice?: TokenChoice]>()
      },
    })
    const add = () => {
      server.resource('x://{id}', {
        // @ts-expect-error: no such variable
        run: ({ name }) => name,
      })
      // @ts-expect-error: the server does not have this provider
      server.resource('x://z', { auth: { github: [] }, run: () => '' })
    }
    expectTypeOf(add).toBeFunction()
  })

  it('a prompt knows its arguments, and must return messages', () => {
    server.prompt('ask', {
      description,
      input: z.object({ id: z.string() }),
      auth: {},
      run: (input, { caller, progress }) => {
        expectTypeOf(input).toEqualTypeOf<{ id: string }>()
        expectTypeOf(caller).toEqualTypeOf<Caller>()
        expectTypeOf(progress).returns.resolves.toEqualTypeOf<void>()
        return [{ role: 'assistant', content: 'hi' }]
      },
    })
    const add = () => {
      // @ts-expect-error: no message
      server.prompt('bad', { description, run: () => ({ answer: 1 }) })
      const other = createServer({ ...identity, signIn: page })
      // @ts-expect-error: the provider belongs to another server
      other.prompt('l', { description, auth: { google: [] }, run: () => '' })
    }
    expectTypeOf(add).toBeFunction()
  })

  it('a plain JSON Schema gives values whose types are to be looked at', () => {
    server.tool('json', {
      description,
      input: { type: 'object', properties: { n: { type: 'integer' } } },
      run: input => expectTypeOf(input).toEqualTypeOf<Readonly<Record<string, unknown>>>(),
    })
  })
})
