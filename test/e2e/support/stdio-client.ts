import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { Client } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { Client as Client1 } from '@modelcontextprotocol/sdk/client/index.js'
import { StdioClientTransport as Transport1 } from '@modelcontextprotocol/sdk/client/stdio.js'
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
} from '@modelcontextprotocol/sdk/types.js'

const main = fileURLToPath(new URL('stdio-main.ts', import.meta.url))

const parameters = ['--conditions=sallyport-source', main]
const environmentOf = (environment: Readonly<Record<string, string>>) => ({
  PATH: process.env.PATH ?? '',
  NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? '',
  OAUTH_RATE_LIMIT: '0',
  ...environment,
})

/** Starts the server of `stdio-main.ts` for a client by hand. */
export const spawnStdioServer = (
  environment: Readonly<Record<string, string>>,
): ChildProcessByStdio<Writable, Readable, null> =>
  spawn(process.execPath, parameters, {
    env: environmentOf(environment),
    stdio: ['pipe', 'pipe', 'ignore'],
  })

/** An MCP client that started its server as a process, by the official SDK. */
export interface StdioClient {
  toolNames(): Promise<string[]>
  call(tool: string, args?: Record<string, unknown>): Promise<{ text: string; isError: boolean }>
  /** Everything the server wrote to stderr so far. */
  logs(): string
  close(): Promise<void>
}

/** How a client answers what its server asks. */
export interface StdioAnswers {
  elicit(params: { mode?: string; url?: string }): Promise<object>
  sample(): object
  roots(): object
}

const capabilities = { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} }
const parametersOf = (environment: Readonly<Record<string, string>>) => ({
  command: process.execPath,
  args: [...parameters],
  env: environmentOf(environment),
  stderr: 'pipe' as const,
})

/** Starts the server of `stdio-main.ts` and connects, by client 2.x. Without answers, it cannot be asked anything. */
export async function startStdioClient(
  environment: Readonly<Record<string, string>>,
  answers?: StdioAnswers,
): Promise<StdioClient> {
  const client = new Client(
    { name: 'e2e', version: '1' },
    { versionNegotiation: { mode: 'auto' }, ...(answers && { capabilities }) },
  )
  if (answers) {
    client.setRequestHandler(
      'elicitation/create',
      async ({ params }) => (await answers.elicit(params as object)) as never,
    )
    client.setRequestHandler('sampling/createMessage', async () => answers.sample() as never)
    client.setRequestHandler('roots/list', async () => answers.roots() as never)
  }
  return connected(client, new StdioClientTransport(parametersOf(environment)))
}

/** The same by SDK 1.x. */
export async function startStdioClient1(
  environment: Readonly<Record<string, string>>,
  answers: StdioAnswers,
): Promise<StdioClient> {
  const client = new Client1({ name: 'e2e', version: '1' }, { capabilities })
  client.setRequestHandler(
    ElicitRequestSchema,
    async ({ params }) => (await answers.elicit(params as object)) as never,
  )
  client.setRequestHandler(CreateMessageRequestSchema, async () => answers.sample() as never)
  client.setRequestHandler(ListRootsRequestSchema, async () => answers.roots() as never)
  return connected(client, new Transport1(parametersOf(environment)))
}

async function connected(
  client: Client | Client1,
  transport: StdioClientTransport | Transport1,
): Promise<StdioClient> {
  let logs = ''
  transport.stderr?.on('data', (chunk: Buffer) => {
    logs += chunk
  })
  await client.connect(transport as never).catch(error => {
    throw new Error(`the server did not start:\n${logs}`, { cause: error })
  })
  return {
    toolNames: async () => (await client.listTools()).tools.map(({ name }) => name),
    async call(name, args = {}) {
      const { content, isError } = await client.callTool({ name, arguments: args })
      return { text: (content as { text?: string }[])[0]?.text ?? '', isError: isError === true }
    },
    logs: () => logs,
    close: () => client.close(),
  }
}

/** A folder for a server's data, and what is in it. */
export async function createDataFolder() {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-stdio-'))
  return {
    directory,
    /** Files that hold the sign-in, with their modes. */
    async signIns() {
      const names = (await readdir(directory)).filter(name => name.startsWith('stdio-'))
      return Promise.all(
        names.map(async name => ({
          text: await readFile(join(directory, name), 'utf8'),
          mode: (await stat(join(directory, name))).mode & 0o777,
        })),
      )
    },
    remove: () => rm(directory, { recursive: true, force: true }),
  }
}
