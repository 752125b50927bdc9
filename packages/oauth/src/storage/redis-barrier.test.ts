import { EventEmitter } from 'node:events'
import type { Redis } from 'ioredis'
import { describe, expect, it } from 'vitest'
import { createRedisBarrier, type RedisWaitFor } from './redis-barrier.ts'

/** A connection whose replies the test gives; everything else is tested with real servers. */
function createLine() {
  const sent: unknown[][] = []
  const waiting: ((reply: unknown) => void)[] = []
  const node = Object.assign(new EventEmitter(), {
    set: async (...args: unknown[]) => void sent.push(['SET', ...args]),
    call: (...args: unknown[]) => {
      sent.push(args)
      return new Promise(resolve => waiting.push(resolve))
    },
  })
  /** Lets everything that is due happen. */
  const settle = () => new Promise(resolve => setImmediate(resolve))
  return {
    node: node as unknown as Redis,
    sent,
    settle,
    async reply(reply: unknown) {
      await settle()
      waiting.shift()!(reply)
      await settle()
    },
    breakDown: () => node.emit('close'),
  }
}
const later = () => performance.now() + 60_000

describe('redis barrier', () => {
  it.each<[RedisWaitFor, unknown[], unknown, boolean]>([
    ['replica', ['WAIT', 1, 900], 1, true],
    ['replica', ['WAIT', 1, 900], 2, true],
    ['replica', ['WAIT', 1, 900], 0, false],
    ['disk', ['WAITAOF', 1, 0, 900], [1, 0], true],
    ['disk', ['WAITAOF', 1, 0, 900], [0, 3], false],
    ['replica-disk', ['WAITAOF', 1, 1, 900], [1, 1], true],
    ['replica-disk', ['WAITAOF', 1, 1, 900], [1, 0], false],
    ['replica-disk', ['WAITAOF', 1, 1, 900], [0, 1], false],
  ])('R167: %s asks for %j, and takes %j as %s', async (waitFor, command, reply, expected) => {
    const { node, sent, reply: answer } = createLine()
    const barrier = createRedisBarrier(waitFor, 900)
    const passed = barrier.pass(node, 'key', later())
    await answer(reply)
    expect(await passed).toBe(expected)
    // After a write of its own: what was written before is covered by it.
    expect(sent).toEqual([['SET', 'key', '1', 'EX', 60], command])
    const probed = barrier.probe(node)
    await answer(reply)
    expect(await probed).toBe(expected)
  })

  it('what comes while one waits is confirmed together, by a wait that begins later', async () => {
    const { node, sent, reply } = createLine()
    const barrier = createRedisBarrier('replica', 900)
    const first = barrier.pass(node, 'key', later())
    await new Promise(resolve => setImmediate(resolve))
    const rest = [barrier.pass(node, 'key', later()), barrier.pass(node, 'key', later())]
    await reply(1)
    expect(await first).toBe(true)
    expect(sent).toHaveLength(4)
    await reply(0)
    expect(await Promise.all(rest)).toEqual([false, false])
    expect(sent).toHaveLength(4)
  })

  it('R167: a confirmation over a later connection than that of the write confirms nothing', async () => {
    const { node, reply, settle, breakDown } = createLine()
    const barrier = createRedisBarrier('replica', 900)
    const first = barrier.pass(node, 'key', later())
    await settle()
    const second = barrier.pass(node, 'key', later())
    second.catch(() => {})
    breakDown()
    await reply(1)
    await reply(1)
    // It had been sent before the connection broke, and its reply came.
    expect(await first).toBe(true)
    await expect(second).rejects.toThrow('the connection was lost')
    const third = barrier.pass(node, 'key', later())
    await reply(1)
    expect(await third).toBe(true)
  })

  it('nobody waits longer than the caller wants to', async () => {
    const { node } = createLine()
    expect(await createRedisBarrier('replica', 900).pass(node, 'key', performance.now())).toBe(false)
  })
})
