import { readFileSync } from 'node:fs'
import { createMemoryStore } from '@sallyport/oauth'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { createServer as createRealServer } from './create-server.ts'
import { fakeProvider } from './provider.fixture.ts'
import type { Provider } from './provider.ts'
import type { ServerOptions } from './server.ts'
import { createTestClient, textOf } from './sign-in.fixture.ts'

const fake = fakeProvider('google')
const google = (): Provider<'google'> => fake.provider
const eventsUrl = (day: string) => `https://google.example/events?day=${day}`

/** What a deployer would set by environment. */
const createServer = <const S extends Provider>(options: ServerOptions<S, readonly [], string, undefined>) =>
  createRealServer<S, readonly []>({
    ...options,
    store: createMemoryStore({ tenant: 'default' }),
    environment: {
      SALLYPORT_SECRET: 'a-secret-for-tests-that-is-long-enough-0123456789',
      PORT: '0',
      LOG_LEVEL: 'silent',
    },
  })

it('a protected tool that calls Google takes 12 lines and 4 concepts', async () => {
  // the shortest tool
  const server = createServer({ name: 'calendar', version: '1.0.0', signIn: google() })
  server.tool('events', {
    description: 'Your events of one day',
    input: z.object({ day: z.iso.date() }),
    auth: { google: ['https://www.googleapis.com/auth/calendar.readonly'] },
    run: async ({ day }, { fetch }) => (await fetch(eventsUrl(day))).json(),
  })
  await server.start({ silent: true, throwOnError: true, handleSignals: false })
  // the end

  const imports = 3
  const source = readFileSync(new URL(import.meta.url), 'utf8').split('// the shortest tool')[2] ?? ''
  const lines = source.split('// the end')[0]?.trim().split('\n') ?? []
  expect(lines.length + imports).toBeLessThanOrEqual(12)

  const client = createTestClient(
    request => fetch(request, { redirect: 'manual' }),
    new URL(server.url).origin,
  )
  const refused = await client.call('events', { day: '2026-11-21' })
  expect(refused.status).toBe(401)
  const { access_token: token } = await client.signIn({
    elsewhere: url => {
      const back = new URL(url.searchParams.get('redirect_uri') ?? '')
      back.searchParams.set('state', url.searchParams.get('state') ?? '')
      back.searchParams.set('code', 'ada-at-google')
      return back.href
    },
  })
  const answer = await client.call('events', { day: '2026-11-21' }, token)
  expect(await textOf(answer)).toBe('{"via":"google"}')
  expect(fake.requests).toMatchObject([
    { url: eventsUrl('2026-11-21'), scopes: ['https://www.googleapis.com/auth/calendar.readonly'] },
  ])
  await server.close()
})
