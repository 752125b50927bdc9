import { z } from 'zod'
import type { Context } from '../context.ts'
import { createSealer } from '../keys/sealer.ts'
import type { KeyPurpose } from '../keys/secret-ring.ts'

/** A value we hand out and take back: sealed, so that nobody reads or changes it, and nothing has to be stored (R56). */
export interface SealedMessage<T> {
  /** @param boundTo what must be presented with it: it opens with the same value only */
  seal(context: SealContextParts, boundTo: string, value: T): string
  /** Undefined when it was changed, is bound to something else, has ended, or is from another version of ours. */
  open(context: SealContextParts, boundTo: string, sealed: string): T | undefined
}

type SealContextParts = Pick<Context, 'secrets' | 'random' | 'clock' | 'store'>

/** Seconds after which a message does not open any more: as long as its page or link may be used. */
export const messageSeconds = 600

/** A kind of sealed message; `seconds` is its life. */
export function createSealedMessage<T>(
  purpose: KeyPurpose,
  kind: string,
  schema: z.ZodType<T>,
  seconds: number = messageSeconds,
): SealedMessage<T> {
  const envelope = z.strictObject({ expiresAt: z.int(), value: schema })
  const sealing = ({ secrets, random, store }: SealContextParts, boundTo: string) => ({
    sealer: createSealer(secrets, random, purpose),
    place: { tenant: store.tenant, kind, id: boundTo },
  })
  return {
    seal(context, boundTo, value) {
      const { sealer, place } = sealing(context, boundTo)
      return sealer.seal(JSON.stringify({ expiresAt: context.clock() + seconds, value }), place)
    },
    open(context, boundTo, sealed) {
      const { sealer, place } = sealing(context, boundTo)
      const opened = sealer.open(sealed, place)
      const message = opened && envelope.safeParse(JSON.parse(opened.plaintext))
      if (!message?.success || message.data.expiresAt <= context.clock()) return undefined
      return message.data.value as T
    },
  }
}
