import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { ContenderSettings, Questions, Ready } from './contender.ts'

/** A contender that runs. */
export interface ContenderProcess extends Ready {
  name: ContenderSettings['name']
  /** Asks one thing at a time. */
  ask<Name extends keyof Questions>(
    question: Name,
    ask: Questions[Name]['ask'],
  ): Promise<Questions[Name]['answer']>
  stop(): Promise<void>
}

/**
 * Starts a contender as a production process.
 *
 * @param execArgv options of Node, such as `--cpu-prof`
 * @throws {Error} when it ends before it can be called
 */
export async function startContender(
  settings: ContenderSettings,
  execArgv: readonly string[],
): Promise<ContenderProcess> {
  const child = fork(join(import.meta.dirname, 'server.ts'), [JSON.stringify(settings)], {
    execArgv: [...execArgv],
    env: { PATH: process.env.PATH, NODE_ENV: 'production', NODE_NO_WARNINGS: '1' },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const exited = once(child, 'exit')
  const answer = async () => {
    const failed = exited.then(([code]) => {
      throw new Error(`the process of ${settings.name} ended with code ${code}`)
    })
    const [value] = await Promise.race([once(child, 'message'), failed])
    return value
  }
  const ready = (await answer()) as Ready
  return {
    ...ready,
    name: settings.name,
    async ask(question, ask) {
      child.send({ question, ask })
      return await answer()
    },
    async stop() {
      child.send({ question: 'stop' })
      await exited
    },
  }
}
