/** Seconds since the epoch, whole. Passed in everywhere so that no test waits for time to pass. */
export type Clock = () => number

/** `length` bytes from a cryptographically secure source. Passed in everywhere for the same reason. */
export type RandomBytes = (length: number) => Uint8Array<ArrayBuffer>

/** The system clock. */
export const systemClock: Clock = () => Math.floor(Date.now() / 1000)

/** The platform's secure random source (Web Crypto). */
export const systemRandom: RandomBytes = length => crypto.getRandomValues(new Uint8Array(length))
