import { expect, it } from 'vitest'
import { boundUnread } from './bound-unread.ts'

function setUp() {
  let writer: ReadableStreamDefaultController<Uint8Array> | undefined
  const told: string[] = []
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      writer = controller
    },
    cancel: () => void told.push('cancelled'),
  })
  const bounded = boundUnread(body, () => told.push('over'), 100)
  const write = async (...sizes: number[]) => {
    for (const size of sizes) writer?.enqueue(new Uint8Array(size))
    // All that was written is taken in.
    for (let turn = 0; turn < 50; turn++) await Promise.resolve()
  }
  return {
    reader: bounded.getReader(),
    write,
    told,
    close: () => writer?.close(),
    fail: () => writer?.error(),
  }
}

it('R196: what is for somebody who does not read ends before the memory is full', async () => {
  const { reader, write, told } = setUp()
  await write(60, 40)
  expect(told).toEqual([])
  await write(1)
  expect(told).toEqual(['cancelled', 'over'])
  // What waited is theirs, and the end of it.
  const sizes = [await reader.read(), await reader.read(), await reader.read(), await reader.read()]
  expect(sizes.map(({ value }) => value?.byteLength)).toEqual([60, 40, 1, undefined])
})

it('one piece may be of any size', async () => {
  const { reader, write, told } = setUp()
  await write(500)
  expect((await reader.read()).value).toHaveLength(500)
  await write(90)
  expect([(await reader.read()).value?.byteLength, told]).toEqual([90, []])
})

it('who reads gets everything, however much it is in the end', async () => {
  const { reader, write, told, close } = setUp()
  for (let count = 0; count < 5; count++) {
    await write(90)
    expect((await reader.read()).value).toHaveLength(90)
  }
  const last = reader.read()
  await write(7)
  expect((await last).value).toHaveLength(7)
  await write(3)
  close()
  expect((await reader.read()).value).toHaveLength(3)
  expect((await reader.read()).done).toBe(true)
  expect(told).toEqual(['over'])
})

it('is over for its writer when nobody reads any more', async () => {
  const { reader, told } = setUp()
  await reader.cancel()
  expect(told).toEqual(['over', 'cancelled'])
})

it('a stream that breaks ends', async () => {
  const { reader, told, fail } = setUp()
  const next = reader.read()
  fail()
  expect((await next).done).toBe(true)
  expect(told).toEqual(['over'])
})
