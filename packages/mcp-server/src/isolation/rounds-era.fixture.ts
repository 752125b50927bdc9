import { expect } from 'vitest'
import { type Call, otherThan, type Who } from './calls.fixture.ts'
import type { Message } from './http-user.fixture.ts'
import { type Era, expectResult, expectStep, type World } from './world.fixture.ts'

/** 2026-07-28: questions are results, and the call comes again with the answers. */
async function play(call: Call, world: World): Promise<void> {
  const { turnstile, textOf, people } = world
  const { who, round, steps, givenUpAt } = call
  const other = otherThan(who)
  const send = (from: Who, id: number, more: object = {}) =>
    people[from].send('POST', modernHeaders, {
      id,
      method: 'tools/call',
      params: {
        name: 'work',
        arguments: { round },
        ...more,
        _meta: {
          progressToken: round,
          'io.modelcontextprotocol/protocolVersion': '2026-07-28',
          'io.modelcontextprotocol/clientInfo': { name: 'isolation', version: '1' },
          'io.modelcontextprotocol/clientCapabilities': { elicitation: { form: {} } },
          'io.modelcontextprotocol/logLevel': 'info',
        },
      },
    })
  let brought = {}
  /** Steps that are questions, each of which ends a run of the tool. */
  const asks = [...steps.keys()].filter(at => steps[at] === 'ask')
  for (let run = 0; ; run++) {
    const id = round * 4 + run
    const ask = asks[run]
    const told = [...steps.keys()].filter(at => steps[at] !== 'ask' && at < (ask ?? steps.length))
    await turnstile.pass(call.name)
    const answer = await send(who, id, brought)
    let end: Message | undefined
    for await (const message of answer.messages) {
      expect(end).toBeUndefined()
      if ('result' in message || 'error' in message) {
        end = message
        continue
      }
      const at = told.shift() ?? -1
      expectStep(message, call, at, world)
      if (at !== givenUpAt) continue
      await turnstile.pass(call.name)
      call.isGivenUp = true
      answer.hangUp()
      await call.aborted
    }
    if (call.isGivenUp) {
      expect(end).toBeUndefined()
      return
    }
    expect(told).toEqual([])
    if (ask === undefined) {
      expectResult(end, id, call, world)
      return
    }
    expect(end).toMatchObject({ id, result: { resultType: 'input_required' } })
    const { inputRequests, requestState } = (end?.result ?? {}) as {
      inputRequests: Record<string, Message>
      requestState: string
    }
    const [[name, question] = ['', {}], ...more] = Object.entries(inputRequests)
    expect(more).toEqual([])
    expect(question).toMatchObject({
      method: 'elicitation/create',
      params: { message: textOf(call, ask) },
    })
    await turnstile.pass(call.name)
    if (call.disturbed) {
      const forged = { [name]: { action: 'accept', content: { word: textOf({ who: other, round }, ask) } } }
      const refused = await send(other, id, { requestState, inputResponses: forged })
      const answers: Message[] = []
      for await (const message of refused.messages) answers.push(message)
      expect(answers).toMatchObject([{ id, error: { code: -32602 } }])
    }
    if (ask === givenUpAt) return
    const inputResponses = { [name]: { action: 'accept', content: { word: textOf(call, ask) } } }
    brought = { requestState, inputResponses }
  }
}

const modernHeaders = {
  'mcp-protocol-version': '2026-07-28',
  'mcp-method': 'tools/call',
  'mcp-name': 'work',
}

/** 2026-07-28: each request for itself. */
export const roundsEra: Era = { open: async () => {}, play }
