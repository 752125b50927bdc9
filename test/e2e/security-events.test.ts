import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { accounts, type SecurityEventFault, securityEventTypes as types } from '@sallyport/test-upstream'
import { afterEach, describe, expect, it } from 'vitest'
import { callTool, linkIn, resultText } from './support/mcp-request.ts'
import { createRawClient } from './support/raw-client.ts'
import { startRedis, type TestRedis } from './support/redis.ts'
import { type Sallyport, startSallyport } from './support/sallyport.ts'
import { passSignIn } from './support/sign-in.ts'

const [alice] = accounts
const closing: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const each of closing.splice(0).reverse()) await each.close()
})

async function start(environment: Record<string, string> = {}): Promise<Sallyport> {
  const sallyport = await startSallyport({
    kind: 'google',
    securityEvents: true,
    upstream: { autoConsent: true },
    environment,
  })
  closing.push(sallyport)
  return sallyport
}

/** The receiver of a server, and the Google that pushes to it. */
function receiverOf({ origin, upstream }: Sallyport) {
  const { sign, push } = upstream.securityEvents
  const account = { subject: { subject_type: 'iss-sub', iss: `${upstream.issuer}/`, sub: alice.sub } }
  const url = `${origin}/oauth/events/google`
  return {
    url,
    account,
    push: async (events: Record<string, unknown>, options?: Parameters<typeof sign>[1]) =>
      push(url, await sign(events, options)),
  }
}

/** What the server told its operator. */
const eventsOf = async ({ directory }: Sallyport): Promise<Record<string, unknown>[]> =>
  (await readFile(join(directory, 'audit.jsonl'), 'utf8'))
    .trim()
    .split('\n')
    .map(line => JSON.parse(line))

/** `prefix` of the refresh token that Google gave last. */
const refreshTokenPrefix = ({ upstream }: Sallyport) =>
  upstream.control.secrets
    .filter(({ kind }) => kind === 'refresh_token')
    .at(-1)!
    .value.slice(0, 16)

describe('Google tells that', () => {
  it('a refresh token is revoked: the tool asks the user to connect again, and the session goes on', async () => {
    const sallyport = await start()
    const { push } = receiverOf(sallyport)
    const client = await createRawClient(sallyport.mcpUrl)
    const { access_token: token } = await client.signIn()
    const profile = () => callTool(sallyport.mcpUrl, 'my-profile', {}, { token })
    expect(JSON.parse(await resultText(await profile()))).toEqual(alice)

    const subject = {
      subject_type: 'oauth_token',
      token_type: 'refresh_token',
      token_identifier_alg: 'prefix',
      token: refreshTokenPrefix(sallyport),
    }
    const response = await push({ [types.tokenRevoked]: { subject } })
    expect([response.status, await response.text()]).toEqual([202, ''])

    const asked = await (await profile()).text()
    expect(asked).toContain('"isError":true')
    await passSignIn(client.browser, linkIn(asked))
    expect(JSON.parse(await resultText(await profile()))).toEqual(alice)
    // Not one refresh was tried with what Google had named.
    expect(sallyport.upstream.control.count('token', 'refresh_token')).toBe(0)
  })

  it('R139: all sessions are revoked: the next call and the next refresh end, and the user signs in again', async () => {
    const sallyport = await start()
    const { push, account } = receiverOf(sallyport)
    const client = await createRawClient(sallyport.mcpUrl)
    const { access_token: token, refresh_token } = await client.signIn()
    const whoami = (token: string) => callTool(sallyport.mcpUrl, 'whoami', {}, { token })
    expect((await whoami(token)).status).toBe(200)

    expect((await push({ [types.sessionsRevoked]: account }, { claims: { jti: 'one' } })).status).toBe(202)
    expect((await whoami(token)).status).toBe(401)
    const refused = await client.refresh(refresh_token ?? '')
    expect([refused.status, await refused.json()]).toMatchObject([400, { error: 'invalid_grant' }])

    // The account stays connected: its tokens are another matter.
    await sallyport.advance(61)
    const { access_token: renewed } = await client.signIn()
    const profile = await callTool(sallyport.mcpUrl, 'my-profile', {}, { token: renewed })
    expect(JSON.parse(await resultText(profile))).toEqual(alice)
    expect((await push({ [types.sessionsRevoked]: account }, { claims: { jti: 'one' } })).status).toBe(202)
    expect((await whoami(renewed)).status).toBe(200)
  })

  it('an account was hijacked: sessions and tokens are gone, and come back with a new consent only', async () => {
    const sallyport = await start()
    const { push, account } = receiverOf(sallyport)
    const client = await createRawClient(sallyport.mcpUrl)
    const { access_token: token } = await client.signIn()
    const event = { [types.accountDisabled]: { ...account, reason: 'hijacking' } }
    expect((await push(event)).status).toBe(202)
    const call = (token: string) => callTool(sallyport.mcpUrl, 'my-profile', {}, { token })
    expect((await call(token)).status).toBe(401)

    await sallyport.advance(61)
    const consents = sallyport.upstream.control.count('token', 'authorization_code')
    const { access_token: renewed } = await client.signIn()
    expect(sallyport.upstream.control.count('token', 'authorization_code')).toBeGreaterThan(consents)
    expect(JSON.parse(await resultText(await call(renewed)))).toEqual(alice)
    const told = (await eventsOf(sallyport)).filter(({ type }) => type === 'security_event_received')
    expect(told).toMatchObject([
      { kind: 'account_disabled', reason: 'hijacking', sessions: 1, connections: 1 },
    ])
  })
})

it('what is not from Google, or not for us, ends nothing and gets the code that says why', async () => {
  const sallyport = await start()
  const { push, account, url } = receiverOf(sallyport)
  const client = await createRawClient(sallyport.mcpUrl)
  const { access_token: token } = await client.signIn()
  const event = { [types.tokensRevoked]: account }
  const faults: [SecurityEventFault, string][] = [
    ['wrong_key', 'authentication_failed'],
    ['unknown_kid', 'invalid_key'],
    ['alg_none', 'invalid_key'],
    ['hs256_with_public_key', 'invalid_key'],
  ]
  const outcomeOf = async (response: Response) => [
    response.status,
    ((await response.json()) as { err: string }).err,
  ]
  for (const [fault, err] of faults) expect(await outcomeOf(await push(event, { fault }))).toEqual([400, err])
  expect(await outcomeOf(await push(event, { claims: { aud: 'another' } }))).toEqual([
    400,
    'invalid_audience',
  ])
  expect(await outcomeOf(await push(event, { claims: { iss: 'https://x.example' } }))).toEqual([
    400,
    'invalid_issuer',
  ])
  expect(await outcomeOf(await sallyport.upstream.securityEvents.push(url, 'garbage'))).toEqual([
    400,
    'invalid_request',
  ])
  expect(await outcomeOf(await sallyport.upstream.securityEvents.push(url, 'x'.repeat(20_000)))).toEqual([
    400,
    'invalid_request',
  ])
  const profile = await callTool(sallyport.mcpUrl, 'my-profile', {}, { token })
  expect(JSON.parse(await resultText(profile))).toEqual(alice)
})

describe('with two processes on Redis', () => {
  it('R139, R163: what one of them hears ends at the other, and is done once', async () => {
    const redis: TestRedis = await startRedis()
    closing.push(redis)
    const shared = {
      SESSION_REDIS_URL: redis.url,
      SALLYPORT_SECRET: 'shared-by-the-processes-of-one-deployment',
    }
    const one = await start(shared)
    const other = await start({ ...shared, PUBLIC_URL: one.origin })
    const { push, account } = receiverOf(one)
    const client = await createRawClient(one.mcpUrl)
    const { access_token: token, refresh_token } = await client.signIn()
    const profile = (token: string) => callTool(other.mcpUrl, 'my-profile', {}, { token })
    const subject = {
      subject_type: 'oauth_token',
      token_type: 'refresh_token',
      token_identifier_alg: 'prefix',
      token: refreshTokenPrefix(one),
    }
    expect((await push({ [types.tokenRevoked]: { subject } })).status).toBe(202)
    expect(await (await profile(token)).text()).toContain('"isError":true')

    const signed = { claims: { jti: 'one' } }
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => push({ [types.tokensRevoked]: account }, signed)),
    )
    expect(answers.map(({ status }) => status)).toEqual([202, 202, 202, 202, 202])
    await expect.poll(async () => (await profile(token)).status, { timeout: 20_000 }).toBe(401)
    expect((await client.refresh(refresh_token ?? '')).status).toBe(400)
    const told = (await eventsOf(one)).filter(({ kind }) => kind === 'tokens_revoked')
    expect(told).toHaveLength(1)
  })
})
