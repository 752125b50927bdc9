import { accounts } from '@sallyport/test-upstream'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { callTool, resultText } from './support/mcp-request.ts'
import { createRawClient, type RawClient } from './support/raw-client.ts'
import { startRedis, type TestRedis } from './support/redis.ts'
import { type Sallyport, startSallyport } from './support/sallyport.ts'

const userCount = 6
const outageSeconds = 600
const stepSeconds = 20
const tokenSeconds = 3600

let redis: TestRedis
let one: Sallyport
let other: Sallyport
let users: { client: RawClient; token: string; refreshToken: string; endsAt: number }[]
/** How far the clocks of both are ahead of the system's. */
let ahead = 0

/** The time of both servers. */
const now = () => Date.now() / 1000 + ahead

async function advance(seconds: number) {
  ahead += seconds
  await Promise.all([one.advance(seconds), other.advance(seconds)])
}

beforeAll(async () => {
  redis = await startRedis()
  const options = {
    kind: 'google',
    signIn: 'development',
    upstream: { autoConsent: true },
    environment: {
      SESSION_REDIS_URL: redis.url,
      SALLYPORT_SECRET: 'shared-by-the-processes-of-one-deployment',
      // What ends in this test are the provider's tokens.
      OAUTH_ACCESS_TOKEN_TTL: '86400',
      OAUTH_REFRESH_TOKEN_TTL: '864000',
    },
  } as const
  one = await startSallyport(options)
  other = await startSallyport({ ...options, beside: one })
  users = []
  for (let i = 0; i < userCount; i++) {
    const client = await createRawClient(one.mcpUrl)
    const tokens = await client.signIn({ plan: { name: `user-${i}` } })
    const endsAt = now() + tokenSeconds
    users.push({ client, token: tokens.access_token, refreshToken: tokens.refresh_token ?? '', endsAt })
    // Their tokens end one after the other while the provider is down.
    await advance(30)
  }
})
afterAll(async () => {
  await other?.close()
  await one?.close()
  await redis?.close()
})

let round = 0

/** Every user calls once, at one process or the other: who was served, and what the others were told. */
async function callAll() {
  round++
  const answers = await Promise.all(
    users.map(async ({ token, endsAt }, i) => {
      const { mcpUrl } = (i + round) % 2 === 0 ? one : other
      // Issued a little earlier than this test knows.
      const mustWork = now() + 30 < endsAt
      const response = await callTool(mcpUrl, 'my-profile', {}, { token })
      expect(response.status, 'nobody is signed out').toBe(200)
      const text = await resultText(response)
      const isServed = text.startsWith('{')
      if (isServed) expect(JSON.parse(text)).toEqual(accounts[0])
      else {
        expect(text).toMatch(/^Google cannot be reached now\. Try again in (a moment|\d+ seconds?)\.$/)
        expect(mustWork, 'a token that still works is served').toBe(false)
      }
      return isServed
    }),
  )
  return answers.filter(isServed => isServed).length
}

it('R182: ten minutes of 500 with two servers and tokens that end one by one: nobody is signed out or loses a connection', async () => {
  const { control } = one.upstream
  // A minute before the first of them is stale, and six before it ends.
  await advance(Math.floor(users[0]!.endsAt - 360 - now()))
  expect(await callAll()).toBe(userCount)
  control.resetCounts()
  control.fail('token', { status: 500, times: Number.POSITIVE_INFINITY })
  const begunAt = now()
  let refused = 0
  for (let second = 0; second < outageSeconds; second += stepSeconds) {
    await advance(stepSeconds)
    refused += userCount - (await callAll())
  }
  expect(refused, 'tokens did end').toBeGreaterThan(userCount * 5)
  expect(await callAll(), 'of everybody, in the end').toBe(0)
  // A probe every 20 s, and a few before anybody knew; of 200 calls and more.
  const seconds = now() - begunAt
  expect(control.count('token')).toBeLessThan(seconds / 20 + 12)

  for (const user of users) {
    const response = await user.client.refresh(user.refreshToken)
    expect(response.status, 'sessions are refreshed all the same').toBe(200)
    user.token = ((await response.json()) as { access_token: string }).access_token
  }

  control.heal()
  let waited = 0
  while ((await callAll()) === 0 && waited < 60) {
    await advance(5)
    waited += 5
  }
  expect(waited, 'the first success').toBeLessThanOrEqual(30)
  await advance(20)
  expect(await callAll()).toBe(userCount)
}, 60_000)
