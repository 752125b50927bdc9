import { expect } from 'vitest'
import type { Call, Who } from './calls.fixture.ts'
import type { Answer, HttpUser, Message } from './http-user.fixture.ts'
import type { Turnstile } from './turnstile.fixture.ts'

/** What is shared by all calls of a run. */
export interface World {
  people: Record<Who, HttpUser>
  turnstile: Turnstile
  /** What a step says: whose it is, of which round, and which step. */
  textOf: (call: Pick<Call, 'who' | 'round'>, at: number | 'end') => string
  /** Session ids of the 2025 era. */
  sessions: Partial<Record<Who, string>>
  /** JSON-RPC ids of questions the server asked in sessions. */
  questions: Record<Who, Set<unknown>>
  /** What went wrong on the server's side. */
  strange: unknown[]
}

/** One era: how it is entered, and how a call goes in it. */
export interface Era {
  open(world: World): Promise<void>
  play(call: Call, world: World): Promise<void>
}

/** Looks at what a call says on its way. */
export function expectStep(message: Message, call: Call, at: number, { textOf }: World): void {
  const text = textOf(call, at)
  const { round, steps } = call
  const expected = {
    progress: {
      method: 'notifications/progress',
      params: { progressToken: round, progress: at, total: steps.length, message: text },
    },
    log: { method: 'notifications/message', params: { data: text } },
    ask: { method: 'elicitation/create', params: { message: text } },
  }
  const step = steps[at]
  if (!step) throw new Error(`${call.name} has no step ${at}: ${JSON.stringify(message)}`)
  expect(message).toMatchObject(expected[step])
}

/** Looks at what a call is answered in the end. */
export function expectResult(end: Message | undefined, id: number, call: Call, { textOf }: World): void {
  expect(end).toMatchObject({ id, result: { content: [{ type: 'text', text: textOf(call, 'end') }] } })
}

/** Reads a stream in which nothing may come. */
export function note({ status, messages }: Answer, what: string, { strange }: World): void {
  if (status !== 200) strange.push(`${what}: ${status}`)
  const read = async () => {
    for await (const message of messages) strange.push([what, message])
  }
  // The connections are closed when all has been looked at.
  read().catch(error => strange.push([what, error]))
}

/** An answer that was read to its end. */
export async function drained(sent: Promise<Answer>): Promise<Answer> {
  const answer = await sent
  for await (const _ of answer.messages) {
    // Looked at for what is the other's.
  }
  return answer
}
