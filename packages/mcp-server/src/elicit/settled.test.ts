import { expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { createAsking } from './asking.ts'
import { noExchange } from './exchange.ts'

it('a question whose answer nobody awaits does not end the process', async () => {
  const unhandled: unknown[] = []
  const onUnhandled = (reason: unknown) => unhandled.push(reason)
  process.on('unhandledRejection', onUnhandled)
  onTestFinished(() => void process.off('unhandledRejection', onUnhandled))
  const { elicit, sample, roots } = createAsking({
    ...noExchange,
    capabilities: { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} },
  })
  const asked = [
    elicit({ message: 'Sure?', schema: z.object({ yes: z.boolean() }) }),
    elicit({ message: 'Read this', url: 'https://docs.example/terms' }),
    sample({ messages: [], maxTokens: 5 }),
    roots(),
  ]
  await new Promise(resolve => setTimeout(resolve))
  expect(unhandled).toEqual([])
  const outcomes = await Promise.allSettled(asked)
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected', 'rejected'])
})
