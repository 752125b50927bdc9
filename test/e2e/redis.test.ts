import { afterAll, beforeAll, expect, it } from 'vitest'
import { callTool, resultText } from './support/mcp-request.ts'
import { createRawClient } from './support/raw-client.ts'
import { startRedis, type TestRedis } from './support/redis.ts'
import { type Sallyport, startSallyport } from './support/sallyport.ts'

let redis: TestRedis
let one: Sallyport
let other: Sallyport

beforeAll(async () => {
  redis = await startRedis()
  const shared = {
    SESSION_REDIS_URL: redis.url,
    SALLYPORT_SECRET: 'shared-by-the-processes-of-one-deployment',
  }
  one = await startSallyport({ environment: shared })
  // The same deployment on another machine: one public URL, one Redis, one secret.
  other = await startSallyport({ environment: { ...shared, PUBLIC_URL: one.origin } })
})
afterAll(async () => {
  await one.close()
  await other.close()
  await redis.close()
})

const confirmation = (server: Sallyport, sessionId: string, token: string, body: object) =>
  fetch(server.mcpUrl, {
    method: 'POST',
    headers: {
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
      authorization: `Bearer ${token}`,
      ...(sessionId !== '' && { 'mcp-session-id': sessionId }),
      'mcp-protocol-version': '2025-11-25',
    },
    body: JSON.stringify({ jsonrpc: '2.0', ...body }),
  })

const whoami = (server: Sallyport, token: string | undefined) =>
  callTool(server.mcpUrl, 'whoami', {}, { token })

it('R139, R157: signed in at one process, known at the other, and out of both', async () => {
  const client = await createRawClient(one.mcpUrl)
  const { access_token, refresh_token } = await client.signIn()
  const here = await resultText(await whoami(one, access_token))
  expect(await resultText(await whoami(other, access_token))).toBe(here)

  expect((await client.revoke(refresh_token ?? '')).status).toBe(200)
  expect((await whoami(one, access_token)).status).toBe(401)
  await expect.poll(async () => (await whoami(other, access_token)).status, { timeout: 20_000 }).toBe(401)
})

it('R92, R165: while Redis hangs clients are told when to come back, and afterwards nobody signs in again', async () => {
  const client = await createRawClient(one.mcpUrl)
  const { access_token, refresh_token } = await client.signIn()
  redis.freeze()
  const hanging = await client.refresh(refresh_token ?? '')
  expect(hanging.status).toBe(503)
  expect(await hanging.json()).toMatchObject({ error: 'temporarily_unavailable' })
  expect(Number(hanging.headers.get('retry-after'))).toBeGreaterThan(0)
  expect((await whoami(one, access_token)).status).toBe(200)

  redis.thaw()
  let refreshed = await client.refresh(refresh_token ?? '')
  await expect
    .poll(
      async () => {
        if (refreshed.status !== 200) refreshed = await client.refresh(refresh_token ?? '')
        return refreshed.status
      },
      { timeout: 20_000 },
    )
    .toBe(200)
  const { access_token: renewed } = (await refreshed.json()) as { access_token: string }
  expect((await whoami(other, renewed)).status).toBe(200)
})

it('a session opened at one process goes on at the other, and the answer finds the process that asked', async () => {
  const client = await createRawClient(one.mcpUrl)
  const { access_token: token } = await client.signIn()
  const hello = await confirmation(one, '', token, {
    id: 0,
    method: 'initialize',
    params: {
      protocolVersion: '2025-11-25',
      capabilities: { elicitation: {} },
      clientInfo: { name: 'raw', version: '1' },
    },
  })
  const sessionId = hello.headers.get('mcp-session-id') ?? ''
  await hello.text()
  const call = await confirmation(other, sessionId, token, {
    id: 1,
    method: 'tools/call',
    params: { name: 'confirm', arguments: { what: 'Go' } },
  })
  let text = ''
  for await (const chunk of call.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += chunk
    const [, id] =
      /"elicitation\/create".*"id":"([^"]+)"|"id":"([^"]+)".*"elicitation\/create"/
        .exec(text)
        ?.filter(Boolean) ?? []
    if (id !== undefined && !text.includes('"result"')) {
      await confirmation(one, sessionId, token, {
        id,
        result: { action: 'accept', content: { sure: true } },
      })
    }
  }
  expect(text).toContain('Go: true')
})
