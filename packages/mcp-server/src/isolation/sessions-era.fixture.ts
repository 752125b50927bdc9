import { expect } from 'vitest'
import { type Call, otherThan, users } from './calls.fixture.ts'
import type { Message } from './http-user.fixture.ts'
import { drained, type Era, expectResult, expectStep, note, type World } from './world.fixture.ts'

/** Opens a session for each, and a stream beside all calls, in which nothing comes. */
async function open(world: World): Promise<void> {
  const { people, sessions } = world
  for (const who of users) {
    const user = people[who]
    const params = {
      protocolVersion: '2025-11-25',
      capabilities: { elicitation: { form: {} } },
      clientInfo: { name: 'isolation', version: '1' },
    }
    const opened = await drained(user.send('POST', legacyHeaders(), { id: 0, method: 'initialize', params }))
    sessions[who] = String(opened.headers['mcp-session-id'])
    const headers = legacyHeaders(sessions[who])
    await drained(user.send('POST', headers, { method: 'notifications/initialized' }))
    note(await user.send('GET', headers), `${who} was told something beside all calls`, world)
  }
}

/** The 2025 era: one request, in whose stream everything comes, with questions in the middle. */
async function play(call: Call, world: World): Promise<void> {
  const { turnstile, textOf, people, sessions } = world
  const { who, round, steps, givenUpAt } = call
  const user = people[who]
  const post = (message: object) => user.send('POST', legacyHeaders(sessions[who]), message)
  const giveUp = async () => {
    call.isGivenUp = true
    const { status } = await drained(
      post({ method: 'notifications/cancelled', params: { requestId: round, reason: 'given up' } }),
    )
    expect(status).toBe(202)
    await call.aborted
  }
  await turnstile.pass(call.name)
  const answer = await post({
    id: round,
    method: 'tools/call',
    params: { name: 'work', arguments: { round }, _meta: { progressToken: round } },
  })
  const expected = steps.slice(0, givenUpAt === undefined ? undefined : givenUpAt + 1)
  let at = -1
  let asked: unknown
  let takenBack = false
  let end: Message | undefined
  for await (const message of answer.messages) {
    expect(end).toBeUndefined()
    if ('result' in message || 'error' in message) end = message
    else if (message.method === 'notifications/cancelled') {
      expect([call.isGivenUp, message.params?.requestId]).toEqual([true, asked])
      takenBack = true
    } else {
      at++
      expectStep(message, call, at, world)
      if (message.method === 'elicitation/create') {
        asked = message.id
        world.questions[who].add(asked)
        await turnstile.pass(call.name)
        if (call.disturbed) await disturb(call, asked, at, world)
        if (at === givenUpAt) await giveUp()
        else {
          const result = { action: 'accept', content: { word: textOf(call, at) } }
          expect((await drained(post({ id: asked, result }))).status).toBe(202)
        }
      } else if (at === givenUpAt) {
        await turnstile.pass(call.name)
        await giveUp()
      }
    }
  }
  expect(at).toBe(expected.length - 1)
  expect(takenBack).toBe(givenUpAt !== undefined && steps[givenUpAt] === 'ask')
  if (givenUpAt === undefined) expectResult(end, round, call, world)
  else expect(end).toMatchObject({ id: round, error: { code: -32800 } })
}

/** The other user, in this session, and in their own with what is of this one. */
async function disturb(call: Call, asked: unknown, at: number, world: World): Promise<void> {
  const { people, sessions, textOf } = world
  const { who, round } = call
  const other = otherThan(who)
  const intruder = people[other]
  // The first event of a stream: everything in it is yet to come.
  const eventId = { 'last-event-id': String(people[who].lastEventId()).replace(/^(.{8})_\d+/, '$1_0') }
  const here = legacyHeaders(sessions[who])
  const result = { action: 'accept', content: { word: textOf({ who: other, round }, at) } }
  const refused = await Promise.all([
    drained(intruder.send('POST', here, { id: asked, result })),
    drained(intruder.send('POST', here, { method: 'notifications/cancelled', params: { requestId: round } })),
    drained(intruder.send('GET', { ...here, ...eventId })),
  ])
  expect(refused.map(({ status }) => status)).toEqual([404, 404, 404])
  // A question that is not of their session: nobody hears the answer.
  const own = legacyHeaders(sessions[other])
  expect((await drained(intruder.send('POST', own, { id: asked, result }))).status).toBe(202)
  // An event that is not of their session: nothing follows it there.
  const resumed = await intruder.send('GET', { ...own, ...eventId })
  const followed: Message[] = []
  for await (const message of resumed.messages) followed.push(message)
  expect([resumed.status, followed]).toEqual([200, []])
}

const legacyHeaders = (sessionId?: string): Record<string, string> => ({
  'mcp-protocol-version': '2025-11-25',
  ...(sessionId !== undefined && { 'mcp-session-id': sessionId }),
})

/** 2025-11-25: sessions. */
export const sessionsEra: Era = { open, play }
