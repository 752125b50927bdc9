import {
  assertConnectLink,
  assertScopesRequired,
  assertSignInRequired,
  createTestServer,
  eras,
  fakeProvider,
  type TestServer,
} from '@sallyport/mcp-server/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { server } from './tools.ts'

// The code that docs/testing.md shows.

// #region set-up
const calendars = { items: [{ summary: 'Work' }] }
const google = fakeProvider('google', {
  api: { 'https://www.googleapis.com': () => Response.json(calendars) },
})

let test: TestServer
beforeEach(() => {
  test = createTestServer(server, { providers: [google] })
})
afterEach(() => test.close())
// #endregion set-up

// #region user
it('adds a note', async () => {
  const ada = await test.asUser({ sub: 'ada', scopes: ['notes:write'] })
  const client = await ada.connect()
  const result = await client.callTool({ name: 'add-note', arguments: { text: 'milk' } })
  expect(result.content).toEqual([{ type: 'text', text: 'Saved.' }])
})
// #endregion user

// #region eras
describe.each(eras)('a client of %s', era => {
  it('is greeted', async () => {
    const client = await test.asNobody().connect({ era })
    const result = await client.callTool({ name: 'greet', arguments: {} })
    expect(result.content).toEqual([{ type: 'text', text: 'Hello, whoever you are' }])
  })
})
// #endregion eras

// #region client
it('runs the job for the client that comes every night', async () => {
  const nightly = { clientId: 'nightly', grantTypes: ['client_credentials'], scopes: ['jobs:run'] }
  const test = createTestServer(server, { options: { clients: [nightly] } })
  const client = await (await test.asClient({ clientId: 'nightly' })).connect()
  const result = await client.callTool({ name: 'run-job', arguments: {} })
  expect(result.content).toEqual([{ type: 'text', text: 'Started by nightly.' }])
  await test.close()
})
// #endregion client

// #region challenges
it('asks who may not write for the scope, and who is nobody to sign in', async () => {
  const call = { name: 'add-note', arguments: { text: 'milk' } }
  const nobody = await test.asNobody().connect()
  await assertSignInRequired(nobody.callTool(call), { scopes: ['notes:write'] })

  const reader = await (await test.asUser({ sub: 'ada' })).connect()
  await assertScopesRequired(reader.callTool(call), { scopes: ['notes:write'] })
})
// #endregion challenges

// #region request
it('answers a script that has no token with a challenge', async () => {
  const response = await test.asNobody().request('tools/call', { name: 'whoami', arguments: {} })
  const { resourceMetadata } = await assertSignInRequired(response, { scopes: ['mcp'] })
  expect((await test.fetch(resourceMetadata ?? '')).status).toBe(200)
})
// #endregion request

// #region faults
const listCalendars = { name: 'calendars', arguments: {} }

it('says when Google is not available', async () => {
  const client = await (await test.asUser({ sub: 'ada' })).connect()
  google.script('unavailable', { fault: 'rate_limited', retryAfterSeconds: 60 })
  const first = await client.callTool(listCalendars)
  expect(first.isError).toBe(true)
  const second = await client.callTool(listCalendars)
  expect(second.content).toEqual([
    { type: 'text', text: 'Google cannot be reached now. Try again in 60 seconds.' },
  ])
  expect((await client.callTool(listCalendars)).isError).toBeFalsy()
})
// #endregion faults

// #region link
it('brings the user back when the connection has ended', async () => {
  const ada = await test.asUser({ sub: 'ada' })
  const client = await ada.connect()
  google.script('dead')
  const link = await assertConnectLink(client.callTool(listCalendars), { provider: 'google' })
  await ada.open(link)
  expect((await client.callTool(listCalendars)).isError).toBeFalsy()
})
// #endregion link

// #region requests
it('asks Google with the token of the user', async () => {
  const ada = await test.asUser({ sub: 'ada' })
  await (await ada.connect()).callTool(listCalendars)
  const request = google.requests.at(-1)
  expect(request?.userId).toBe(ada.userId)
  expect(request?.url).toBe('https://www.googleapis.com/calendar/v3/users/me/calendarList')
  expect(request?.headers.get('authorization')).toBe(`Bearer ${google.tokens.at(-1)}`)
})
// #endregion requests

// #region clock
it('wants a sign-in of the last five minutes before it deletes the notebook', async () => {
  const ada = await test.asUser({ sub: 'ada', scopes: ['notes:write'] })
  const client = await ada.connect()
  const call = { name: 'delete-notebook', arguments: {} }
  expect((await client.callTool(call)).isError).toBeFalsy()
  test.clock.advance(301)
  await assertSignInRequired(client.callTool(call), {
    error: 'insufficient_user_authentication',
    maxAgeSeconds: 300,
  })
})
// #endregion clock
