import { expect, it } from 'vitest'
import { createQuestionIds } from './question-ids.ts'

it('a question is known to the process that asked it by its number, to the others as one of the session', () => {
  const [a, b] = [createQuestionIds('key', 'process1'), createQuestionIds('key', 'process2')]
  expect([a.numberOf(a.of(7)), a.isOurs(a.of(7))]).toEqual([7, true])
  expect([b.numberOf(a.of(7)), b.isOurs(a.of(7))]).toEqual([undefined, true])
})

it('R160: the same question of another session has another id, which counts for nothing here', () => {
  const [mine, theirs] = [createQuestionIds('mine', 'process1'), createQuestionIds('theirs', 'process1')]
  expect([mine.numberOf(theirs.of(1)), mine.isOurs(theirs.of(1))]).toEqual([undefined, false])
})

it.each([0, 'x', 'process1.1', 'process1.1.AAAAAAAAAAAAAAAAAAAAAA', `process1.${'9'.repeat(16)}.A`])(
  'R22: %s is the id of no question',
  id => {
    const ids = createQuestionIds('key', 'process1')
    expect([ids.numberOf(id), ids.isOurs(id)]).toEqual([undefined, false])
  },
)
