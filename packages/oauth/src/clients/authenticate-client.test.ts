import { describe, expect, it } from 'vitest'
import { OAuthError, StoreUnavailableError } from '../errors.ts'
import type { SallyportEvent } from '../events.ts'
import { createSecretRing } from '../keys/secret-ring.ts'
import { createLimits } from '../limits/limits.ts'
import { sha256 } from '../protocol/hash.ts'
import { single } from '../protocol/parameters.ts'
import { systemRandom } from '../runtime.ts'
import { createMemoryStore } from '../storage/memory-store.ts'
import { authenticateClient } from './authenticate-client.ts'
import type { ClientResolver } from './client.ts'
import { createClientAssertions } from './client-assertion.ts'
import { createClientKeys } from './client-keys.ts'
import { parseClientMetadata } from './client-metadata.ts'
import { packClientId, registeredClientSecret } from './registered-client.ts'
import { createClientResolver } from './resolve-client.ts'

const secrets = createSecretRing(['canary-ring-secret-0123456789-0123456789'])
const redirectUris = ['https://client.example/cb']
const secret = 'canary:secret %+&=~'
const odd = 'client:with %+&='
const clients = createClientResolver({
  configured: [
    { clientId: 'public', redirectUris },
    { clientId: 'basic', redirectUris, clientSecret: secret },
    { clientId: odd, redirectUris, clientSecret: secret },
    { clientId: 'post', redirectUris, clientSecret: secret, tokenEndpointAuthMethod: 'client_secret_post' },
  ],
  secrets,
  store: { isClientDeleted: async () => false },
  clock: () => 1_800_000_000,
  dynamicRegistration: true,
  schemes: [],
})
const registered = (method: string) => {
  const metadata = parseClientMetadata(
    { redirect_uris: redirectUris, token_endpoint_auth_method: method },
    { schemes: [] },
  )
  const { clientId } = packClientId({ secrets, random: systemRandom, clock: () => 1_800_000_000 }, metadata)
  return { clientId, clientSecret: registeredClientSecret(secrets, clientId) }
}
const registeredBasic = registered('client_secret_basic')
const registeredPost = registered('client_secret_post')
const registeredPublic = registered('none')

const base64 = (text: string) => Buffer.from(text).toString('base64')
const form = encodeURIComponent
const basic = (id: string, password: string) => `Basic ${base64(`${form(id)}:${form(password)}`)}`

const assertions = createClientAssertions({
  issuer: 'https://mcp.example.com',
  tokenEndpoint: 'https://mcp.example.com/oauth/token',
  store: createMemoryStore(),
  keys: createClientKeys({ clock: () => 1_800_000_000 }),
  clock: () => 1_800_000_000,
  random: systemRandom,
})
type Attempt = { authorization?: string; body?: Record<string, string> }
async function attempt({ authorization, body = {} }: Attempt, resolver: ClientResolver = clients) {
  const events: SallyportEvent[] = []
  const request = new Request('https://mcp.example.com/oauth/token', {
    method: 'POST',
    headers: authorization === undefined ? {} : { Authorization: authorization },
  })
  const emit = (event: SallyportEvent) => void events.push(event)
  const context = {
    clients: resolver,
    assertions,
    emit,
    limits: createLimits({ factor: 0, store: {}, secrets, emit }),
  }
  const result = await authenticateClient(context, request, single(new URLSearchParams(body))).then(
    ({ client }) => ({ client, error: undefined }),
    (error: unknown) => ({ client: undefined, error }),
  )
  return { ...result, events }
}
async function refusal(presented: Attempt): Promise<OAuthError> {
  const { error } = await attempt(presented)
  if (!(error instanceof OAuthError)) throw new Error('was not refused')
  return error
}

describe('authenticateClient', () => {
  it.each<[string, Attempt, string]>([
    ['a public client by its id', { body: { client_id: 'public' } }, 'public'],
    ['a public client with an empty secret', { body: { client_id: 'public', client_secret: '' } }, 'public'],
    ['client_secret_basic', { authorization: basic('basic', secret) }, 'basic'],
    [
      'client_secret_basic with its id in the body too',
      { authorization: basic('basic', secret), body: { client_id: 'basic' } },
      'basic',
    ],
    [
      'the scheme in lower case',
      { authorization: basic('basic', secret).replace('Basic', 'basic') },
      'basic',
    ],
    [
      'the scheme in upper case and two spaces',
      { authorization: basic('basic', secret).replace('Basic', 'BASIC ') },
      'basic',
    ],
    ['base64 without padding', { authorization: basic('basic', secret).replace(/=+$/, '') }, 'basic'],
    ['an id and a secret that need form encoding', { authorization: basic(odd, secret) }, odd],
    [
      'plus for space, as forms have it',
      { authorization: `Basic ${base64(`${form(odd).replaceAll('%20', '+')}:${form(secret)}`)}` },
      odd,
    ],
    [
      'a colon in the secret that was not encoded',
      { authorization: `Basic ${base64(`basic:${form(secret).replaceAll('%3A', ':')}`)}` },
      'basic',
    ],
    ['client_secret_post', { body: { client_id: 'post', client_secret: secret } }, 'post'],
    [
      'a registered public client',
      { body: { client_id: registeredPublic.clientId } },
      registeredPublic.clientId,
    ],
    [
      'a registered client, basic',
      { authorization: basic(registeredBasic.clientId, registeredBasic.clientSecret) },
      registeredBasic.clientId,
    ],
    [
      'a registered client, post',
      { body: { client_id: registeredPost.clientId, client_secret: registeredPost.clientSecret } },
      registeredPost.clientId,
    ],
  ])('R84, R86: %s is let in', async (_, presented, clientId) => {
    const { client, events } = await attempt(presented)
    expect(client?.clientId).toBe(clientId)
    expect(events).toEqual([])
  })

  const failures: [string, Attempt][] = [
    ['nobody', {}],
    ['an unknown client', { body: { client_id: 'unknown' } }],
    ['an unknown client with a secret', { body: { client_id: 'unknown', client_secret: secret } }],
    ['an unknown client by Basic', { authorization: basic('unknown', secret) }],
    ['a forgotten registration', { body: { client_id: `${registeredPublic.clientId.slice(0, -1)}.` } }],
    ['a wrong secret by Basic', { authorization: basic('basic', 'wrong') }],
    ['a secret with something behind it', { authorization: basic('basic', `${secret}x`) }],
    ['an empty secret by Basic', { authorization: basic('basic', '') }],
    ['a wrong secret in the body', { body: { client_id: 'post', client_secret: 'wrong' } }],
    ['an empty secret in the body', { body: { client_id: 'post', client_secret: '' } }],
    [
      'the secret of another registered client',
      { authorization: basic(registeredBasic.clientId, registeredPost.clientSecret) },
    ],
    // R84, R85: not the registered method
    ['a confidential client without its secret', { body: { client_id: 'basic' } }],
    ['a confidential client of post without its secret', { body: { client_id: 'post' } }],
    [
      'a registered confidential client without its secret',
      { body: { client_id: registeredBasic.clientId } },
    ],
    ['a Basic client with its secret in the body', { body: { client_id: 'basic', client_secret: secret } }],
    ['a post client with its secret in the header', { authorization: basic('post', secret) }],
    ['a public client with a secret', { body: { client_id: 'public', client_secret: secret } }],
    ['a public client by Basic', { authorization: basic('public', '') }],
    ['a public client by Basic with a secret', { authorization: basic('public', secret) }],
    // not offered
    ['an assertion', { body: { client_id: 'public', client_assertion: 'x', client_assertion_type: 'y' } }],
    ['half an assertion', { body: { client_id: 'public', client_assertion_type: 'y' } }],
    ['a bearer token', { authorization: 'Bearer x', body: { client_id: 'public' } }],
    // R86: malformed Basic
    ['Basic alone', { authorization: 'Basic' }],
    ['Basic with nothing', { authorization: 'Basic  ' }],
    ['no base64', { authorization: 'Basic !!!!' }],
    ['base64url', { authorization: 'Basic __--' }],
    ['base64 of an impossible length', { authorization: 'Basic YWJjZ' }],
    ['base64 with something behind it', { authorization: `${basic('basic', secret)} x` }],
    ['two headers joined', { authorization: `${basic('basic', secret)}, ${basic('basic', secret)}` }],
    ['no colon', { authorization: `Basic ${base64('basic')}` }],
    ['no id', { authorization: `Basic ${base64(`:${secret}`)}` }],
    ['an id that is no form encoding', { authorization: `Basic ${base64(`%zz:${form(secret)}`)}` }],
    ['a secret that is no form encoding', { authorization: `Basic ${base64('basic:%')}` }],
    [
      'a secret that is no UTF-8',
      { authorization: `Basic ${Buffer.from([0x61, 0x3a, 0xff]).toString('base64')}` },
    ],
    ['a very long header', { authorization: `Basic ${'A'.repeat(60_000)}` }],
  ]
  it.each(failures)('R84–R87: %s gets the one answer', async (_, presented) => {
    const error = await refusal(presented)
    expect([error.code, error.status, error.description]).toEqual([
      'invalid_client',
      401,
      'The client is unknown or did not authenticate as it is registered.',
    ])
    expect(error.headers).toEqual(
      presented.authorization === undefined ? {} : { 'WWW-Authenticate': 'Basic realm="oauth"' },
    )
    expect(error.cause).toBeUndefined()
  })

  it.each<[string, Attempt]>([
    [
      'Basic and a secret in the body',
      { authorization: basic('basic', secret), body: { client_id: 'basic', client_secret: secret } },
    ],
    [
      'malformed Basic and a secret in the body',
      { authorization: 'Basic !', body: { client_id: 'post', client_secret: secret } },
    ],
    ['Basic and an assertion', { authorization: basic('basic', secret), body: { client_assertion: 'x' } }],
    [
      'a secret and an assertion',
      { body: { client_id: 'post', client_secret: secret, client_assertion: 'x' } },
    ],
    [
      'Basic and the id of another client',
      { authorization: basic('basic', secret), body: { client_id: 'public' } },
    ],
  ])('R84: %s at once are refused', async (_, presented) => {
    const error = await refusal(presented)
    expect([error.code, error.status]).toEqual(['invalid_request', 400])
  })

  it('R87: a failure is told by the hash of the client_id, and holds no secret', async () => {
    const { events, error } = await attempt({ authorization: basic('basic', 'canary-wrong') })
    expect(events).toEqual([{ type: 'client_authentication_failed', clientIdHash: sha256('basic') }])
    expect(JSON.stringify([events, error, String(error), (error as Error).stack])).not.toContain(
      'canary-wrong',
    )
    expect((await attempt({})).events).toEqual([])
  })

  it.each([new StoreUnavailableError('down'), new OAuthError('temporarily_unavailable', 'x')])(
    'R92: trouble on our side is not a failure of the client: %s',
    async trouble => {
      const { error, events } = await attempt(
        { body: { client_id: 'public' } },
        { resolveClient: () => Promise.reject(trouble), isKnown: async () => true },
      )
      expect(error).toBe(trouble)
      expect(events).toEqual([])
    },
  )
})
