/** Any value JSON can hold. */
export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue | undefined }

/**
 * What a handler keeps from one run of its call to the next (2026-07-28). It travels through the client, sealed: no one
 * can read or change it there, and it opens for the same user, client, offer and arguments only, for ten minutes
 * (R161). A client can send an earlier round again, and with it what was kept then; `once` on a question forbids that.
 * Where a call runs once, as in the 2025 revisions, it lives as long as the call.
 */
export interface KeptState {
  /** The value that was kept under a name, in this run or one before; undefined when there is none. */
  get<T extends JsonValue>(name: string): T | undefined
  /**
   * Keeps a value, as JSON holds it; undefined forgets it.
   *
   * @throws {RangeError} when all that is kept would be longer than 16384 characters of JSON: it goes back and forth with
   * each round
   */
  set(name: string, value: JsonValue | undefined): void
  /**
   * Does some work in the first run that comes here, and gives its value to all runs after it.
   *
   * @throws {RangeError} as `set` does
   */
  once<T extends JsonValue>(name: string, work: () => T | Promise<T>): Promise<T>
}

/** In characters of JSON. */
const maxKept = 16_384

/** @param kept by name, as JSON */
export function createKeptState(kept: Map<string, string>): KeptState {
  const state: KeptState = {
    get<T extends JsonValue>(name: string) {
      const json = kept.get(name)
      return json === undefined ? undefined : (JSON.parse(json) as T)
    },
    set(name, value) {
      const json = JSON.stringify(value) as string | undefined
      if (json === undefined) {
        kept.delete(name)
        return
      }
      const others = [...kept].reduce(
        (sum, [key, each]) => sum + (key === name ? 0 : key.length + each.length),
        0,
      )
      if (others + name.length + json.length > maxKept) {
        throw new RangeError(
          `requestState holds at most ${maxKept} characters: keep an id, and the rest yourself.`,
        )
      }
      kept.set(name, json)
    },
    async once<T extends JsonValue>(name: string, work: () => T | Promise<T>) {
      if (!kept.has(name)) state.set(name, await work())
      return state.get(name) as T
    },
  }
  return state
}
