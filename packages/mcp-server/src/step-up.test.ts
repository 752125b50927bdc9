import { ConfigurationError, developmentSignIn } from '@sallyport/oauth'
import { describe, expect, it } from 'vitest'
import { createServer } from './create-server.ts'
import { fakeProvider } from './provider.fixture.ts'
import { createTestClient } from './sign-in.fixture.ts'

const origin = 'http://localhost:3000'
const secrets = 'a-secret-for-tests-that-is-long-enough-0123456789'
const settings = {
  name: 'test',
  version: '1.0.0',
  sessionProvider: 'memory',
  environment: {},
  logLevel: 'silent',
} as const

describe('a tool that wants a recent sign-in', () => {
  it('takes one, refuses it when it has grown old, and takes the next', async () => {
    const time = { now: 1_800_000_000 }
    const server = createServer({
      ...settings,
      secrets,
      signIn: developmentSignIn(),
      clock: () => time.now,
    })
    server.tool('pay', { description: 'Pays', auth: { maxAgeSeconds: 300 }, run: () => 'paid' })
    const serve = (request: Request) => server.fetch(request)
    const call = async (token: string) => {
      const response = await serve(
        new Request(`${origin}/mcp`, {
          method: 'POST',
          headers: {
            'content-type': 'application/json',
            accept: 'application/json, text/event-stream',
            authorization: `Bearer ${token}`,
          },
          body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'pay' } }),
        }),
      )
      return { status: response.status, challenge: response.headers.get('www-authenticate') }
    }
    const client = createTestClient(serve, origin)
    const { access_token: first } = await client.signIn()
    expect(await call(String(first))).toEqual({ status: 200, challenge: null })
    time.now += 301
    const refused = await call(String(first))
    expect(refused.status).toBe(401)
    expect(refused.challenge).toContain('error="insufficient_user_authentication"')
    expect(refused.challenge).toContain('max_age="300"')
    const { access_token: second } = await client.signIn()
    expect(await call(String(second))).toEqual({ status: 200, challenge: null })
    await server.close()
  })

  it('does not start where nobody tells when users signed in', async () => {
    const { provider } = fakeProvider('google')
    const server = createServer({
      ...settings,
      secrets,
      signIn: provider,
    })
    server.tool('pay', { description: 'Pays', auth: { maxAgeSeconds: 300 }, run: () => 'paid' })
    await expect(server.fetch(new Request(`${origin}/health`))).rejects.toThrow(ConfigurationError)
    await expect(server.fetch(new Request(`${origin}/health`))).rejects.toThrow(/"pay" has maxAgeSeconds/)
  })
})
