import { describe, expect, it } from 'vitest'
import {
  clientTypes,
  createFixture,
  issuer,
  outcome,
  publicClient,
  resource,
} from '../authorization-server.fixture.ts'
import { createMemoryStore } from '../storage/memory-store.ts'

const grantType = 'urn:ietf:params:oauth:grant-type:token-exchange'
const type = (name: string) => `urn:ietf:params:oauth:token-type:${name}`

/** Token exchange (RFC 8693) is not offered: none of its parameters may do anything. */
describe('token exchange', () => {
  it.each(clientTypes)('R130: is off, also for the own live access token of a $name client', async client => {
    const store = createMemoryStore()
    const fixture = createFixture({ store })
    const { access, refresh } = await fixture.session(client)
    const { size } = store
    const exchange = {
      grant_type: grantType,
      subject_token: access,
      subject_token_type: type('access_token'),
    }
    const response = await fixture.post('/oauth/token', { ...exchange, ...client.body }, client.headers)
    expect(await outcome(response)).toBe('400 unsupported_grant_type')
    expect(store.size).toBe(size)
    expect(await fixture.isLive(access)).toBe(true)
    expect(await outcome(await fixture.refresh(client, refresh))).toBe('200')
  })

  it('R130: is not announced', async () => {
    const fixture = createFixture()
    for (const document of ['oauth-authorization-server', 'openid-configuration']) {
      const response = await fixture.server.handle(new Request(`${issuer}/.well-known/${document}`))
      const text = await response!.text()
      expect(text).toContain('grant_types_supported')
      expect(text).not.toContain('token-exchange')
    }
  })

  const types = ['access_token', 'refresh_token', 'id_token', 'jwt', 'saml1', 'saml2', 'id-jag', 'txn_token']
  it.each([...types.map(type), 'urn:example:google', 'https://accounts.google.com/access_token', ''])(
    'R134, R135: a token of the type %j is neither taken nor given, and the request is refused, not half heard',
    async asked => {
      const fixture = createFixture()
      const { access, refresh } = await fixture.session(publicClient)
      const requests = [
        { subject_token: access, subject_token_type: asked },
        { subject_token: refresh, subject_token_type: type('refresh_token'), requested_token_type: asked },
        {
          subject_token: access,
          subject_token_type: type('access_token'),
          actor_token: access,
          actor_token_type: asked,
        },
      ]
      for (const request of requests) {
        const body = { grant_type: grantType, resource, ...request, ...publicClient.body }
        const response = await fixture.post('/oauth/token', body)
        expect(response.headers.get('Cache-Control')).toBe('no-store')
        const { error, ...rest } = (await response.json()) as Record<string, string>
        expect([response.status, error]).toEqual([400, 'unsupported_grant_type'])
        expect(Object.keys(rest)).toEqual(['error_description'])
      }
    },
  )
})
