import { AsyncLocalStorage } from 'node:async_hooks'
import type { AnyCallContext } from '../tools/call-context.ts'

const calls = new AsyncLocalStorage<AnyCallContext>()

/** Runs a handler so that whatever it calls finds its context. */
export const inCall = <T>(context: AnyCallContext, run: () => T): T => calls.run(context, run)

/**
 * The context of the call that is being answered, for code deep in it that nobody handed the context to. Undefined
 * outside of calls.
 */
export const currentCall = (): AnyCallContext | undefined => calls.getStore()
