import { afterEach } from 'vitest'

/** Closes what a test opened once it has ended, last opened first; to be called once in a file. */
export function closesAfterEach(): <T extends { close(): Promise<unknown> }>(one: T) => T {
  const open: { close(): Promise<unknown> }[] = []
  afterEach(async () => {
    for (const one of open.splice(0).reverse()) await one.close()
  })
  return one => {
    open.push(one)
    return one
  }
}
