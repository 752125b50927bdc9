import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { createMemoryStore, developmentSignIn, type Store, StoreUnavailableError } from '@sallyport/oauth'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { createServer } from '../create-server.ts'
import { createTestClient } from '../sign-in.fixture.ts'
import { extension, taskRequest } from './task-request.fixture.ts'
import { opened, origin, secrets, setUp } from './tasks.fixture.ts'

const unknown = { code: -32602, message: 'Task not found' }

describe('a tool that may be a task', () => {
  it('is answered at once, and the result is there when it is', async () => {
    const { signIn, call, get, until, time } = setUp()
    const { access_token: token } = await signIn()
    const { result } = await call('who', token)
    const at = new Date(time.now * 1_000).toISOString()
    expect(result).toEqual({
      resultType: 'task',
      taskId: expect.stringMatching(/^[\w-]{32}$/),
      status: 'working',
      createdAt: at,
      lastUpdatedAt: at,
      ttlMs: 3_600_000,
      pollIntervalMs: 5,
      _meta: expect.anything(),
    })
    const taskId = result!.taskId!
    await until(taskId, 'completed', token)
    expect((await get(taskId, token)).result).toMatchObject({
      resultType: 'complete',
      result: { content: [{ type: 'text', text: expect.stringMatching(/^it is /) }] },
    })
  })

  it('is called as ever by a client that knows no tasks, of either era', async () => {
    const { signIn, call, client } = setUp()
    const { access_token: token } = await signIn()
    const { result } = await call('who', token, {})
    expect(result).toMatchObject({ resultType: 'complete', content: [{ type: 'text' }] })
    expect(await (await client.call('who', {}, token)).text()).toContain('it is ')
  })

  it('is refused to such a client when it can be nothing else, with what is missing', async () => {
    const { signIn, call } = setUp()
    const { access_token: token } = await signIn()
    expect(await call('wait', token, {})).toMatchObject({
      status: 400,
      error: { code: -32021, data: { requiredCapabilities: { extensions: { [extension]: {} } } } },
    })
  })

  it('makes no task of a tool that is none', async () => {
    const { call } = setUp()
    expect((await call('plain')).result).toMatchObject({ resultType: 'complete' })
  })

  it('is announced where there is one', async () => {
    const { send } = setUp()
    expect((await send('server/discover', {})).result?.capabilities).toMatchObject({
      extensions: { [extension]: {} },
    })
  })

  it('says at start what is wrong with it', () => {
    const { server } = setUp()
    const task = 'sometimes' as 'optional'
    expect(() => server.tool('bad', { description: 'd', task, run: () => 'x' })).toThrow(/task of tool "bad"/)
  })

  it('says what is wrong with the settings', async () => {
    const { server } = setUp({ options: { tasks: { ttlSeconds: 604_801 } } })
    await expect(server.fetch(new Request(`${origin}/health`))).rejects.toThrow(/tasks.ttlSeconds/)
  })
})

describe('how a task ends', () => {
  it.each([
    ['an error of the tool is a result', 'fails', { status: 'completed', result: { isError: true } }],
    [
      'an error of the protocol is a failure',
      'breaks',
      { status: 'failed', error: { code: -32050, message: 'a panic', data: { hint: 1 } } },
    ],
    [
      'a large result is there whole',
      'huge',
      { status: 'completed', result: { content: [{ text: 'x'.repeat(1_000_000) }] } },
    ],
    [
      'a result that is too large says that the work is done, and what the limit is',
      'too-huge',
      {
        status: 'completed',
        result: {
          isError: true,
          content: [{ text: expect.stringMatching(/^too-huge has done its work.* 1048576 bytes/) }],
        },
      },
    ],
    [
      'an error that is too large is a failure still',
      'breaks-hugely',
      { status: 'failed', error: { code: -32603, message: expect.stringContaining('too large') } },
    ],
  ])('%s', async (_, name, expected) => {
    const { signIn, begin, get, until } = setUp()
    const { access_token: token } = await signIn()
    const taskId = await begin(name, token)
    await until(taskId, expected.status, token)
    expect((await get(taskId, token)).result).toMatchObject(expected)
  })

  it('cancelled: the handler hears of it, and cancelling again is the same', async () => {
    const { signIn, begin, get, send, gate } = setUp()
    const { access_token: token } = await signIn()
    const taskId = await begin('wait', token)
    for (let round = 0; round < 2; round++) {
      const { result } = await send('tasks/cancel', { taskId }, { token })
      expect({ ...result, _meta: undefined }).toEqual({ resultType: 'complete', _meta: undefined })
    }
    await expect.poll(() => gate.aborted, { timeout: 20_000 }).toEqual(['wait'])
    expect((await get(taskId, token)).result).toMatchObject({ status: 'cancelled' })
    expect((await get(taskId, token)).result).not.toHaveProperty('result')
  })

  it('what it says of its progress is the status message', async () => {
    const { signIn, begin, get, gate, until } = setUp()
    const { access_token: token } = await signIn()
    const taskId = await begin('wait', token)
    await expect
      .poll(async () => (await get(taskId, token)).result?.statusMessage, { timeout: 20_000 })
      .toBe('1 of 2')
    gate.open()
    await until(taskId, 'completed', token)
  })

  it('forgotten: after its life there is no such task', async () => {
    const { signIn, begin, until, get, time } = setUp()
    const { access_token: token } = await signIn()
    const taskId = await begin('who', token)
    await until(taskId, 'completed', token)
    time.now += 899
    expect((await get(taskId, token)).result).toMatchObject({ status: 'completed' })
    time.now += 3_600 - 899
    const { access_token: later } = await signIn()
    expect((await get(taskId, later!)).error).toMatchObject(unknown)
  })

  it('stopped with its server: failed, not for ever at work', async () => {
    const store = createMemoryStore({ tenant: 'default' })
    const one = setUp({ store })
    const { access_token: token } = await one.signIn()
    const taskId = await one.begin('wait', token)
    const other = setUp({ store })
    const closing = one.server.close()
    await other.until(taskId, 'failed', token)
    await closing
  }, 60_000)
})

describe('who may see a task', () => {
  it('R160: to another user, another client and nobody it is as unknown as one that never was', async () => {
    const { server, signIn, begin, until, send, call } = setUp()
    const { access_token: token } = await signIn('ada')
    const taskId = await begin('who', token)
    await until(taskId, 'completed', token)
    const { access_token: other } = await signIn('eve')
    const otherClient = createTestClient(request => server.fetch(request), origin)
    const { access_token: elsewhere } = (await otherClient.signIn({ name: 'ada' })) as Record<string, string>
    expect(await call('who', other)).toMatchObject({ status: 200 })
    for (const [method, more] of [
      ['tasks/get', {}],
      ['tasks/update', { inputResponses: { name: { action: 'accept' } } }],
      ['tasks/cancel', {}],
    ] as const) {
      const never = await send(method, { taskId: 'never-was', ...more }, { token })
      expect(never.error).toMatchObject(unknown)
      for (const stranger of [other, elsewhere, undefined]) {
        expect(await send(method, { taskId, ...more }, { token: stranger })).toEqual(never)
      }
    }
  })

  it('R160: two users with the same JSON-RPC ids get their own results, round after round', async () => {
    const { signIn, call, get, until } = setUp({
      options: { tasks: { pollIntervalMs: 5, maxPerCaller: 500 } },
    })
    const users = [await signIn('ada'), await signIn('eve')]
    const seen = await Promise.all(
      users.map(async ({ access_token: token }) => {
        const texts = new Set<string | undefined>()
        for (let round = 0; round < 50; round++) {
          const taskId = (await call('who', token)).result!.taskId!
          await until(taskId, 'completed', token)
          texts.add((await get(taskId, token)).result?.result?.content?.[0]?.text)
        }
        return [...texts]
      }),
    )
    expect(seen.map(texts => texts.length)).toEqual([1, 1])
    expect(seen[0]).not.toEqual(seen[1])
  })

  it('R156: a token with less than the tool asks for is told what it lacks, and does not bring the result', async () => {
    const { signIn, begin, until, get, send } = setUp()
    const { access_token: token } = await signIn('ada', 'mcp jobs:run')
    const taskId = await begin('scoped', token)
    await until(taskId, 'completed', token)
    const { access_token: less } = await signIn('ada', 'mcp')
    for (const method of ['tasks/get', 'tasks/update', 'tasks/cancel']) {
      expect(await send(method, { taskId, inputResponses: {} }, { token: less })).toMatchObject({
        status: 403,
        error: 'insufficient_scope',
        challenge: expect.stringContaining('scope="jobs:run"'),
      })
    }
    // Nobody else learns that there is such a task.
    const { access_token: other } = await signIn('eve', 'mcp')
    expect((await get(taskId, other!)).error).toMatchObject(unknown)
  })

  it('R162: the store holds neither its id nor its result', async () => {
    const kept: unknown[] = []
    const store = createMemoryStore({ tenant: 'default' })
    const watched: Store = {
      ...store,
      putCallTask(step) {
        kept.push(step)
        return store.putCallTask(step)
      },
      replaceCallTask(step) {
        kept.push(step)
        return store.replaceCallTask(step)
      },
    }
    const { signIn, begin, until } = setUp({ store: watched })
    const { access_token: token } = await signIn('ada', 'mcp jobs:run')
    const taskId = await begin('scoped', token)
    await until(taskId, 'completed', token)
    const dump = JSON.stringify(kept)
    expect(kept.length).toBeGreaterThan(1)
    for (const secret of [taskId, 'a secret of the scope', 'scoped']) expect(dump).not.toContain(secret)
  })

  it('R149: without a token the tasks of signed-in users are a 401 where nobody else can have any', async () => {
    const server = createServer({
      name: 'jobs',
      version: '1.0.0',
      signIn: developmentSignIn(),
      store: createMemoryStore({ tenant: 'default' }),
      secrets,
      environment: {},
      logLevel: 'silent',
    })
    opened.push(server)
    server.tool('plain', { description: 'd', run: () => 'x' })
    server.tool('job', { description: 'd', auth: {}, task: 'required', run: () => 'x' })
    const body = { jsonrpc: '2.0', id: 1, method: 'tasks/get', params: { taskId: 'any' } }
    const response = await server.fetch(
      new Request(`${origin}/mcp`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'application/json' },
        body: JSON.stringify(body),
      }),
    )
    expect(response.status).toBe(401)
  })

  it('callers without sign-in have tasks too: by an id that nobody guesses, and not without end', async () => {
    const { begin, until, call, signIn, get } = setUp()
    const taskId = await begin('open')
    await until(taskId, 'completed')
    await begin('open')
    expect((await call('open')).result).toMatchObject({ isError: true })
    const { access_token: token } = await signIn()
    expect((await get(taskId, token)).error).toMatchObject(unknown)
    await begin('open', token)
  })

  it('R171: a caller has no more tasks than it may, and others are not in its way', async () => {
    const { signIn, begin, call } = setUp()
    const { access_token: token } = await signIn('ada')
    for (let count = 0; count < 3; count++) await begin('who', token)
    expect((await call('who', token)).result).toMatchObject({
      isError: true,
      content: [{ text: expect.stringContaining('Too many tasks') }],
    })
    const { access_token: other } = await signIn('eve')
    await begin('who', other)
  })
})

describe('a task and the sign-in it began with', () => {
  it('goes on after the access token has ended, and says that it does', async () => {
    const store = createMemoryStore({ tenant: 'default' })
    let writes = 0
    const counted: Store = {
      ...store,
      replaceCallTask(step) {
        writes++
        return store.replaceCallTask(step)
      },
    }
    const { signIn, begin, until, gate, time } = setUp({ store: counted })
    const { access_token: token } = await signIn()
    const taskId = await begin('wait', token)
    for (let passed = 0; passed < 1_000; passed += 20) {
      const before = writes
      time.now += 20
      await expect.poll(() => writes, { timeout: 20_000, interval: 2 }).toBeGreaterThan(before)
    }
    gate.open()
    const { access_token: later } = await signIn()
    await until(taskId, 'completed', later)
  })

  it('is failed for whoever asks when its process has not said for too long that it lives', async () => {
    const store = createMemoryStore({ tenant: 'default' })
    const dead: Store = {
      ...store,
      replaceCallTask: () => Promise.reject(new StoreUnavailableError('cut off')),
    }
    const one = setUp({ store: dead })
    const { access_token: token } = await one.signIn()
    const taskId = await one.begin('wait', token)
    const other = setUp({ store, time: one.time })
    one.time.now += 45
    expect((await other.get(taskId, token)).result).toMatchObject({ status: 'working' })
    one.time.now += 1
    const failed = {
      status: 'failed',
      statusMessage: expect.stringContaining('has stopped'),
      error: { code: -32603, message: expect.stringContaining('has stopped') },
    }
    expect((await other.get(taskId, token)).result).toMatchObject(failed)
    expect((await other.get(taskId, token)).result).toMatchObject(failed)
    // What was taken for dead gives up, and would overwrite nothing.
    await expect.poll(() => one.gate.aborted, { timeout: 20_000 }).toEqual(['wait'])
  })

  it.each(['user', 'client'] as const)(
    'R157: goes on when that sign-in has ended by itself, and is cancelled when its %s is shut out after that',
    async who => {
      const store = createMemoryStore({ tenant: 'default' })
      const state = { hasEnded: false, renewed: 0 }
      const watched: Store = {
        ...store,
        findGrant: async step => (state.hasEnded ? undefined : store.findGrant(step)),
        revokeGrants: async step =>
          state.hasEnded ? { revoked: [], cursor: undefined } : store.revokeGrants(step),
        async replaceCallTask(step) {
          state.renewed++
          return store.replaceCallTask(step)
        },
      }
      const { server, signIn, begin, get, gate, time } = setUp({ store: watched })
      const { access_token: token } = await signIn('ada')
      const taskId = await begin('wait', token)
      const renewals = async (change: () => Promise<unknown>) => {
        await change()
        const before = state.renewed
        time.now += 20
        await expect.poll(() => state.renewed, { timeout: 20_000, interval: 2 }).toBeGreaterThan(before)
      }
      await renewals(async () => {
        state.hasEnded = true
      })
      expect((await get(taskId, token)).result).toMatchObject({ status: 'working' })
      const { sub, client_id } = JSON.parse(Buffer.from(token!.split('.')[1]!, 'base64url').toString())
      await renewals(() =>
        who === 'user' ? server.admin.disableUser(sub) : server.admin.revokeClient(client_id),
      )
      await expect.poll(() => gate.aborted, { timeout: 20_000 }).toEqual(['wait'])
    },
  )

  it('R157: is cancelled when that sign-in is revoked', async () => {
    const { signIn, begin, gate, client, get } = setUp()
    const { access_token: token, refresh_token: refresh } = await signIn('ada')
    const taskId = await begin('wait', token)
    const { access_token: again } = await signIn('ada')
    expect(await client.revoke(refresh!)).toBe(200)
    await expect.poll(() => gate.aborted, { timeout: 20_000 }).toEqual(['wait'])
    expect((await get(taskId, again)).result).toMatchObject({
      status: 'cancelled',
      statusMessage: expect.stringContaining('sign-in'),
    })
  })
})

describe('a task that asks', () => {
  it('waits for both answers, one after the other, in any process', async () => {
    const store = createMemoryStore({ tenant: 'default' })
    const one = setUp({ store })
    const { access_token: token } = await one.signIn()
    const taskId = await one.begin('ask', token)
    const other = setUp({ store })
    const questions = async () =>
      Object.keys((await other.get(taskId, token)).result?.inputRequests ?? {}).sort()
    await expect.poll(questions, { timeout: 20_000 }).toEqual(['name', 'town'])
    const answer = async (inputResponses: Record<string, unknown>) => {
      const { result } = await other.send('tasks/update', { taskId, inputResponses }, { token })
      expect({ ...result, _meta: undefined }).toEqual({ resultType: 'complete', _meta: undefined })
    }
    await answer({ unknown: { action: 'accept' } })
    await answer({ name: { action: 'accept', content: { answer: 'Ada' } } })
    expect(await questions()).toEqual(['town'])
    expect((await other.get(taskId, token)).result).toMatchObject({ status: 'input_required' })
    await answer({ town: { action: 'accept', content: { answer: 'x' } } })
    // It did not fit. The name of a question is used once.
    await expect.poll(questions, { timeout: 20_000 }).toEqual(['town_2'])
    await answer({ town: { action: 'accept', content: { answer: 'late' } } })
    await answer({ town_2: { action: 'accept', content: { answer: 'London' } } })
    await other.until(taskId, 'completed', token)
    expect((await other.get(taskId, token)).result?.result?.content?.[0]?.text).toBe('Ada of London')
  })

  it('hears that its client cannot be asked', async () => {
    const { signIn, call, get, until } = setUp()
    const { access_token: token } = await signIn()
    const { result } = await call('ask', token, { extensions: { [extension]: {} } })
    await until(result!.taskId!, 'completed', token)
    expect((await get(result!.taskId!, token)).result?.result).toMatchObject({
      isError: true,
      content: [{ text: expect.stringContaining('ask you questions') }],
    })
  })
})

describe('the methods of the extension', () => {
  it.each(['tasks/get', 'tasks/update', 'tasks/cancel'])(
    '%s needs a client that knows tasks',
    async method => {
      const { send, signIn } = setUp()
      const { access_token: token } = await signIn()
      const params = { taskId: 'x', inputResponses: {} }
      expect(await send(method, params, { token, capabilities: {} })).toMatchObject({
        status: 400,
        error: { code: -32021 },
      })
    },
  )

  it.each(['tasks/list', 'tasks/result'])('%s of 2025-11-25 is no method', async method => {
    const { send, signIn } = setUp()
    const { access_token: token } = await signIn()
    expect(await send(method, {}, { token })).toMatchObject({ status: 404, error: { code: -32601 } })
  })

  it('R194: a header that names another task is refused', async () => {
    const { server, signIn } = setUp()
    const { access_token: token } = await signIn()
    const response = await server.fetch(
      taskRequest(origin, 'tasks/get', { taskId: 'mine' }, { token, name: 'other' }),
    )
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ error: { code: -32020 } })
  })

  it('to hear of tasks a client must say that it knows them', async () => {
    const { send, signIn } = setUp()
    const { access_token: token } = await signIn()
    const notifications = { taskIds: ['x'] }
    expect(await send('subscriptions/listen', { notifications }, { token, capabilities: {} })).toMatchObject({
      status: 400,
      error: { code: -32021 },
    })
  })
})

it('the SDK client reads a task to its end; it cannot begin one yet', async () => {
  const { server, begin } = setUp()
  const client = new Client(
    { name: 'test', version: '1' },
    {
      versionNegotiation: { mode: { pin: '2026-07-28' } },
      capabilities: { extensions: { [extension]: {} } },
    },
  )
  opened.push(client)
  await client.connect(
    new StreamableHTTPClientTransport(new URL(`${origin}/mcp`), {
      fetch: (url, init) => server.fetch(new Request(url, init)),
    }),
  )
  const anything = z.looseObject({})
  const taskId = await begin('open')
  await expect
    .poll(() => client.request({ method: 'tasks/get', params: { taskId } }, anything), { timeout: 20_000 })
    .toMatchObject({ status: 'completed', result: { content: [{ type: 'text', text: 'for all' }] } })
})

describe('a store that does not answer', () => {
  it('R189: nobody learns more than that', async () => {
    const store = createMemoryStore({ tenant: 'default' })
    let isDown = false
    const down = () => Promise.reject(new StoreUnavailableError('redis.internal refused'))
    const failing: Store = {
      ...store,
      putCallTask: step => (isDown ? down() : store.putCallTask(step)),
      findCallTask: step => (isDown ? down() : store.findCallTask(step)),
    }
    const { signIn, begin, call, get, send } = setUp({ store: failing })
    const { access_token: token } = await signIn()
    const taskId = await begin('wait', token)
    isDown = true
    const answers = [
      await call('who', token),
      await get(taskId, token),
      await send('tasks/cancel', { taskId }, { token }),
      await send('tasks/update', { taskId, inputResponses: {} }, { token }),
    ]
    for (const answer of answers) {
      expect(JSON.stringify(answer)).toContain('cannot answer now')
      expect(JSON.stringify(answer)).not.toContain('redis')
    }
  })

  it('answers that are too large are refused, and nothing of them is kept', async () => {
    const { signIn, begin, until, send, get } = setUp()
    const { access_token: token } = await signIn()
    const taskId = await begin('ask', token)
    await until(taskId, 'input_required', token)
    const inputResponses = { name: { action: 'accept', content: { answer: 'x'.repeat(300_000) } } }
    const { error } = await send('tasks/update', { taskId, inputResponses }, { token })
    expect(error).toMatchObject({ code: -32602, message: expect.stringContaining('too large') })
    await expect
      .poll(async () => Object.keys((await get(taskId, token)).result?.inputRequests ?? {}).sort(), {
        timeout: 20_000,
      })
      .toEqual(['name', 'town'])
    await send('tasks/cancel', { taskId }, { token })
  })
})
