import { describe, expect, it } from 'vitest'
import { createClientResolver } from '../clients/resolve-client.ts'
import type { Context } from '../context.ts'
import type { SallyportEvent } from '../events.ts'
import { createSecretRing } from '../keys/secret-ring.ts'
import { sha256 } from '../protocol/hash.ts'
import { systemRandom } from '../runtime.ts'
import { createMemoryStore } from '../storage/memory-store.ts'
import { register } from './register.ts'
import { errorResponse } from './respond.ts'

const now = 1_800_000_000
const redirectUris = ['http://127.0.0.1/callback']

function setUp(change: Partial<Context> = {}) {
  const events: SallyportEvent[] = []
  const parts = {
    secrets: createSecretRing(['canary-ring-secret-0123456789-0123456789']),
    store: createMemoryStore(),
    clock: () => now,
    random: systemRandom,
    dynamicRegistration: true,
    redirectUriSchemes: [],
    emit: (event: SallyportEvent) => events.push(event),
  }
  // The endpoint uses nothing else of the context.
  const context = { ...parts, ...change } as unknown as Context
  const { resolveClient } = createClientResolver({
    ...parts,
    configured: [],
    dynamicRegistration: true,
    schemes: [],
  })
  const post = (body: unknown, contentType = 'application/json') =>
    register(
      context,
      new Request('https://mcp.example.com/oauth/register', {
        method: 'POST',
        headers: { 'Content-Type': contentType },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      }),
      {},
    ).catch((error: unknown) => errorResponse(error))
  return { events, post, resolveClient }
}

describe('register', () => {
  it('R19, R20: a public client is registered, told what as, and gets no secret', async () => {
    const { post, events, resolveClient } = setUp()
    const response = await post({
      client_name: 'Client',
      redirect_uris: redirectUris,
      token_endpoint_auth_method: 'none',
      application_type: 'native',
    })
    expect(response.status).toBe(201)
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(response.headers.get('content-type')).toBe('application/json')
    const body = (await response.json()) as { client_id: string }
    expect(body).toEqual({
      client_id: expect.stringMatching(/^dcr\./),
      client_id_issued_at: now,
      client_name: 'Client',
      redirect_uris: redirectUris,
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
      application_type: 'native',
    })
    expect(events).toEqual([{ type: 'client_registered', clientIdHash: sha256(body.client_id) }])
    expect(await resolveClient(body.client_id)).toMatchObject({
      clientName: 'Client',
      tokenEndpointAuthMethod: 'none',
    })
  })

  it.each([undefined, 'client_secret_basic', 'client_secret_post'])(
    'R20: a confidential client (%s) gets a secret that works and does not end',
    async method => {
      const { post, resolveClient } = setUp()
      const response = await post({ redirect_uris: redirectUris, token_endpoint_auth_method: method })
      const body = (await response.json()) as Record<string, string>
      expect(body).toMatchObject({
        client_secret_expires_at: 0,
        token_endpoint_auth_method: method ?? 'client_secret_basic',
      })
      expect(body).not.toHaveProperty('registration_client_uri')
      expect(body).not.toHaveProperty('registration_access_token')
      const client = await resolveClient(body.client_id!)
      expect(client?.isSecret?.(body.client_secret!)).toBe(true)
    },
  )

  it('R15: what a client claims for itself is replaced or ignored', async () => {
    const response = await setUp().post({
      redirect_uris: redirectUris,
      token_endpoint_auth_method: 'none',
      client_id: 'https://claude.ai/canary',
      client_secret: 'canary',
      client_id_issued_at: 1,
      client_secret_expires_at: 99,
      skip_consent: true,
      trusted: 'canary',
      software_statement: 'canary',
    })
    const text = await response.text()
    expect(response.status).toBe(201)
    expect(text).not.toMatch(/canary|skip_consent|trusted|client_secret/)
    expect(JSON.parse(text)).toMatchObject({
      client_id: expect.stringMatching(/^dcr\./),
      client_id_issued_at: now,
    })
  })

  it.each([
    ['a form', 'redirect_uris=x', 'application/x-www-form-urlencoded', 415],
    ['text', '{}', 'text/plain', 415],
    ['null', 'null', 'application/json', 400],
    ['a list', '[]', 'application/json', 400],
    ['no JSON', '{', 'application/json', 400],
    ['nothing', '', 'application/json', 400],
    ['5 MB', JSON.stringify({ a: 'x'.repeat(5_000_000) }), 'application/json', 413],
    ['deep nesting', '{"a":'.repeat(1000), 'application/json', 400],
  ])('R14: %s is no registration', async (_, body, contentType, status) => {
    const { post, events } = setUp()
    const response = await post(body, contentType)
    expect(response.status).toBe(status)
    expect(await response.json()).toMatchObject({ error: 'invalid_request' })
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(events).toEqual([])
  })

  it.each<[string, Record<string, unknown>, string]>([
    [
      'R16: a redirect URI that runs something',
      { redirect_uris: ['javascript:alert(1)'] },
      'invalid_redirect_uri',
    ],
    ['R16: no redirect URI', { redirect_uris: [] }, 'invalid_redirect_uri'],
    ['R17: a logo that runs something', { logo_uri: 'javascript:alert(1)' }, 'invalid_client_metadata'],
    ['R19: client credentials', { grant_types: ['client_credentials'] }, 'invalid_client_metadata'],
    ['R19: private_key_jwt', { token_endpoint_auth_method: 'private_key_jwt' }, 'invalid_client_metadata'],
    [
      'R22: more than 2 KB',
      {
        redirect_uris: Array.from(
          { length: 15 },
          (_, index) => `https://client.example/${'x'.repeat(150)}${index}`,
        ),
      },
      'invalid_client_metadata',
    ],
  ])('%s is refused, in words that echo nothing', async (_, change, code) => {
    const { post, events } = setUp()
    const response = await post({ redirect_uris: redirectUris, ...change })
    expect(response.status).toBe(400)
    const body = (await response.json()) as Record<string, string>
    expect(body.error).toBe(code)
    expect(body.error_description).toMatch(/^[\x20\x21\x23-\x5b\x5d-\x7e]+$/)
    expect(JSON.stringify(body)).not.toMatch(/alert|xxx/)
    expect(events).toEqual([])
  })

  it('R16: the schemes of the deployer are allowed here too', async () => {
    expect((await setUp().post({ redirect_uris: ['myapp://cb'] })).status).toBe(400)
    const { post } = setUp({ redirectUriSchemes: ['myapp'] })
    expect((await post({ redirect_uris: ['myapp://cb'] })).status).toBe(201)
  })

  it('R13: where registration is off, there is no such endpoint', async () => {
    const { post, events } = setUp({ dynamicRegistration: false })
    expect((await post({ redirect_uris: redirectUris })).status).toBe(404)
    expect(events).toEqual([])
  })
})
