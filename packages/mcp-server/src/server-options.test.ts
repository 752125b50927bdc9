import { describe, expect, it } from 'vitest'
import { createServer } from './create-server.ts'

const identity = { name: 'options', version: '1.0.0', logLevel: 'silent', environment: {} }

/** As somebody writes it whom no compiler stops. */
const create = (options: unknown) => createServer(options as Parameters<typeof createServer>[0])

describe('an option that would have no effect, or another one than meant, stops the server', () => {
  it.each<[unknown, string]>([
    [undefined, 'createServer needs an object, such as { name: … }.'],
    [{ version: '1.0.0' }, 'createServer needs the option name: clients are told it.'],
    [{ name: 'options' }, 'createServer needs the option version: clients are told it.'],
    [{ ...identity, name: '' }, 'The option name must be a text, and not empty.'],
    [{ ...identity, signin: {} }, 'createServer has "signin", which means nothing here: write "signIn".'],
    [{ ...identity, colour: 1 }, 'createServer has "colour", which means nothing here: remove it.'],
    [
      { ...identity, signIn: () => ({}) },
      'The option signIn must be a way to sign in, such as google() or developmentSignIn(), with the parentheses.',
    ],
    [
      { ...identity, providers: [() => ({})] },
      'The option providers must be a list of providers, such as [google()], with the parentheses.',
    ],
    [{ ...identity, store: {} }, 'The option store must be a store, such as createMemoryStore().'],
    [
      { ...identity, allowedOrigins: ['*'] },
      'The option allowedOrigins must be a list of origins, such as "https://app.example.com", without path and without wildcards.',
    ],
    [
      { ...identity, allowedOrigins: ['https://app.example.com/'] },
      'The option allowedOrigins must be a list of origins, such as "https://app.example.com", without path and without wildcards.',
    ],
    [
      { ...identity, allowedHosts: ['https://internal:3000'] },
      'The option allowedHosts must be a list of values of the Host header, such as "internal:3000", without "https://".',
    ],
    [{ ...identity, maxBodyBytes: '1mb' }, 'The option maxBodyBytes must be a whole number, 1 or more.'],
    [{ ...identity, exposeErrors: 'false' }, 'The option exposeErrors must be true or false.'],
    [
      { ...identity, scopes: ['notes:write'] },
      "The option scopes must say of each scope what it allows, such as { 'notes:write': 'Add notes to your notebook' }.",
    ],
    [{ ...identity, sessions: { when: 'allways' } }, 'sessions.when must be "needed", "always" or "never".'],
    [
      { ...identity, sessions: { perUser: 3 } },
      'The option sessions has "perUser", which means nothing here: there are when, perCaller, total and idleSeconds.',
    ],
    [
      { ...identity, tasks: { ttlSecond: 3 } },
      'The option tasks has "ttlSecond", which means nothing here: write "ttlSeconds".',
    ],
    [
      { ...identity, lifetimes: { acessTokenSeconds: 3 } },
      'The option lifetimes has "acessTokenSeconds", which means nothing here: write "accessTokenSeconds".',
    ],
    [
      { ...identity, scopeLifetimes: { admin: { refreshGraceSeconds: 3 } } },
      '"admin" of scopeLifetimes has "refreshGraceSeconds", which means nothing here: there are accessTokenSeconds, refreshTokenSeconds and sessionMaxAgeSeconds.',
    ],
    [{ ...identity, clients: [{}] }, 'clientId in an entry of clients must be a text, and not empty.'],
    [
      { ...identity, clients: [{ clientID: 'nightly' }] },
      'An entry of clients has "clientID", which means nothing here: write "clientId".',
    ],
    [{ ...identity, environment: 'production' }, 'The option environment must be an object.'],
  ])('%j', (options, sentence) => {
    expect(() => create(options)).toThrow(
      expect.objectContaining({ name: 'ConfigurationError', message: sentence }),
    )
  })

  it('says so of start too', async () => {
    const start = (options: object) => create(identity).start({ throwOnError: true, ...options } as never)
    await expect(start({ transport: 'sse' })).rejects.toThrow(
      'The option transport must be "http", "stdio" or "mounted".',
    )
    await expect(start({ port: 4000 })).rejects.toThrow('server.start has "port", which means nothing here')
  })

  it('a server that was closed does not pretend to start', async () => {
    const server = create(identity)
    await server.close()
    await expect(server.start({ throwOnError: true })).rejects.toThrow(
      'The server was closed: create another one to start.',
    )
  })
})

it('an option that is undefined is left out', () => {
  const options = {
    ...identity,
    title: undefined,
    signIn: undefined,
    providers: undefined,
    somethingElse: undefined,
  }
  expect(() => create(options)).not.toThrow()
})
