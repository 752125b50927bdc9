import { describe, expect, it } from 'vitest'
import { ConnectionRequiredError } from '../provider.ts'
import { ClientCapabilityError } from './client-capability-error.ts'
import type { ClientExchange, ConnectionNeed, Question } from './exchange.ts'
import { emptyState, type RequestState } from './request-state.ts'
import { createRoundsExchange, InputPending } from './rounds.ts'

type Sealed = Omit<RequestState, 'id' | 'expiresAt'>
const whole = (state: Sealed): RequestState => ({ ...state, id: 'id', expiresAt: 0 })

/** One round; the "sealed" state is the JSON of it. */
function round(
  options: { state?: Sealed; responses?: Record<string, unknown>; now?: number; url?: boolean } = {},
): ClientExchange {
  return createRoundsExchange({
    capabilities: { elicitation: { form: {}, ...(options.url !== false && { url: {} }) } },
    state: options.state && whole(options.state),
    responses: options.responses ?? {},
    signal: new AbortController().signal,
    stopping: new AbortController().signal,
    seal: JSON.stringify,
    clock: () => options.now ?? 0,
    timing: { answerMs: 600_000, roundMs: 1, pollMs: 1 },
  })
}
const stateOf = (result: { requestState?: string } | undefined) =>
  JSON.parse(result?.requestState ?? 'null') as Sealed

const question = (message: string, over: Partial<Question<string>> = {}): Question<string> => ({
  request: { method: 'elicitation/create', params: { message } },
  read: async answer => (typeof answer === 'string' ? answer : undefined),
  ...over,
})

describe('questions', () => {
  it('an answer counts in the next round, and in all after it', async () => {
    const first = round()
    await expect(first.ask(question('a?'))).rejects.toThrow(InputPending)
    const asked = await first.finish()
    expect(asked?.inputRequests).toEqual({
      question_1: { method: 'elicitation/create', params: { message: 'a?' } },
    })
    const second = round({ state: stateOf(asked), responses: { question_1: 'A' } })
    expect(await second.ask(question('a?'))).toBe('A')
    await expect(second.ask(question('b?'))).rejects.toThrow(InputPending)
    const next = await second.finish(new InputPending())
    expect(Object.keys(next?.inputRequests ?? {})).toEqual(['question_2'])
    const third = round({ state: stateOf(next), responses: { question_2: 'B' } })
    expect([await third.ask(question('a?')), await third.ask(question('b?'))]).toEqual(['A', 'B'])
    expect(await third.finish()).toBeUndefined()
  })

  it('R161: an answer nobody asked for is none, and neither is one to another question', async () => {
    const unasked = round({ responses: { question_1: 'A' } })
    await expect(unasked.ask(question('a?'))).rejects.toThrow(InputPending)
    const asked = stateOf(await unasked.finish())
    const changed = round({ state: asked, responses: { question_1: 'A' } })
    await expect(changed.ask(question('delete everything?'))).rejects.toThrow(InputPending)
    const answered = round({ state: asked, responses: { question_1: 'A' } })
    await answered.ask(question('a?'))
    await answered.ask(question('b?')).catch(() => {})
    const later = round({ state: stateOf(await answered.finish()), responses: {} })
    await expect(later.ask(question('delete everything?'))).rejects.toThrow(InputPending)
  })

  it('an answer that came with the call counts where the question says so, and nothing else it brings', async () => {
    const responses = { name: 'Ada', other: 'ignored', constructor: 'ignored' }
    const ask = (exchange: ClientExchange, over: Partial<Question<string>>) =>
      exchange.ask(question('a?', { beforehand: true, ...over }))
    const direct = round({ responses })
    expect(await ask(direct, { id: 'name' })).toBe('Ada')
    expect(await direct.finish()).toBeUndefined()
    await expect(ask(round({ responses }), { id: 'toString' })).rejects.toThrow(InputPending)
    await expect(ask(round({ responses: { name: 7 } }), { id: 'name' })).rejects.toThrow(InputPending)
    // Once something was asked, answers are to what was asked.
    const later = round({ responses, state: emptyState() })
    await expect(ask(later, { id: 'name' })).rejects.toThrow(InputPending)
  })

  it('what came with the call is kept while the rest of the call is asked', async () => {
    const ask = (exchange: ClientExchange) =>
      Promise.all([
        exchange.ask(question('a?', { id: 'a', beforehand: true })),
        exchange.ask(question('b?', { id: 'b' })),
      ])
    const first = round({ responses: { a: 'A', b: 'B' } })
    await expect(ask(first)).rejects.toThrow(InputPending)
    const asked = await first.finish()
    expect(Object.keys(asked?.inputRequests ?? {})).toEqual(['b'])
    expect(await ask(round({ state: stateOf(asked), responses: { b: 'B' } }))).toEqual(['A', 'B'])
  })

  it.each(['__proto__', 'constructor', 'toString'])(
    'a question named %s is a question like any other',
    async id => {
      const first = round()
      await expect(first.ask(question('a?', { id }))).rejects.toThrow(InputPending)
    },
  )

  it('of several asked at once, those that were not answered are asked again, alone', async () => {
    const ask = (exchange: ClientExchange) =>
      Promise.all(['a', 'b', 'c'].map(id => exchange.ask(question(`${id}?`, { id }))))
    const first = round()
    await expect(ask(first)).rejects.toThrow(InputPending)
    const asked = await first.finish()
    expect(Object.keys(asked?.inputRequests ?? {})).toEqual(['a', 'b', 'c'])
    const second = round({ state: stateOf(asked), responses: { a: 'A', b: 7, d: 'ignored' } })
    await expect(ask(second)).rejects.toThrow(InputPending)
    const again = await second.finish()
    expect(Object.keys(again?.inputRequests ?? {}).sort()).toEqual(['b', 'c'])
    const third = round({ state: stateOf(again), responses: { b: 'B', c: 'C' } })
    expect(await ask(third)).toEqual(['A', 'B', 'C'])
  })

  it('a handler that swallows the end of its run still asks', async () => {
    const exchange = round()
    await exchange.ask(question('a?')).catch(() => 'no answer')
    expect((await exchange.finish())?.inputRequests).toHaveProperty('question_1')
  })

  it('two questions with one name are a mistake of the developer', async () => {
    const exchange = round()
    await exchange.ask(question('a?', { id: 'x' })).catch(() => {})
    await expect(exchange.ask(question('b?', { id: 'x' }))).rejects.toThrow('two questions named "x"')
  })

  it('a state with an answer that counts once says so, in every later round', async () => {
    const first = round()
    await first.ask(question('a?', { once: true })).catch(() => {})
    const asked = stateOf(await first.finish())
    const second = round({ state: asked, responses: { question_1: 'A' } })
    await second.ask(question('a?', { once: true }))
    await second.ask(question('b?')).catch(() => {})
    expect([asked.once, stateOf(await second.finish()).once]).toEqual([true, true])
  })

  it('what the client cannot do goes to the SDK, which names what is missing', async () => {
    const { request } = question('a?')
    const result = await round().finish(new ClientCapabilityError('sampling', request))
    expect(result?.inputRequests).toEqual({ sampling: request })
  })
})

describe('connections', () => {
  function need(connected: () => boolean): ConnectionNeed {
    let links = 0
    return {
      error: new ConnectionRequiredError('google', 'missing_scope', ['calendar']),
      label: 'Google',
      message: 'Google is missing.',
      link: async () => `https://mcp.example.com/connect/${++links}`,
      isConnected: async () => connected(),
    }
  }
  const accept = { connect_google: { action: 'accept' } }
  const asked = async (google: ConnectionNeed) => {
    const exchange = round()
    await exchange.begin(() => google)
    await expect(exchange.connect(google)).rejects.toThrow(InputPending)
    const result = await exchange.finish(new InputPending())
    expect(result?.inputRequests).toEqual({
      connect_google: {
        method: 'elicitation/create',
        params: { mode: 'url', message: 'Google is missing.', url: 'https://mcp.example.com/connect/1' },
      },
    })
    return stateOf(result)
  }

  it('the handler does not run again before the account is connected', async () => {
    let isConnected = false
    const google = need(() => isConnected)
    const state = await asked(google)
    const waiting = round({ state, responses: accept })
    const held = await waiting.begin(() => google)
    expect(held).toMatchObject({ resultType: 'input_required' })
    expect(held?.inputRequests).toBeUndefined()
    isConnected = true
    expect(await round({ state: stateOf(held) }).begin(() => google)).toBeUndefined()
  })

  it('the account that is missing is the one that is waited for, in every round', async () => {
    const google = need(() => false)
    const error = new ConnectionRequiredError('google', 'dead', ['calendar'], 'work')
    const state = await asked({ ...google, error })
    const looked: unknown[] = []
    const needOf = (missing: ConnectionRequiredError) => {
      looked.push([missing.reason, missing.account])
      return google
    }
    const held = await round({ state, responses: accept }).begin(needOf)
    await round({ state: stateOf(held) }).begin(needOf)
    expect(looked).toEqual([
      ['dead', 'work'],
      ['dead', 'work'],
    ])
  })

  it('one more account is told from those there were, which the state remembers', async () => {
    const error = new ConnectionRequiredError('google', 'another_account')
    const looked: unknown[] = []
    const ids = ['first']
    const another: ConnectionNeed = {
      ...need(() => false),
      error,
      connected: async () => ids,
      isConnected: async known => {
        looked.push(known)
        return ids.some(id => !known?.includes(id))
      },
    }
    const exchange = round()
    await exchange.begin(() => another)
    const state = stateOf(await exchange.finish(error))
    const held = await round({ state, responses: accept }).begin(() => another)
    expect(held).toMatchObject({ resultType: 'input_required' })
    ids.push('second')
    const last = round({ state: stateOf(held) })
    expect(await last.begin(() => another)).toBeUndefined()
    expect(looked.every(known => JSON.stringify(known) === '["first"]')).toBe(true)
    expect(last.hasMore?.(another)).toBe(true)
    // The account that is used by default may still be asked for.
    await expect(last.connect(need(() => false))).rejects.toThrow(InputPending)
  })

  it('one more account that took too long is not asked for again, and nobody is told that it is there', async () => {
    const error = new ConnectionRequiredError('google', 'another_account')
    const another = { ...need(() => false), error, connected: async () => ['first'] }
    const exchange = round()
    await exchange.begin(() => another)
    const state = stateOf(await exchange.finish(error))
    const late = round({ state, responses: accept, now: 600 })
    expect(await late.begin(() => another)).toBeUndefined()
    expect(late.hasMore?.(another)).toBe(false)
    expect(await late.finish(error)).toBeUndefined()
  })

  it('a need that a handler threw itself is asked for too', async () => {
    const google = need(() => false)
    const exchange = round()
    await exchange.begin(() => google)
    expect((await exchange.finish(google.error))?.inputRequests).toHaveProperty('connect_google')
  })

  it('a user who declines is believed', async () => {
    const google = need(() => false)
    const refused = round({
      state: await asked(google),
      responses: { connect_google: { action: 'decline' } },
    })
    await expect(refused.begin(() => google)).rejects.toThrow('Google was not connected, as you decided.')
  })

  it.each([undefined, 'accept', { action: 'maybe' }, null])(
    'the answer %j is asked for again',
    async response => {
      const google = need(() => false)
      const exchange = round({ state: await asked(google), responses: { connect_google: response } })
      expect(await exchange.begin(() => google)).toBeUndefined()
      await expect(exchange.connect(google)).rejects.toThrow(InputPending)
    },
  )

  it('after ten minutes it is over, and the call ends with what it needs', async () => {
    const google = need(() => false)
    const late = round({ state: await asked(google), responses: accept, now: 600 })
    expect(await late.begin(() => google)).toBeUndefined()
    await expect(late.connect(google)).rejects.toBe(google.error)
    expect(await late.finish(google.error)).toBeUndefined()
  })

  it('a client that cannot open links gets what it got before', async () => {
    const google = need(() => false)
    const exchange = round({ url: false })
    await exchange.begin(() => google)
    await expect(exchange.connect(google)).rejects.toBe(google.error)
    expect(await exchange.finish(google.error)).toBeUndefined()
  })

  it('answers given before the account was missing are kept', async () => {
    const google = need(() => true)
    const first = round()
    await first.ask(question('a?')).catch(() => {})
    const second = round({ state: stateOf(await first.finish()), responses: { question_1: 'A' } })
    await second.begin(() => google)
    expect(await second.ask(question('a?'))).toBe('A')
    await second.connect(google).catch(() => {})
    const third = round({ state: stateOf(await second.finish()), responses: accept })
    await third.begin(() => google)
    expect(await third.ask(question('a?'))).toBe('A')
  })

  it('an empty state asks nothing', () => {
    expect(emptyState()).toEqual({ once: false, answers: {}, open: {}, connected: [] })
  })
})
