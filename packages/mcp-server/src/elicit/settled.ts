/** A handler may ask two things and await the first only: the other must not end the process. */
export function settled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {})
  return promise
}
