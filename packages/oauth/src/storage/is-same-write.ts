import { isDeepStrictEqual } from 'node:util'

/** Whether what is stored came of this very write, so that it is the same one sent again. */
export function isSameWrite<T extends { generation: number }>(
  { generation: _, ...before }: T,
  record: Omit<T, 'generation'>,
): boolean {
  return isDeepStrictEqual(before, record)
}
