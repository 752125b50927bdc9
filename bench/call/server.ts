// A contender in its own process, and answers to the parent's questions over IPC.
import { type Contender, type ContenderName, type Ready, toolCount } from './contender.ts'
import { createHonoEcho, createNodeEcho } from './echoes.ts'
import { createSallyport } from './sallyport.ts'
import { createSdkServer } from './sdk.ts'

const name = process.argv[2] as ContenderName

async function create(): Promise<Contender> {
  if (name === 'node') return createNodeEcho()
  if (name === 'hono') return createHonoEcho()
  return (name.startsWith('sdk') ? createSdkServer : createSallyport)(toolCount(name))
}

const { port, token, close } = await create()
process.on('message', async (question: string) => {
  if (question === 'cpu') {
    const { user, system } = process.cpuUsage()
    process.send?.(user + system)
  }
  if (question === 'stop') {
    await close()
    process.disconnect()
    process.exit(0)
  }
})
process.send?.({ port, token } satisfies Ready)
