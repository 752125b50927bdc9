import { expect, it } from 'vitest'
import { createStreamPositions } from './stream-positions.ts'

it('counts each stream for itself, to its answers and beyond', () => {
  const positions = createStreamPositions()
  const told = [false, false, true, true].map(isAnswer => positions.next('one', isAnswer))
  expect([told, positions.of('one'), positions.of('two')]).toEqual([[1, 2, 3, 4], 4, 0])
})

it('R196: a session that lives long remembers no more than what is open and a few that are not', () => {
  const positions = createStreamPositions()
  positions.next('long', false)
  for (let call = 0; call < 10_000; call++) {
    positions.next(`call-${call}`, false)
    positions.next(`call-${call}`, true)
  }
  expect(positions.size).toBeLessThan(300)
  expect(positions.next('long', true)).toBe(2)
})
